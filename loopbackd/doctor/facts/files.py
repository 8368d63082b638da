"""Files that others wrote, read with a bound."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable


def regularFile(path: str, limit: int) -> bytes | None:
    """
    The content of a file, or as much of it as the limit and one byte more.

    @return: L{None} where there is none, where it cannot be read, and for whatever is no regular
        file: reading a pipe or a device could take for ever.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except (OSError, ValueError):
        return None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        with open(descriptor, "rb", closefd=False) as file:
            return file.read(limit + 1)
    except OSError:
        return None
    finally:
        os.close(descriptor)


def namesIn(directory: str, endings: Iterable[str], limit: int) -> list[str]:
    """The paths of files in a directory by the ends of their names, sorted, so many at most."""
    wanted = tuple(endings)
    try:
        names = sorted(name for name in os.listdir(directory) if name.endswith(wanted))
    except (OSError, ValueError):
        return []
    return [os.path.join(directory, name) for name in names[:limit]]
