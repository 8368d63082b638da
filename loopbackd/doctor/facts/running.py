"""The programs that run on this machine, by their command lines and a few variables."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from loopbackd.peer.proc import DELETED, executableOf, ownerOf, pids, variablesOf, wordsOf

_NOTHING: Final[Mapping[str, str]] = {}


@dataclass(frozen=True, slots=True)
class Running:
    """
    A process that has a command line.

    @ivar words: the command line; never to be shown as it is.
    @ivar path: its executable; empty where that cannot be seen.
    @ivar environ: those of the variables that were asked for.
    """

    pid: int
    uid: int
    words: tuple[str, ...] = field(repr=False)
    path: str = ""
    environ: Mapping[str, str] = field(default_factory=lambda: _NOTHING, repr=False)

    @property
    def names(self) -> tuple[str, str]:
        """The last part of the executable's path, and of the command line's first word."""
        return self.path.rpartition("/")[2], self.words[0].rpartition("/")[2]


def running(variables: Collection[str]) -> list[Running]:
    """
    All of them; whatever cannot be read is left out.

    @param variables: the names of those wanted of the environment.
    """
    return [found for pid in pids() if (found := _look(pid, variables)) is not None]


def _look(pid: int, variables: Collection[str]) -> Running | None:
    words, uid = wordsOf(pid), ownerOf(pid)
    if not words or uid is None:  # the kernel's own threads, and what has ended
        return None
    path = executableOf(pid).removesuffix(DELETED)
    return Running(pid, uid, words, path, variablesOf(pid, variables))
