"""
What C{/proc} says of processes (proc(5)), and nothing where it does not say.

Of everybody's processes it shows owners, threads and command lines, unless it hides them
(hidepid); the executable, the environment, the directory and the descriptors only of our own, and
of all to root.  Reading all processes takes milliseconds: do it in a thread.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from typing import Final

DELETED: Final = " (deleted)"
"""What stands behind the name of a file that is there no more."""

_PAGE: Final = 4096
_WORDS_LIMIT: Final = 256 * 1024
"""How many bytes of a command line, and of an environment, are looked at: a class path is long."""


def pids() -> list[int]:
    """All processes, the highest pid first."""
    names = _namesIn("/proc") or ()
    return sorted((int(name) for name in names if name.isdigit()), reverse=True)


def ownerOf(pid: int) -> int | None:
    """The user of a process: root of one that does not let others look into it."""
    try:
        return os.stat(f"/proc/{pid}").st_uid
    except OSError:
        return None


def wordsOf(pid: int) -> tuple[str, ...]:
    """The command line; never to be shown as it is. Empty for the kernel's own, and the ended."""
    raw = (contentOf(f"/proc/{pid}/cmdline", _WORDS_LIMIT) or b"").rstrip(b"\0")
    return tuple(map(_decoded, raw.split(b"\0"))) if raw else ()


def variablesOf(pid: int, names: Collection[str]) -> dict[str, str]:
    """Those of these variables that the process was started with."""
    wanted = {os.fsencode(name): name for name in names}
    raw = contentOf(f"/proc/{pid}/environ", _WORDS_LIMIT) or b""
    found = {}
    if any(name in raw for name in wanted):
        for entry in raw.split(b"\0"):
            name, _, value = entry.partition(b"=")
            if name in wanted:
                found[wanted[name]] = _decoded(value)
    return found


def executableOf(pid: int) -> str:
    """The path of what runs, with L{DELETED} behind it where that holds; not safe to show."""
    return linkOf(f"/proc/{pid}/exe") or ""


def directoryOf(pid: int) -> str:
    """Where a process runs."""
    return (linkOf(f"/proc/{pid}/cwd") or "").removesuffix(DELETED)


def threadsOf(pid: int) -> frozenset[str]:
    """The names of a process's threads, 15 letters of each."""
    directory = f"/proc/{pid}/task"
    names = _namesIn(directory) or ()
    comms = (contentOf(f"{directory}/{name}/comm") or b"" for name in names)
    return frozenset(_decoded(comm).strip() for comm in comms)


def descriptorsOf(pid: int) -> Iterator[tuple[str, str | None]]:
    """The paths of a process's descriptors, and what each is."""
    directory = f"/proc/{pid}/fd"
    for name in _namesIn(directory) or ():
        path = f"{directory}/{name}"
        yield path, linkOf(path)


def socketsOf(pid: int) -> frozenset[int] | None:
    """The inodes of the sockets a process has open; L{None} where that is not shown."""
    directory = f"/proc/{pid}/fd"
    names = _namesIn(directory)
    if names is None:
        return None
    links = (linkOf(f"{directory}/{name}") or "" for name in names)
    return frozenset(int(link[8:-1]) for link in links if link.startswith("socket:["))


def contentOf(path: str, limit: int = _PAGE) -> bytes | None:
    """The beginning of a file; L{None} where it cannot be read."""
    try:
        with open(path, "rb") as file:
            return file.read(limit)
    except OSError:
        return None


def linkOf(path: str) -> str | None:
    """Where a link leads; L{None} where that is not shown."""
    try:
        return os.readlink(path)
    except OSError:
        return None


def _namesIn(directory: str) -> list[str] | None:
    try:
        return os.listdir(directory)
    except OSError:
        return None


def _decoded(raw: bytes) -> str:
    return raw.decode("utf-8", "backslashreplace")
