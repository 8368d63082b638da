"""What a project says of debuggers, whichever file says it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from loopbackd.debuggers.jdwp import JDWP


@dataclass(frozen=True, slots=True)
class Configured:
    """
    A configuration of an IDE's debugger.

    @ivar kind: one of L{loopbackd.debuggers.debugger.TITLES}.
    @ivar name: as its user called it.
    @ivar host: where the debugger goes, or listens.
    @ivar port: L{None} for one that is unknown.
    @ivar isListening: the debugger listens, and the program connects to it.
    @ivar file: what says so, and C{line} where in it; 0 if unknown.
    @ivar unknown: why the host or the port is unknown; empty where both are known.
    """

    kind: str
    name: str
    host: str
    port: int | None
    isListening: bool = False
    file: str = ""
    line: int = 0
    unknown: str = ""

    @property
    def where(self) -> str:
        """The file, with the line."""
        return located(self.file, self.line)


@dataclass(frozen=True, slots=True)
class Told:
    """
    Options that a project, or the environment, gives to JVMs which are to be started.

    @ivar by: who starts them, in words.
    @ivar byIDE: an IDE starts them, which adds an agent of its own where it debugs.
    """

    jdwp: JDWP
    by: str
    file: str = ""
    line: int = 0
    byIDE: bool = False

    @property
    def where(self) -> str:
        """The file, with the line."""
        return located(self.file, self.line)


@dataclass(frozen=True, slots=True)
class Project:
    """
    What a directory's files say of debuggers.

    @ivar missing: what could not be read, and why, a line each.
    """

    directory: str
    configured: tuple[Configured, ...] = ()
    told: tuple[Told, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def javaPorts(self) -> frozenset[int]:
        """The ports that a Java debugger is told to connect to, on whatever host."""
        return frozenset(
            one.port
            for one in self.configured
            if one.kind == "java" and one.port is not None and not one.isListening
        )


def located(file: str, line: int) -> str:
    """A place in a file, as compilers write it."""
    return f"{file}:{line}" if line else file


def portOf(value: object) -> int | None:
    """The port that a file says, as a number or a text; L{None} for anything else."""
    if isinstance(value, str) and value.isascii() and value.strip().isdigit():
        value = int(value) if len(value.strip()) < 6 else None
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 65536:
        return value
    return None


def toldIn(options: Iterable[JDWP], by: str, file: str, line: int, byIDE: bool) -> list[Told]:
    """The same for each of these options."""
    return [Told(jdwp, by, file, line, byIDE) for jdwp in options]
