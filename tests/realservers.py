"""A real Redis and a real PostgreSQL on free ports of 127.0.0.1, for as long as tests need them."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from running import CI, until

PATIENCE = 60.0
"""Seconds a server may take to be made, to start or to end, and a client on a busy machine."""

ATTEMPTS = 5
"""How often a server is started, should somebody take the port that was free a moment ago."""


@dataclass(frozen=True)
class RealServer:
    """
    A server that has been started.

    @ivar port: where it listens on 127.0.0.1.
    @ivar environ: what its clients want to have in their environment.
    @ivar tools: where its clients are, in the order in which to look.
    """

    port: int
    environ: Mapping[str, str] = field(default_factory=dict)
    tools: Sequence[Path] = ()

    def tool(self, name: str) -> str:
        """The path of one of its clients; see L{found}."""
        return found(name, *self.tools)


def found(name: str, *places: Path) -> str:
    """A program; a missing one skips the test, and fails it where CI=true."""
    where = os.pathsep.join([*map(str, places), os.environ["PATH"], "/usr/sbin"])
    path = shutil.which(name, path=where)
    if path is None:
        what = f"{name} is not installed"
        if CI:
            pytest.fail(what)
        pytest.skip(what)
    return path


def freePort() -> int:
    """A port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def _server(
    commandFor: Any, isReady: Any, log: Path, stop: signal.Signals, **others: Any
) -> Iterator[int]:
    """Start it until it has a port of its own, and end it."""
    for attempt in range(ATTEMPTS):
        port = freePort()
        with log.open("wb") as output:
            process = subprocess.Popen(
                commandFor(port),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                **others,
            )
        try:
            if _cameUp(process, lambda port=port: isReady(port), log):
                yield port
                return
            assert attempt + 1 < ATTEMPTS, log.read_text()
        finally:
            _end(process, stop)


def _cameUp(process: subprocess.Popen[bytes], isReady: Any, log: Path) -> bool:
    """Wait for it; false when somebody else has its port."""

    def said() -> str:
        return log.read_text(errors="replace")

    until(lambda: isReady() or process.poll() is not None, said, PATIENCE)
    isOurs = process.poll() is None
    assert isOurs or re.search("address already in use", said(), re.I), said()
    return isOurs


def _end(process: subprocess.Popen[bytes], stop: signal.Signals) -> None:
    """As it likes to be ended, and if it does not, with all it has started."""
    process.send_signal(stop)
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextmanager
def redisServer(certificate: Path | None = None) -> Iterator[RealServer]:
    """
    Redis, which keeps nothing on disk.

    @param certificate: a PEM file with one and its key; with it, Redis speaks TLS and nothing else.
    """
    server = found("redis-server")

    def commandFor(port: int) -> list[str]:
        where = ["--port", str(port)]
        if certificate is not None:
            files = ["--tls-cert-file", str(certificate), "--tls-key-file", str(certificate)]
            where = ["--port", "0", "--tls-port", str(port), *files, "--tls-auth-clients", "no"]
        return [server, *where, "--bind", "127.0.0.1", *words]

    def answers(port: int) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", port), 5) as client:
                if certificate is not None:
                    return True
                client.sendall(b"PING\r\n")
                return client.recv(16) == b"+PONG\r\n"
        except OSError:
            return False

    with tempfile.TemporaryDirectory(prefix="loopbackd-redis-") as directory:
        words = ("--save", "", "--appendonly", "no", "--daemonize", "no", "--dir", directory)
        with _server(
            commandFor,
            answers,
            Path(directory) / "log",
            signal.SIGTERM,
        ) as port:
            yield RealServer(port)


def _programsOfPostgres() -> list[Path]:
    """Where Debian has them: out of the way of PATH, the newest version first."""
    places = Path("/usr/lib/postgresql").glob("*/bin")
    return sorted(places, key=lambda place: float(place.parent.name), reverse=True)


def _somebody() -> dict[str, Any]:
    """Whom to be, for a server that refuses to be root's; words for C{Popen}."""
    if os.geteuid() != 0:
        return {}
    names = {entry.pw_name: entry for entry in pwd.getpwall()}
    entry = names.get("postgres") or names["nobody"]
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


@contextmanager
def postgresServer() -> Iterator[RealServer]:
    """PostgreSQL, which takes anybody for its superuser C{tester} and never waits for a disk."""
    places = _programsOfPostgres()
    initdb, postgres = found("initdb", *places), found("postgres", *places)
    somebody = _somebody()
    with tempfile.TemporaryDirectory(prefix="loopbackd-postgres-") as directory:
        if somebody:
            os.chown(directory, somebody["user"], somebody["group"])
        data = Path(directory) / "data"
        plain = {"LC_ALL": "C", "PATH": os.environ["PATH"], "HOME": directory}
        made = subprocess.run(
            [initdb, "-D", data, "-U", "tester", "-A", "trust", "-E", "UTF8", "--no-sync"],
            cwd=directory,
            env=plain,
            capture_output=True,
            timeout=PATIENCE,
            **somebody,
        )
        assert made.returncode == 0, made.stderr.decode(errors="replace")
        settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": directory,
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
            # Not in /dev/shm, which is not this server's alone.
            "dynamic_shared_memory_type": "mmap",
            "max_connections": "50",
        }
        options = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]

        def isReady(port: int) -> bool:
            # Its eighth line is what pg_ctl(1) waits for.
            try:
                lines = (data / "postmaster.pid").read_text().splitlines()
            except FileNotFoundError:
                return False
            return len(lines) >= 8 and lines[7].strip() == "ready"

        with _server(
            lambda port: [postgres, "-D", str(data), "-p", str(port), *options],
            isReady,
            Path(directory) / "log",
            signal.SIGINT,
            cwd=directory,
            env=plain,
            **somebody,
        ) as port:
            environ = {"PGUSER": "tester", "PGDATABASE": "postgres", "PGCONNECT_TIMEOUT": "20"}
            yield RealServer(port, environ, places)
