"""
The programs that run on this machine, by their command lines and a few variables (proc(5)).

The command lines of all users' are there for everybody, unless C{/proc} hides them (hidepid); the
environment, the executable and the sockets only where the kernel lets us look: of our own
processes, or as root.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

COMMAND_LIMIT: Final = 256 * 1024
"""How many bytes of a command line are looked at: a class path may come first."""

_ENVIRON_LIMIT: Final = 256 * 1024
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
    try:
        pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return []
    prefixes = {os.fsencode(name): name for name in variables}
    return [found for pid in pids if (found := _read(pid, prefixes)) is not None]


def _read(pid: int, variables: Mapping[bytes, str]) -> Running | None:
    there = f"/proc/{pid}"
    cmdline = contentOf(f"{there}/cmdline", COMMAND_LIMIT).rstrip(b"\0")
    try:
        uid = os.stat(there).st_uid
    except OSError:
        return None
    if not cmdline:  # the kernel's own threads, and what has ended
        return None
    words = tuple(_decode(word) for word in cmdline.split(b"\0"))
    environ = dict(_chosen(contentOf(f"{there}/environ", _ENVIRON_LIMIT), variables))
    return Running(pid, uid, words, _link(f"{there}/exe"), environ)


def _chosen(environ: bytes, variables: Mapping[bytes, str]) -> Iterator[tuple[str, str]]:
    if any(name in environ for name in variables):
        for entry in environ.split(b"\0"):
            name, _, value = entry.partition(b"=")
            if name in variables:
                yield variables[name], _decode(value)


def socketsOf(pid: int) -> frozenset[int] | None:
    """The inodes of the sockets a process has open; L{None} where that is not shown."""
    directory = f"/proc/{pid}/fd"
    try:
        links = [_link(f"{directory}/{name}") for name in os.listdir(directory)]
    except OSError:
        return None
    return frozenset(int(link[8:-1]) for link in links if link.startswith("socket:["))


def threadsOf(pid: int) -> frozenset[str]:
    """The names of a process's threads, 15 letters of each; everybody may see them."""
    directory = f"/proc/{pid}/task"
    try:
        names = os.listdir(directory)
    except OSError:
        return frozenset()
    return frozenset(_decode(contentOf(f"{directory}/{name}/comm", 64)).strip() for name in names)


def contentOf(path: str, limit: int) -> bytes:
    """The first bytes of a file; nothing where it cannot be read."""
    try:
        with open(path, "rb") as file:
            return file.read(limit)
    except OSError:
        return b""


def directoryOf(pid: int) -> str:
    """Where a process runs; empty where that cannot be seen."""
    return _link(f"/proc/{pid}/cwd")


def _link(path: str) -> str:
    try:
        return os.readlink(path).removesuffix(" (deleted)")
    except OSError:
        return ""


def _decode(raw: bytes) -> str:
    return raw.decode("utf-8", "backslashreplace")
