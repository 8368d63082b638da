"""The daemon as people run it: real `twistd` and `twist`, from `/`, with real signals."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from loopbackd.net.endpoint import hasIPv6

PATIENCE = 20.0
HERE = "tcp:0:interface=127.0.0.1"
LOGGED = ("-n", "--pidfile=", "--logger=loopbackd.logs.observer")


def until(found: Callable[[], Any], what: str) -> Any:
    """What is found, once it is; a failure with what is wanted if that takes too long."""
    deadline = time.monotonic() + PATIENCE
    while True:
        it = found()
        if it:
            return it
        assert time.monotonic() < deadline, f"there is still no {what}"
        time.sleep(0.01)


def script(name: str) -> str:
    """A command of the environment that runs the tests."""
    found = shutil.which(
        name, path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    )
    assert found is not None, f"{name} is not installed"
    return found


class Running:
    """A daemon in a process of its own; what it says is in two files."""

    def __init__(self, process: subprocess.Popen[bytes], out: Path, err: Path) -> None:
        self.process = process
        self._out = out
        self._err = err

    @property
    def log(self) -> str:
        """What it has logged."""
        return self._out.read_text()

    @property
    def errors(self) -> str:
        """What it has written to standard error."""
        return self._err.read_text()

    def says(self, pattern: str, times: int = 1) -> re.Match[str]:
        """Wait until that is in the log (so many times); the last of them."""

        def found() -> Any:
            matches = list(re.finditer(pattern, self.log, re.MULTILINE))
            if len(matches) < times:
                assert self.process.poll() is None or re.search(pattern, self.log), (
                    f"it ended without {pattern!r}: {self.log}{self.errors}"
                )
                return None
            return matches[-1]

        match: re.Match[str] = until(found, f"{pattern!r} in {self.log!r}")
        return match

    def port(self, service: str = "auto", times: int = 1) -> int:
        """Where a service listens on 127.0.0.1, from the log."""
        return int(self.says(rf"\] {service}: \S+ on 127\.0\.0\.1:(\d+)", times)[1])

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def end(self) -> int:
        """Its exit code, once it has ended."""
        return self.process.wait(PATIENCE)

    def stop(self) -> None:
        """SIGTERM, of which it dies in the end as a program should, with nothing to complain of."""
        self.send(signal.SIGTERM)
        assert self.end() == -signal.SIGTERM, self.log + self.errors
        assert "Traceback" not in self.log + self.errors
        assert self.errors == ""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Start a command; what still runs at the end of the test is killed."""
    started: list[Running] = []

    def begin(
        words: Sequence[str], environ: dict[str, str] | None = None, **others: Any
    ) -> Running:
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("LISTEN_", "NOTIFY_", "WATCHDOG_", "LOOPBACKD_LOG"))
        }
        out, err = (tmp_path / f"{kind}-{len(started)}" for kind in ("out", "err"))
        with out.open("wb") as stdout, err.open("wb") as stderr:
            process = subprocess.Popen(
                [script(words[0]), *words[1:]],
                **{"cwd": "/", "stdin": subprocess.DEVNULL, **others},
                env=kept | (environ or {}),
                stdout=stdout,
                stderr=stderr,
            )
        started.append(Running(process, out, err))
        return started[-1]

    try:
        yield begin
    finally:
        for running in started:
            running.process.kill()
            running.process.wait()


@pytest.fixture
def daemon(start: Callable[..., Running]) -> Callable[..., Running]:
    """Start ``twistd -n`` with our log and these options of loopbackd's."""

    def begin(*options: str, **others: Any) -> Running:
        return start(["twistd", *LOGGED, "loopbackd", *options], **others)

    return begin


@contextmanager
def connected(port: int, host: str = "127.0.0.1") -> Iterator[socket.socket]:
    """A client with a deadline."""
    with socket.create_connection((host, port), PATIENCE) as client:
        yield client


def heard(client: socket.socket, size: int = 1 << 20) -> bytes:
    """So many bytes, or all there are until the end."""
    parts = b""
    while len(parts) < size:
        part = client.recv(size - len(parts))
        if not part:
            break
        parts += part
    return parts


def echoes(client: socket.socket, data: bytes) -> bool:
    """Whether that comes back."""
    client.sendall(data)
    return heard(client, len(data)) == data


def answer(port: int, data: bytes, host: str = "127.0.0.1") -> bytes:
    """What comes of saying that and closing one's side."""
    with connected(port, host) as client:
        if data:
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
        return heard(client)


def refused(port: int) -> bool:
    """Whether nobody listens there."""
    try:
        with connected(port):
            return False
    except ConnectionRefusedError:
        return True


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
    with socket.create_server((host, 0), family=family) as holder:
        port = holder.getsockname()[1]
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


def service(name: str, endpoint: str = HERE, protocol: str = "echo", more: str = "") -> str:
    """A service as a configuration has it."""
    return (
        f"[[service]]\nname = {name!r}\nendpoint = {endpoint!r}\nprotocol = {protocol!r}\n{more}\n"
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
