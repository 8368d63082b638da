"""loopbackd watch, in a process of its own: lines, JSON, a terminal, and how it ends."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import socket
import subprocess
import time
from contextlib import suppress
from itertools import pairwise

import pytest
from click.testing import CliRunner
from rich.console import Console
from running import PATIENCE, script, until

from loopbackd.commands.output import showJSONLine
from loopbackd.commands.watch import watch as command
from loopbackd.commands.watchview import Screen, eventLine
from loopbackd.watching.events import eventOf
from loopbackd.watching.looks import Seen


@pytest.fixture
def state(tmp_path):
    """Where the commands of a test remember what is usual."""
    return {**os.environ, "LOOPBACKD_STATE_DIR": str(tmp_path / "state"), "NO_COLOR": "1"}


@pytest.fixture
def ran(state):
    """What comes of a watch that ends by itself."""

    def ran(*words):
        return subprocess.run(
            [script("loopbackd"), "watch", *words],
            capture_output=True,
            text=True,
            env=state,
            timeout=PATIENCE,
        )

    return ran


@pytest.fixture
def begun(stack, state):
    """A watch that goes on until it is ended."""

    def begun(*words, stdout=subprocess.PIPE):
        process = subprocess.Popen(
            [script("loopbackd"), "watch", *words],
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
            env={**state, "COLUMNS": "200", "LINES": "50", "TERM": "xterm"},
        )
        stack.callback(process.wait, 10)
        stack.callback(process.kill)
        stack.callback(process.stderr.close)
        if process.stdout is not None:
            stack.callback(process.stdout.close)
        return process

    return begun


@pytest.fixture
def untilLearned(tmp_path):
    """Wait until a watch has looked once, of which it keeps what it saw."""
    return lambda: until((tmp_path / "state" / "usual.json").exists, "file")


def chosen(stack, host="127.0.0.1"):
    """A listener at a port that the system does not hand out, and the port."""
    for port in range(20_000, 30_000):
        try:
            server = stack.enter_context(socket.create_server((host, port)))
        except OSError:
            continue
        return server, port
    raise AssertionError("there is no free port")


def test_once(ran, stack):
    """What is suspicious ends it with 1, what is learned with 0, until it is forgotten."""
    _, port = chosen(stack, "0.0.0.0")
    done = ran("--once")
    assert done.returncode == 1, done.stderr
    assert f"0.0.0.0:{port}" in done.stdout and "(all-addresses)" in done.stdout
    shown = json.loads(ran("--once", "--json").stdout)
    (one,) = [one for one in shown["listeners"] if one["address"] == f"0.0.0.0:{port}"]
    assert one["pid"] == os.getpid() and "all-addresses" in one["suspicious"]
    assert "connections" in shown and shown["findings"]
    assert "connections" not in json.loads(ran("--once", "--json", "--listeners").stdout)
    assert ran("--once", "--learn").returncode == 0
    done = ran("--once", "--listeners")
    assert done.returncode == 0, done.stdout
    assert (ran("--forget").returncode, ran("--forget").returncode) == (0, 0)
    assert ran("--once").returncode == 1


def test_closed_connections(ran, stack):
    """Those in TIME_WAIT are nobody's: they are counted, and not in the way of the others."""
    # They stay for a minute: at an address where no other test looks for its own.
    server, port = chosen(stack, "127.0.97.1")
    client = stack.enter_context(socket.create_connection(server.getsockname()))
    for _ in range(3):
        socket.create_connection(server.getsockname()).close()
    stack.enter_context(server.accept()[0])
    for _ in range(3):
        server.accept()[0].close()
    shown = ran("--once").stdout
    where = ":".join(map(str, client.getsockname()))
    assert where in shown.partition("client ")[2]
    assert "TIME_WAIT" not in shown.replace("nobody's any more (TIME_WAIT)", "")
    among = json.loads(ran("--once", "--json").stdout)["connections"]
    states = [one["state"] for one in among if one["server"] == f"127.0.97.1:{port}"]
    assert states[0] == "ESTABLISHED" and states.count("TIME_WAIT") >= 3


def test_connections(ran, stack):
    """Who is connected to whom, by the client's end."""
    server, port = chosen(stack)
    client = stack.enter_context(socket.create_connection(server.getsockname()))
    shown = json.loads(ran("--once", "--json").stdout)
    (one,) = [one for one in shown["connections"] if one["server"] == f"127.0.0.1:{port}"]
    assert one["client"] == f"127.0.0.1:{client.getsockname()[1]}"
    assert (one["pid"], one["state"]) == (os.getpid(), "ESTABLISHED")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_lines(begun, stack, number, untilLearned):
    """Events come as JSON, a line each, at once; a signal is a clean end that keeps what it saw."""
    process = begun("--json", "--interval", "0.1")
    lines = _Lines(process.stdout)
    untilLearned()
    server, port = chosen(stack)
    event = lines.until(lambda one: one["port"] == port)
    assert event["kind"] == "listener-new" and event["pid"] == os.getpid()
    assert sorted(event) == sorted(
        [
            "time",
            "kind",
            "severity",
            "says",
            "host",
            "port",
            "uid",
            "user",
            "pid",
            "command",
            "program",
            "ports",
        ]
    )
    server.close()
    lines.until(lambda one: (one["kind"], one["port"]) == ("listener-gone", port))
    process.send_signal(number)
    assert process.wait(10) == 0
    assert process.stderr.read() == b""


def test_plainLines(begun, stack):
    """Off a terminal an event is a line of text."""
    _, port = chosen(stack, "0.0.0.0")
    process = begun("--interval", "0.1")
    line = process.stdout.readline()
    while b":%d" % port not in line:
        line = process.stdout.readline()
    assert b"warning  " in line and b"which other machines can reach" in line
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == 0


def test_nowhereToPrint(state, untilLearned):
    """Whoever has closed its output has it learn all the same."""
    process = subprocess.Popen(
        ["sh", "-c", 'exec "$0" watch --interval 0.1 >&-', script("loopbackd")],
        stderr=subprocess.PIPE,
        env=state,
    )
    with process:
        untilLearned()
        process.send_signal(signal.SIGINT)
        assert process.stderr.read() == b""
    assert process.returncode == 0


def test_aTerminal(begun, stack):
    """On a terminal there are listeners, connections and events, drawn anew each time."""
    _, port = chosen(stack, "0.0.0.0")
    ours, theirs = pty.openpty()
    stack.callback(os.close, ours)
    process = begun("--interval", "0.2", stdout=theirs)
    os.close(theirs)
    seen = b""
    wanted = (b"listeners (", b"connections (", b"events (", b"0.0.0.0:%d" % port)
    while not all(one in seen for one in wanted) or seen.count(b"listeners (") < 3:
        assert select.select([ours], [], [], PATIENCE)[0], seen
        seen += os.read(ours, 1 << 16)
    process.send_signal(signal.SIGINT)
    while process.poll() is None:
        # At its end a terminal is an error (EIO).
        with suppress(OSError):
            if select.select([ours], [], [], 0.05)[0]:
                os.read(ours, 1 << 16)
    assert process.returncode == 0
    assert process.stderr.read() == b""


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--interval", "0"), "0.1<=x<=3600"),
        (("--forget", "--once"), "--forget stands alone"),
        (("--config", "/no-such.toml"), "/no-such.toml: No such file"),
    ],
)
def test_wrongUsage(ran, words, why):
    """What cannot be meant is said, with exit code 2."""
    done = ran(*words)
    assert done.returncode == 2 and why in done.stderr and done.stdout == ""


def test_rules(ran, stack, tmp_path):
    """The rules of a configuration count, and a user that there is not is an error."""
    _, port = chosen(stack, "0.0.0.0")
    config = tmp_path / "loopbackd.toml"
    config.write_text(f'[[watch.ignore]]\naddress = "0.0.0.0"\nport = {port}\n')
    assert f"(0.0.0.0:{port})" not in ran("--once", "--config", str(config)).stdout
    assert f"(0.0.0.0:{port})" in ran("--once").stdout
    config.write_text('[[watch.ignore]]\nuser = "no-such-user"\n')
    done = ran("--once", "--config", str(config))
    assert done.returncode == 2 and "there is no user 'no-such-user'" in done.stderr


def test_aDamagedFile(ran, tmp_path):
    """What was learned and cannot be read is one line, and a new beginning."""
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "usual.json").write_text("{")
    done = ran("--once", "--listeners")
    assert len(done.stderr.splitlines()) == 1 and "is learned anew" in done.stderr
    assert json.loads((tmp_path / "state" / "usual.json").read_text())["version"] == 1


def test_nothingMovesTheCursor(capsys):
    """Whatever a program calls itself stays in its line, on a terminal and in JSON."""
    event = eventOf("listener-new", "a\x1b[2J\nb\u202e", 0.0)
    assert "\x1b" not in eventLine(event) and "\n" not in eventLine(event)
    screen = Screen()
    screen.events.append(event)
    console = Console(width=100, color_system=None)
    console.print(screen.show([["\x1b[2J"] * 7], [["[red]x[/]"] * 6], 40))
    showJSONLine({"says": "\x1b\u202e\x9b"})
    shown = capsys.readouterr().out
    assert not {"\x1b", "\u202e", "\x9b"} & set(shown)
    assert "[red]x[/]" in shown
    assert json.loads(shown.splitlines()[-1]) == {"says": "\x1b\u202e\x9b"}


def test_itWaitsBetweenLooks(monkeypatch):
    """However much happens, it looks no more often than it was told to."""
    began = []

    class Looks:
        def __init__(self, *those):
            pass

        def look(self, now):
            began.append(time.monotonic())
            if len(began) == 4:
                raise KeyboardInterrupt
            return Seen([eventOf("listener-new", "a", now)], (), {}, ())

        def close(self):
            pass

    monkeypatch.setattr("loopbackd.commands.watch.Looks", Looks)
    monkeypatch.setattr("loopbackd.commands.watch.signal.signal", lambda *those: None)
    done = CliRunner().invoke(command, ["--json", "--interval", "0.1"])
    assert done.exit_code == 0 and done.stdout.count("\n") == 3
    assert all(after - before >= 0.1 for before, after in pairwise(began))


class _Lines:
    """The JSON lines that a process prints."""

    def __init__(self, stream):
        self._stream = stream

    def until(self, wanted):
        """The first one that is wanted."""
        while line := self._stream.readline():
            found = json.loads(line)
            if wanted(found):
                return found
        raise AssertionError("it ended")
