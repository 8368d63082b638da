"""The real daemon in a process of its own, and clients of it, for tests of what only that shows."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CI = os.environ.get("CI") == "true"
"""Whether what is missing must fail rather than skip."""

PATIENCE = 30.0
"""Seconds to wait for what is sure to come."""

HERE = "tcp:0:interface=127.0.0.1"
"""A free port."""

_RUNNERS = ("twist", "twistd")

LOGGED = ("-n", "--pidfile=", "--logger=loopbackd.logs.observer")
"""The options of twistd for a daemon that says on standard output what it does."""


def until(
    found: Callable[[], Any], what: str | Callable[[], str], seconds: float = PATIENCE
) -> Any:
    """What is found, once it is; a failure with what is wanted if that takes too long."""
    deadline = time.monotonic() + seconds
    while True:
        it = found()
        if it:
            return it
        if time.monotonic() > deadline:
            raise AssertionError(f"there is still no {what if isinstance(what, str) else what()}")
        time.sleep(0.01)


def script(name: str) -> str:
    """A command of the environment that runs the tests."""
    found = shutil.which(
        name, path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    )
    assert found is not None, f"{name} is not installed"
    return found


class Running:
    """A daemon; what it says is in two files."""

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

    @property
    def lines(self) -> list[str]:
        """Both."""
        return (self.log + self.errors).splitlines()

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

        match: re.Match[str] = until(found, lambda: f"{pattern!r} in {self.log!r}")
        return match

    def port(self, service: str = "auto", times: int = 1) -> int:
        """Where a service listens on 127.0.0.1, from the log."""
        return int(self.says(rf"\b{service}: \S+ on 127\.0\.0\.1:(\d+)", times)[1])

    def address(self, service: str) -> tuple[str, int]:
        """The same with the host."""
        return "127.0.0.1", self.port(service)

    @property
    def seconds(self) -> float:
        """The processor time it has used."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self, field: str = "VmRSS") -> int:
        """Its resident memory in bytes, or the most there ever was of it (VmHWM)."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(rf"^{field}:\s+(\d+) kB$", status, re.M)
        assert found is not None
        return int(found[1]) * 1024

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


def launch(
    directory: Path, words: Sequence[str], environ: dict[str, str] | None = None, **others: Any
) -> Running:
    """
    Start a command, in C{/}, without what the tests' own surroundings tell a daemon.

    @param directory: for the two files.
    @param environ: what is added to the environment.
    @param others: for C{Popen}.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("LISTEN_", "NOTIFY_", "WATCHDOG_", "LOOPBACKD_LOG"))
    }
    isDaemon = "loopbackd" in words and any(Path(word).name in _RUNNERS for word in words)
    if isDaemon and "--control" not in words:
        # Several daemons run at once, and their APIs have one port.
        words = [*words, "--control", "off"]
    number = len(list(directory.glob("out-*")))
    out, err = (directory / f"{kind}-{number}" for kind in ("out", "err"))
    with out.open("wb") as stdout, err.open("wb") as stderr:
        process = subprocess.Popen(
            [script(words[0]), *words[1:]],
            **{"cwd": "/", "stdin": subprocess.DEVNULL, **others},
            env=kept | (environ or {}),
            stdout=stdout,
            stderr=stderr,
        )
    return Running(process, out, err)


@contextmanager
def running(
    directory: Path,
    *arguments: str,
    reactor: str | None = None,
    before: Callable[[], Any] | None = None,
) -> Iterator[Running]:
    """
    C{twistd -n loopbackd} with these arguments, in that directory; it must leave by itself.

    @param reactor: for C{twistd -r}.
    @param before: called in the new process before the program starts.
    """
    chosen = ["-r", reactor] if reactor else []
    words = ["twistd", "-n", "--pidfile=", *chosen, "loopbackd", *arguments]
    daemon = launch(directory, words, cwd=directory, preexec_fn=before)
    try:
        daemon.says(r"reactor class|Starting factory|on 127\.0\.0\.1:|on \[::1\]:")
        yield daemon
    finally:
        try:
            daemon.send(signal.SIGTERM)
            daemon.end()
        finally:
            daemon.process.kill()
            daemon.process.wait()


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


def service(name: str, endpoint: str = HERE, protocol: str = "echo", more: str = "") -> str:
    """A service as a configuration has it."""
    return (
        f"[[service]]\nname = {name!r}\nendpoint = {endpoint!r}\nprotocol = {protocol!r}\n{more}\n"
    )
