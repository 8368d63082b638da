"""Files that others wrote, read with a bound."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable

from loopbackd.peer.proc import contentOf


def regularFile(path: str, limit: int) -> bytes | None:
    """
    The content of a file, or as much of it as the limit and one byte more.

    @return: L{None} where there is none, where it cannot be read, and for whatever is no regular
        file.
    """
    try:
        return readRegular(path, limit + 1)[0]
    except (OSError, ValueError):
        return None


def readRegular(path: str, most: int) -> tuple[bytes, os.stat_result]:
    """
    The first bytes of a file, so many at most, and whose it is.

    @raise OSError: there is none, it cannot be read, or it is no regular file: reading a pipe or a
        device could take for ever.
    @raise ValueError: nothing can be called like that.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "it is no regular file")
        with open(descriptor, "rb", closefd=False) as file:
            # There are files of the kernel's that look regular, and wait: those give nothing.
            return file.read(most) or b"", status
    finally:
        os.close(descriptor)


def textOf(path: str, limit: int = 65536) -> str:
    """The beginning of a file that the system keeps; empty where it cannot be read."""
    return (contentOf(path, limit) or b"").decode("utf-8", "replace")


def namesIn(directory: str, endings: Iterable[str], limit: int) -> list[str]:
    """The paths of files in a directory by the ends of their names, sorted, so many at most."""
    wanted = tuple(endings)
    try:
        names = sorted(name for name in os.listdir(directory) if name.endswith(wanted))
    except (OSError, ValueError):
        return []
    return [os.path.join(directory, name) for name in names[:limit]]
