"""The daemon as people start it: real `twistd` and `twist`, from `/`."""

from __future__ import annotations

import os
import signal
import socket
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
    script,
    service,
    until,
)
from sockets import freePort

from loopbackd.net.endpoint import hasIPv6


def ended(pid: int) -> bool:
    """Whether a process that is no child of ours has ended, if not yet been buried."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return True
    return status.rpartition(")")[2].split()[0] == "Z"


@pytest.mark.parametrize("command", ["twistd", "twist"])
def test_one_address_answers(start: Callable[..., Running], command: str) -> None:
    """Whoever says nothing is greeted, HTTP has its page, anything else comes back."""
    first = [command, *LOGGED] if command == "twistd" else [command, "--log-format=text"]
    running = start([*first, "loopbackd", "--listen", HERE])
    port = running.port()
    with connected(port) as client:
        greeting = b"Hello from 127.0.0.1:%d!\n" % port
        assert heard(client, len(greeting)) == greeting
    assert answer(port, b"anything") == b"anything"
    assert answer(port, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").startswith(b"HTTP/1.1 200 OK\r\n")
    if hasIPv6():
        assert answer(port, b"the twin", "::1") == b"the twin"
    running.stop()


def test_the_plain_reactor(daemon: Callable[..., Running]) -> None:
    """LOOPBACKD_PLAIN_REACTOR=1 serves the same."""
    running = daemon(
        "--listen", HERE, "--protocol", "echo", environ={"LOOPBACKD_PLAIN_REACTOR": "1"}
    )
    assert answer(running.port("echo"), b"plain") == b"plain"
    running.stop()


@pytest.mark.parametrize("command", ["twistd", "twist"])
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"] if hasIPv6() else ["127.0.0.1"])
def test_a_busy_port(start: Callable[..., Running], command: str, host: str) -> None:
    """One line that says who holds it, the twin too, and exit code 1; no traceback anywhere."""
    family = socket.AF_INET6 if host == "::1" else socket.AF_INET
    port = freePort()
    with socket.create_server((host, port), family=family):
        words = [command, *(LOGGED if command == "twistd" else ()), "loopbackd"]
        running = start([*words, "--listen", f"tcp:{port}:interface=127.0.0.1"])
        assert running.end() == 1
    (line,) = running.errors.splitlines()
    assert line.startswith("loopbackd: service 'auto' cannot listen on tcp")
    assert f"held by pid {os.getpid()} (" in line
    assert f"; stop it: kill {os.getpid()}, or choose another port: --listen" in line
    assert "Traceback" not in running.log


def test_all_or_nothing(daemon: Callable[..., Running]) -> None:
    """One endpoint that cannot be had, and the daemon does not start with the others."""
    with socket.create_server(("127.0.0.1", 0)) as holder:
        busy = f"tcp:{holder.getsockname()[1]}:interface=127.0.0.1"
        running = daemon("--serve", f"echo@{HERE}", "--serve", f"hello@{busy}")
        assert running.end() == 1
    assert running.errors.startswith("loopbackd: service 'hello' cannot listen on ")
    assert len(running.errors.splitlines()) == 1


@pytest.mark.parametrize(
    ("options", "environ", "said"),
    [
        (["--protocol", "ecco"], {}, "service 'ecco': there is no protocol 'ecco'"),
        (["--config", "/no-such.toml"], {}, "/no-such.toml: No such file"),
        (["--listen", "tcp:0"], {}, "which other machines can reach"),
        (["--listen", HERE], {"WATCHDOG_USEC": "soon"}, "WATCHDOG_USEC is 'soon'"),
        (["--listen", "systemd:domain=INET:name=x"], {}, "no sockets were passed"),
        (["--listen", "unix:/no-such/directory/sock"], {}, "cannot listen on unix:"),
        (["--listen", "nonsense:1"], {}, "endpoint 'nonsense:1' cannot be used"),
    ],
)
def test_what_cannot_be_had(
    daemon: Callable[..., Running], options: list[str], environ: dict[str, str], said: str
) -> None:
    """Anything an operator got wrong is one line on standard error, and exit code 1."""
    running = daemon(*options, environ=environ)
    assert running.end() == 1
    (line,) = running.errors.splitlines()
    assert line.startswith("loopbackd: ")
    assert said in line
    assert "Traceback" not in running.log


def test_in_the_background(start: Callable[..., Running], tmp_path: Path) -> None:
    """Without -n the command returns once it listens, and the daemon ends by its pid file."""
    pidfile, log, sock = (tmp_path / name for name in ("pid", "log", "sock"))
    (tmp_path / "it.toml").write_text(service("echo", f"unix:{sock}"))
    words = ["twistd", f"--pidfile={pidfile}", f"--logfile={log}", "--rundir=/"]
    running = start([*words, "loopbackd", "--config", "it.toml"], cwd=tmp_path)
    assert running.end() == 0, running.log + running.errors
    pid = int(until(lambda: pidfile.exists() and pidfile.read_text(), "pid file"))
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(PATIENCE)
            client.connect(str(sock))
            assert echoes(client, b"in the background")
        os.kill(pid, signal.SIGHUP)
        until(lambda: "The configuration was read again" in log.read_text(), "reload in the log")
        os.kill(pid, signal.SIGTERM)
        until(lambda: not pidfile.exists(), "end of the daemon")
        until(lambda: ended(pid), "end of the process")
    finally:
        if not ended(pid):
            os.kill(pid, signal.SIGKILL)
    assert "Traceback" not in log.read_text() + running.log + running.errors
    assert not sock.exists()


def test_a_busy_port_in_the_background(start: Callable[..., Running], tmp_path: Path) -> None:
    """The command fails with what twistd keeps of the reason; the log has all of it."""
    pidfile, log = tmp_path / "pid", tmp_path / "log"
    with socket.create_server(("127.0.0.1", 0)) as holder:
        busy = f"tcp:{holder.getsockname()[1]}:interface=127.0.0.1"
        words = ["twistd", f"--pidfile={pidfile}", f"--logfile={log}", "loopbackd"]
        running = start([*words, "--listen", busy], cwd=tmp_path)
        assert running.end() == 1
    assert "loopbackd: service 'auto' cannot listen on" in running.errors.replace("\\'", "'")
    assert f"held by pid {os.getpid()} (" in log.read_text()
    assert "Traceback" not in running.log + running.errors + log.read_text()
    assert not pidfile.exists()


def connectError(path: Path) -> int:
    """The errno of a connection to a unix socket; 0 if there is none."""
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(path))


@pytest.mark.parametrize("closed", ["<&-", "<&- >&-", "<&- >&- 2>&-"])
def test_without_standard_streams(
    start: Callable[..., Running], tmp_path: Path, closed: str
) -> None:
    """Descriptors 0, 1 and 2 may be missing; they then become somebody's connection."""
    line = f'exec "$0" "$@" {closed}'
    sock = tmp_path / "sock"
    options = ["loopbackd", "--listen", f"unix:{sock}", "--protocol", "echo"]
    running = start(["sh", "-c", line, script("twistd"), *LOGGED, *options])
    # The path is there a moment before anybody listens on it.
    until(lambda: sock.exists() and not connectError(sock), "listener")
    with ExitStack() as stack:
        clients = [stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(5)]
        for number, client in enumerate(clients):
            client.settimeout(PATIENCE)
            client.connect(str(sock))
            assert echoes(client, b"%d" % number)
        running.send(signal.SIGUSR1)
        assert all(echoes(client, b"nothing but echo") for client in clients)
    running.send(signal.SIGTERM)
    assert running.end() == -signal.SIGTERM
    assert "Traceback" not in running.log + running.errors


def test_a_socket_of_systemds(start: Callable[..., Running], program: Callable[..., str]) -> None:
    """The first client starts the daemon, which has the socket by its name."""
    activate = program("systemd-socket-activate")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = [activate, f"--listen=127.0.0.1:{port}", "--fdname=loopbackd", script("twistd")]
    endpoint = "systemd:domain=INET:name=loopbackd"
    running = start([*words, *LOGGED, "loopbackd", "--serve", f"echo@{endpoint}"])
    until(lambda: not refused(port), "socket")
    assert answer(port, b"by its name") == b"by its name"
    config = running.says(r"\] echo: echo on (.*)$")[1]
    assert config == f"127.0.0.1:{port}"
    running.send(signal.SIGTERM)
    assert running.end() == -signal.SIGTERM
    assert "Traceback" not in running.log + running.errors


def test_as_another_user(start: Callable[..., Running], needsRoot: None) -> None:
    """It listens first and becomes that user then; what is listened on stays."""
    running = start(
        ["twistd", *LOGGED, "--uid=65534", "--gid=65534", "loopbackd", "--listen", HERE]
    )
    port = running.port()
    assert answer(port, b"nobody") == b"nobody"
    status = Path(f"/proc/{running.process.pid}/status").read_text()
    assert "Uid:\t65534\t65534" in status
    running.send(signal.SIGHUP)
    running.says("The configuration was read again")
    running.stop()
