"""What real signals do to the daemon: it reads again, tells who is there, drains and ends."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from running import (
    HERE,
    LOGGED,
    PATIENCE,
    Running,
    answer,
    connected,
    echoes,
    heard,
    refused,
    service,
    until,
)


def test_a_reload(daemon: Callable[..., Running], tmp_path: Path) -> None:
    """New services start, gone ones stop, changed ones change, untouched ones keep everything."""
    config = tmp_path / "it.toml"
    fixed = f"unix:{tmp_path}/changed.sock"
    config.write_text(
        service("same") + service("gone") + service("changed", fixed) + service("routed", HERE)
    )
    running = daemon("--config", str(config))
    same, gone, routed = (running.port(name) for name in ("same", "gone", "routed"))
    with ExitStack() as stack:
        clients = [stack.enter_context(connected(port)) for port in (same, gone, routed)]
        assert all(echoes(client, b"before") for client in clients)
        config.write_text(
            service("same")
            + service("new")
            + service("changed", fixed, "hello")
            + service("routed", HERE, "echo", "idle_timeout = 3600")
        )
        running.send(signal.SIGHUP)
        running.says("The configuration was read again")
        assert all(echoes(client, b"after") for client in clients)
        with connected(same) as another:
            assert echoes(another, b"the same address")
        assert refused(gone)
        assert answer(running.port("new"), b"new") == b"new"
        assert running.port("routed") == routed
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(PATIENCE)
            client.connect(f"{tmp_path}/changed.sock")
            assert heard(client).startswith(b"Hello from ")
    assert len(re.findall(r"no longer on 127\.0\.0\.1:\d+", running.log)) == 1
    running.stop()
    assert not (tmp_path / "changed.sock").exists()


def test_a_reload_that_fails(daemon: Callable[..., Running], tmp_path: Path) -> None:
    """Nothing changes, and the log says what is wrong, also where only listening shows it."""
    config = tmp_path / "it.toml"
    config.write_text(service("same"))
    running = daemon("--config", str(config))
    port = running.port("same")
    with connected(port) as client, socket.create_server(("127.0.0.1", 0)) as holder:
        busy = f"tcp:{holder.getsockname()[1]}:interface=127.0.0.1"
        for number, (text, said) in enumerate(
            [
                ("[[service]", "not TOML"),
                (service("same", HERE, "ecco"), "there is no protocol 'ecco'"),
                (service("new") + service("busy", busy), f"held by pid {os.getpid()} "),
                ("[log]\nlevel = 'loud'", 'log level "loud" is not one of'),
                (service("same", "tcp:0"), "which other machines can reach"),
            ]
        ):
            config.write_text(text)
            running.send(signal.SIGHUP)
            line = running.says(r"^.*#error\] Nothing was changed: .*$", number + 1)[0]
            assert said in line
            assert echoes(client, b"still here")
            assert answer(port, b"still there") == b"still there"
        new = running.port("new")
        assert refused(new)
    config.unlink()
    running.send(signal.SIGHUP)
    running.says("Nothing was changed: .*it.toml: No such file")
    running.stop()


def test_a_reload_of_the_log(daemon: Callable[..., Running], tmp_path: Path) -> None:
    """Its level and form are those of the file, and without one those of the environment again."""
    config = tmp_path / "it.toml"
    config.write_text(service("it"))
    running = daemon("--config", str(config), environ={"LOOPBACKD_LOG_FORMAT": "json"})
    running.says('"message": "it: echo on 127')
    config.write_text("[log]\nformat = 'text'\n" + service("it"))
    running.send(signal.SIGHUP)
    running.says(r"\[loopbackd.tap#info\] The configuration was read again.")
    config.write_text(service("it"))
    running.send(signal.SIGHUP)
    line = running.says(r"^\{.*The configuration was read again.*$")[0]
    assert json.loads(line)["level"] == "info"
    running.stop()


def test_a_reload_without_a_configuration(daemon: Callable[..., Running], tmp_path: Path) -> None:
    """The user's own file is read again: open connections keep what they have, new ones do not."""
    mine = tmp_path / "mine.py"
    text = (
        "from twisted.internet.protocol import Protocol\n"
        "class Says(Protocol):\n"
        "    def dataReceived(self, data):\n"
        "        self.transport.write(b'ONE')\n"
    )
    mine.write_text(text)
    running = daemon("--listen", HERE, "--protocol", "./mine.py:Says", cwd=tmp_path)
    port = running.port("Says")
    with connected(port) as before:
        before.sendall(b"?")
        assert heard(before, 3) == b"ONE"
        mine.write_text(text.replace("ONE", "TWO"))
        running.send(signal.SIGHUP)
        running.says("The configuration was read again")
        with connected(port) as after:
            after.sendall(b"?")
            assert heard(after, 3) == b"TWO"
        before.sendall(b"?")
        assert heard(before, 3) == b"ONE"
        mine.write_text(text + "\n1 / 0\n")
        running.send(signal.SIGHUP)
        line = running.says("^.*Nothing was changed: .*$")[0]
        assert f"{mine} line 6: ZeroDivisionError" in line
        with connected(port) as after:
            after.sendall(b"?")
            assert heard(after, 3) == b"TWO"
    running.stop()


def test_the_table(daemon: Callable[..., Running]) -> None:
    """SIGUSR1 writes who is connected to the log."""
    running = daemon("--listen", HERE, "--protocol", "echo")
    port = running.port("echo")
    running.send(signal.SIGUSR1)
    running.says("echo: 0 open, 0 in all, 0 refused, 0 bytes in, 0 bytes out")
    with connected(port) as client:
        assert echoes(client, b"12345")
        running.send(signal.SIGUSR1)
        running.says("echo: 1 open, 1 in all, 0 refused, 5 bytes in, 5 bytes out")
        mine = client.getsockname()[1]
        running.says(rf"#1 echo \S+ from 127.0.0.1:{mine}: .*, 5 bytes in, 5 bytes out")
    running.stop()


@pytest.mark.parametrize("plain", ["", "1"])
def test_the_drain(daemon: Callable[..., Running], plain: str) -> None:
    """After SIGTERM nobody listens, open connections have their time, and then are closed."""
    running = daemon(
        *("--listen", HERE, "--protocol", "echo", "--drain", "0.5"),
        environ={"LOOPBACKD_PLAIN_REACTOR": plain},
    )
    port = running.port("echo")
    with connected(port) as client:
        assert echoes(client, b"before")
        begun = time.monotonic()
        running.send(signal.SIGTERM)
        running.says("Open connections have 0.5 s to finish: 1")
        assert refused(port)
        assert echoes(client, b"while it drains")
        assert heard(client) == b""
        assert time.monotonic() - begun >= 0.5
    assert running.end() == -signal.SIGTERM
    assert "Traceback" not in running.log + running.errors


def test_the_drain_ends_with_the_last_connection(daemon: Callable[..., Running]) -> None:
    """Who has nobody left does not wait."""
    running = daemon("--listen", HERE, "--protocol", "echo", "--drain", "3600")
    with connected(running.port("echo")) as client:
        assert echoes(client, b"before")
        running.send(signal.SIGTERM)
        running.says("Open connections have 3600.0 s to finish: 1")
    assert running.end() == -signal.SIGTERM
    assert "Traceback" not in running.log + running.errors


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("command", ["twistd", "twist"])
def test_the_second_signal_ends_the_drain(
    start: Callable[..., Running], command: str, number: signal.Signals
) -> None:
    """Also for Ctrl-C twice; a client that does not leave is closed."""
    first = [command, *LOGGED] if command == "twistd" else [command, "--log-format=text"]
    options = ("--listen", HERE, "--protocol", "echo", "--drain", "3600")
    running = start([*first, "loopbackd", *options])
    with connected(running.port("echo")) as client:
        assert echoes(client, b"before")
        running.send(number)
        running.says("Open connections have 3600.0 s to finish: 1")
        running.send(number)
        assert heard(client) == b""
    assert running.end() == -number
    assert "Traceback" not in running.log + running.errors


def test_a_reload_while_it_drains(daemon: Callable[..., Running], tmp_path: Path) -> None:
    """Too late: nothing is listened on again."""
    config = tmp_path / "it.toml"
    config.write_text("drain = 3600\n" + service("echo"))
    running = daemon("--config", str(config))
    port = running.port("echo")
    with connected(port) as client:
        assert echoes(client, b"before")
        running.send(signal.SIGTERM)
        running.says("have 3600.0 s to finish")
        config.write_text(service("new"))
        running.send(signal.SIGHUP)
        running.send(signal.SIGUSR1)
        running.says("echo: 1 open")
        assert refused(port)
        assert "new:" not in running.log
    assert running.end() == -signal.SIGTERM


def test_word_to_systemd(daemon: Callable[..., Running], tmp_path: Path) -> None:
    """READY when it listens, RELOADING and READY around a reload, STOPPING at the end."""
    config = tmp_path / "it.toml"
    config.write_text(service("one") + service("two"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(PATIENCE)
        environ = {"NOTIFY_SOCKET": f"{tmp_path}/notify", "WATCHDOG_USEC": "3600000000"}

        def told() -> str:
            while True:
                lines = manager.recv(4096).decode().splitlines()
                if lines != ["WATCHDOG=1"]:
                    return " ".join(re.sub("=[0-9]{2,}$", "=", line) for line in lines)

        running = daemon("--config", str(config), environ=environ)
        assert told() == "READY=1 STATUS=2 services"
        assert answer(running.port("one"), b"listens") == b"listens"
        for text in (service("one"), "not toml"):
            config.write_text(text)
            running.send(signal.SIGHUP)
            assert told() == "RELOADING=1 MONOTONIC_USEC="
            assert told() == "READY=1 STATUS=1 service"
        running.send(signal.SIGTERM)
        assert told() == "STOPPING=1"
    assert running.end() == -signal.SIGTERM


def test_many_reloads_leave_nothing_open(daemon: Callable[..., Running], tmp_path: Path) -> None:
    """Whatever comes and goes, the descriptors of before are all there are."""
    config = tmp_path / "it.toml"
    few = service("one")
    many = few + service("two") + service("three", f"unix:{tmp_path}/sock")
    config.write_text(few)
    running = daemon("--config", str(config))
    port = running.port("one")

    def descriptors() -> int:
        return len(os.listdir(f"/proc/{running.process.pid}/fd"))

    assert answer(port, b"warm") == b"warm"
    before = descriptors()
    for number in range(20):
        config.write_text(few if number % 2 else many)
        running.send(signal.SIGHUP)
        running.says("The configuration was read again", number + 1)
        assert answer(port, b"still") == b"still"
    until(lambda: descriptors() <= before, "end of the growth")
    running.stop()
