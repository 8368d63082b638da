"""Files that are written as a whole or not at all, and that nobody else reads in between."""

from __future__ import annotations

import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

_SMALL = 1 << 16

NEVER_FOLLOWED = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
"""How everything is opened: no link at the end of a path, no program that inherits it."""


def readSmall(path: Path) -> bytes:
    """
    What is in a file of somebody else's, who may have made it something without an end.

    @raise OSError: it cannot be read.
    @raise ValueError: it is no file, or a big one.
    """
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode) or status.st_size > _SMALL:
            raise ValueError(f"it is no file of at most {_SMALL} bytes")
        return os.read(file, _SMALL)
    finally:
        os.close(file)


def writeFile(path: Path, content: bytes, *, mode: int, replaces: bool) -> None:
    """
    Write a file, in a directory that is there.

    @param mode: its permissions, from the first moment on and whatever the umask.
    @param replaces: what is there goes; otherwise it stays, and L{FileExistsError} is raised.
    @raise OSError: it cannot be; then everything is as it was.
    """
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        writeIn(directory, path.name, content, mode=mode, replaces=replaces)
    finally:
        os.close(directory)


def writeIn(directory: int, name: str, content: bytes, *, mode: int, replaces: bool) -> None:
    """L{writeFile}, in an open directory."""
    passing = f".{name}.{secrets.token_hex(8)}"
    how = os.O_WRONLY | os.O_CREAT | os.O_EXCL | NEVER_FOLLOWED
    file = os.open(passing, how, mode, dir_fd=directory)
    try:
        with open(file, "wb") as stream:
            os.fchmod(file, mode)
            stream.write(content)
            stream.flush()
            os.fsync(file)
        if replaces:
            os.rename(passing, name, src_dir_fd=directory, dst_dir_fd=directory)
        else:
            os.link(passing, name, src_dir_fd=directory, dst_dir_fd=directory)
        os.fsync(directory)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(passing, dir_fd=directory)
