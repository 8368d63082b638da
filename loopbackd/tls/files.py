"""Files that are written as a whole or not at all, and that nobody else reads in between."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

NEVER_FOLLOWED = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
"""How everything is opened: no link at the end of a path, no program that inherits it."""


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
