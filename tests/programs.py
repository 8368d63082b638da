"""Running programs that nobody here wrote, from tests that serve them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Awaitable, Callable
from typing import Any

from twisted.internet.threads import deferToThread

from loopbackd.service import Loopback
from loopbackd.testing import addressOf

Program = Callable[..., str]
"""What the fixture C{program} gives: names to a path."""

PATIENCE = 20
"""Seconds a program may take."""


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
