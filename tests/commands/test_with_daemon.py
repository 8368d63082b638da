"""The commands against a daemon, each in a process of its own."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from running import HERE, PATIENCE, Running, connected, heard, script


class Commands:
    """Runs commands against one daemon."""

    def __init__(self, address: str) -> None:
        self.environ = {**os.environ, "LOOPBACKD_CONTROL": address, "NO_COLOR": "1"}

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [script("loopbackd"), *words],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            env=self.environ,
            check=False,
        )

    def does(self, *words: str) -> Any:
        """What it prints, which is JSON or nothing."""
        done = self.run(*words)
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        return json.loads(done.stdout) if done.stdout else None

    def refuses(self, *words: str) -> str:
        """Why it does not."""
        done = self.run(*words)
        assert done.returncode == 1 and done.stdout == "", done.stdout
        assert len(done.stderr.splitlines()) == 1
        return done.stderr

    def shows(self, *words: str) -> str:
        """What it prints on a terminal."""
        ours, theirs = pty.openpty()
        with subprocess.Popen(
            [script("loopbackd"), *words],
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            env={**self.environ, "COLUMNS": "250", "TERM": "dumb"},
        ) as process:
            os.close(theirs)
            parts = []
            # At its end a terminal is an error (EIO).
            while select.select([ours], [], [], PATIENCE)[0]:
                try:
                    parts.append(os.read(ours, 65536))
                except OSError:
                    break
            assert process.wait(PATIENCE) == 0
        os.close(ours)
        return b"".join(parts).decode().replace("\r\n", "\n")


@pytest.fixture
def running(daemon: Callable[..., Running]) -> Running:
    """A daemon with an echo and a control API."""
    echo = ("--protocol", "echo", "--listen", HERE, "--no-twin")
    return daemon(*echo, "--control", HERE)


@pytest.fixture
def commands(running: Running) -> Commands:
    """Commands for it."""
    port = running.says(r"control: on 127\.0\.0\.1:(\d+)")[1]
    return Commands(f"http://127.0.0.1:{port}")


def test_services(running: Running, commands: Commands) -> None:
    """A relay is added, seen, switched off and on, and removed."""
    target = f"127.0.0.1:{running.port('echo')}"
    made = commands.does("service", "add", "mine", "--target", target)
    assert made["protocol"] == "relay"
    where = made["listening"][0]
    port = int(where.rpartition(":")[2])
    with connected(port) as client:
        client.sendall(b"through")
        assert heard(client, 7) == b"through"
        shown = commands.does("service", "show", "mine")
        [connection] = shown["open_connections"]
        assert (connection["bytes_sent"], connection["pid"]) == (7, os.getpid())
        assert "pytest" in connection["command"]
        table = commands.shows("service", "list")
        assert re.search(rf"^mine +relay +{re.escape(where)} +{re.escape(target)} +1 ", table, re.M)
        assert commands.does("service", "toggle", "mine")["enabled"] is False
        assert heard(client) == b""
    with pytest.raises(ConnectionRefusedError), connected(port):
        pass
    assert commands.does("service", "toggle", "mine")["listening"] == [where]
    assert commands.does("service", "rm", "mine") is None
    assert [one["name"] for one in commands.does("service", "list")] == ["echo"]


def test_toxics(running: Running, commands: Commands) -> None:
    """A toxic is put on, changed without losing what was not named, and taken away."""
    made = commands.does(
        *("toxic", "add", "echo", "latency", "latency=100", "jitter=20"),
        *("--seed", "7", "--toxicity", "0.5", "--upstream", "--match", "nth=3"),
    )
    assert made["name"] == "latency_upstream"
    changed = commands.does("toxic", "update", "echo", "latency_upstream", "latency=1")
    assert (changed["toxicity"], changed["seed"]) == (0.5, 7)
    assert changed["attributes"]["latency"] == 1 and changed["attributes"]["jitter"] == 20
    assert changed["match"]["nth"] == 3
    assert commands.does("toxic", "list", "echo") == [changed]
    table = commands.shows("toxic", "list", "echo")
    assert re.search(r"^latency_upstream +latency +upstream +0\.5 +7 +.*nth=3$", table, re.M)
    shown = commands.shows("service", "show", "echo")
    assert "jitter=20 latency=1 (toxicity 0.5, seed 7, only nth=3)\n" in shown
    assert "'latency_upstream' already" in commands.refuses(
        *("toxic", "add", "echo", "latency", "--upstream")
    )
    assert commands.does("toxic", "rm", "echo", "latency_upstream") is None
    commands.does("toxic", "add", "echo", "noop")
    assert commands.does("reset") is None
    assert commands.does("toxic", "list", "echo") == []
    assert commands.shows("toxic", "list", "echo") == "echo has no toxics\n"
    commands.does("toxic", "add", "echo", "noop")
    gone = "Toxic noop_downstream is off echo\n"
    assert commands.shows("toxic", "rm", "echo", "noop_downstream") == gone


def test_profiles(commands: Commands) -> None:
    """A service gets the toxics of a network, and loses them again."""
    assert commands.does("service", "profile", "echo", "3g") == {"profile": "3g"}
    assert len(commands.does("toxic", "list", "echo")) > 2
    assert commands.shows("service", "profile", "echo") == "echo: 3g\n"
    assert commands.does("service", "profile", "echo", "--none") == {"profile": None}
    assert commands.does("toxic", "list", "echo") == []
    made = commands.does("service", "add", "slow", "--protocol", "echo", "--profile", "edge")
    assert {one["type"] for one in made["toxics"]} >= {"latency", "bandwidth"}


def test_refusals(commands: Commands) -> None:
    """What cannot be done is told in one line that names it."""
    for words, why in {
        "toxic add echo latency latency=-3": "latency = -3",
        "toxic add echo latency latncy=3": "did you mean 'latency'",
        "toxic add echo latencyy": "did you mean 'latency'",
        "toxic add echo latency --toxicity 2": "toxicity",
        "toxic rm echo none": "none",
        "toxic list nobody": "nobody",
        "service rm nobody": "nobody",
        "service add echo": "echo",
        "service add x --target nowhere": "nowhere",
        "service profile echo 9g": "9g",
        "service add x --protocol ech": "did you mean 'echo'",
    }.items():
        assert why in commands.refuses(*words.split())


def test_nobody_answers(tmp_path: Any) -> None:
    """Without a daemon the exit code is another one than of a refusal."""
    done = Commands(f"unix:{tmp_path}/none").run("service", "list")
    assert done.returncode == 3
    assert "twistd -n loopbackd" in done.stderr
    done = Commands("ftp://x").run("service", "list")
    assert done.returncode == 2


def offered(commands: Commands, line: str) -> list[str]:
    """What our completion offers in bash for what was typed so far."""
    done = subprocess.run(
        [script("loopbackd")],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        env={
            **commands.environ,
            "_LOOPBACKD_COMPLETE": "bash_complete",
            "COMP_WORDS": line,
            "COMP_CWORD": str(line.count(" ")),
        },
    )
    return [one.partition(",")[2] for one in done.stdout.split()]


def test_completion(commands: Commands) -> None:
    """Services, toxics and their types are known to the shell; without a daemon it is silent."""
    commands.does("toxic", "add", "echo", "noop", "--name", "nothing")
    assert offered(commands, "loopbackd toxic rm ") == ["echo"]
    assert offered(commands, "loopbackd toxic rm echo n") == ["nothing"]
    assert offered(commands, "loopbackd toxic add echo lat") == ["latency"]
    assert "3g" in offered(commands, "loopbackd service profile echo 3")
    nobody = Commands("http://127.0.0.1:9")
    assert offered(nobody, "loopbackd toxic rm ") == []
    done = nobody.run("completion", "bash")
    assert "complete -o nosort -F _loopbackd_completion loopbackd" in done.stdout
