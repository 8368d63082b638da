"""Running programs that nobody here wrote, from tests that serve them."""

from __future__ import annotations

import os
import ssl
import subprocess
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from running import PATIENCE
from twisted.internet.threads import deferToThread

from loopbackd.service import Loopback
from loopbackd.testing import addressOf

Program = Callable[..., str]
"""What the fixture C{program} gives: names to a path."""

HOST = "localhost"
"""What the clients call it."""


@dataclass(frozen=True)
class Served:
    """
    A daemon that clients can be sent to.

    @ivar port: where it speaks everything, on 127.0.0.1 and on [::1].
    @ivar authority: the PEM file of who signs its certificates.
    """

    port: int
    authority: Path

    def url(self, path: str = "/", scheme: str = "http", host: str = HOST) -> str:
        """The address of something it has."""
        return f"{scheme}://{host}:{self.port}{path}"

    @property
    def trusting(self) -> ssl.SSLContext:
        """What a Python client needs that trusts the authority."""
        return ssl.create_default_context(cafile=self.authority)


class Ran:
    """What a program did: C{code}, C{out} and C{err}."""

    def __init__(self, done: subprocess.CompletedProcess[bytes]) -> None:
        self.code = done.returncode
        self.out = done.stdout
        self.err = done.stderr


def run(
    *argv: str,
    stdin: bytes | None = b"",
    environ: dict[str, str] | None = None,
    patience: float = PATIENCE,
) -> Awaitable[Ran]:
    """
    Run a program to its end, in a thread.

    @param stdin: all of it, with an end behind it; L{None} for an input that stays open and empty.
    @param environ: what is added to the environment.
    """
    others: Any = {
        "capture_output": True,
        "timeout": patience,
        "env": {**os.environ, **(environ or {})},
    }

    def inThread() -> Ran:
        if stdin is not None:
            return Ran(subprocess.run(argv, input=stdin, **others))
        reading, writing = os.pipe()
        try:
            return Ran(subprocess.run(argv, stdin=reading, **others))
        finally:
            os.close(reading)
            os.close(writing)

    return deferToThread(inThread)


def where(loopback: Loopback) -> tuple[str, str]:
    """Host and port, as words of a command."""
    address: Any = addressOf(loopback)
    return address.host, str(address.port)


def netcat(program: Program) -> str:
    """OpenBSD's nc: the others know other options."""
    path = program("nc.openbsd", "nc")
    usage = subprocess.run([path, "-h"], capture_output=True, timeout=PATIENCE)
    return path if b"OpenBSD" in usage.stdout + usage.stderr else program("nc.openbsd")


def urlOf(loopback: Loopback, path: str = "/") -> str:
    """The address of something that is served by HTTP."""
    return "http://{}:{}{}".format(*where(loopback), path)


async def curled(curl: str, loopback: Loopback, path: str, *options: str) -> Ran:
    """What curl, which must succeed, makes of something that is served by HTTP."""
    ran = await run(curl, "-qsS", "--noproxy", "*", *options, urlOf(loopback, path))
    assert (ran.code, ran.err) == (0, b"")
    return ran


async def untilGreeted(argv: list[str], lines: int = 2) -> bytes:
    """The first lines that a program prints whose input stays open; then it is ended."""

    def inThread() -> bytes:
        process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert process.stdout is not None
        try:
            return b"".join(process.stdout.readline() for _ in range(lines))
        finally:
            process.kill()
            process.communicate()

    heard = await deferToThread(inThread)
    assert isinstance(heard, bytes)
    return heard
