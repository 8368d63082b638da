"""
The directory of the authority: its owner's alone.

Nothing is followed that could be a link, and a key that others could have read is not used.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path

from loopbackd.loglines import reasonOf
from loopbackd.settings import SettingsError
from loopbackd.tls.files import NEVER_FOLLOWED, writeIn


class PrivateDirectory:
    """
    A directory that is ours alone, made if need be; what is in it is reached through it.

    @raise SettingsError: it cannot be, or others could write there.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.descriptor = -1

    def __enter__(self) -> PrivateDirectory:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with suppress(FileExistsError):
                self.path.mkdir(mode=0o700)
            self.descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | NEVER_FOLLOWED)
        except OSError as error:
            raise SettingsError(
                f"authority: {self.path}: {_why(error)}; have another directory with"
                " LOOPBACKD_STATE_DIR, or directory = ... in [authority]"
            ) from None
        status = os.fstat(self.descriptor)
        wrong = _notOurs(status) or ("others can write there" if status.st_mode & 0o022 else "")
        if wrong:
            self.__exit__()
            raise SettingsError(f"authority: {self.path}: {wrong}; chmod 700 it, or use another")
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.descriptor)

    def open(self, name: str, how: int, mode: int = 0) -> int:
        """A descriptor of a file in it."""
        try:
            return os.open(name, how | NEVER_FOLLOWED, mode, dir_fd=self.descriptor)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise SettingsError(f"authority: {self.path / name}: {_why(error)}") from None

    def read(self, name: str) -> bytes:
        """The content of a file in it."""
        file = self.open(name, os.O_RDONLY)
        try:
            if not stat.S_ISREG(os.fstat(file).st_mode):
                raise SettingsError(f"authority: {self.path / name}: it is no file")
            with open(file, "rb", closefd=False) as stream:
                return stream.read()
        finally:
            os.close(file)

    def append(self, name: str, line: bytes) -> None:
        """
        Add a line to a file, which is made if need be; or nothing: what has half a line cannot be
        read any more.

        @raise SettingsError: it cannot be written; the disk is full, for one.
        """
        file = self.open(name, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            size = os.fstat(file).st_size
            if os.write(file, line) < len(line):
                os.ftruncate(file, size)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(file)
        except OSError as error:
            raise SettingsError(f"authority: {self.path / name}: {_why(error)}") from None
        finally:
            os.close(file)

    def readSecret(self, name: str) -> bytes:
        """
        The content of a file that nobody else can have read.

        @raise FileNotFoundError: there is none.
        @raise SettingsError: others could have.
        """
        with open(self.open(name, os.O_RDONLY), "rb") as file:
            status = os.fstat(file.fileno())
            wrong = _notOurs(status)
            if not wrong and not stat.S_ISREG(status.st_mode):
                wrong = "it is no file"
            if not wrong and status.st_mode & 0o077:
                wrong = f"others can use it (mode {stat.S_IMODE(status.st_mode):o})"
            if wrong:
                raise SettingsError(
                    f"authority: {self.path / name}: {wrong}, so its key is not safe; make another"
                    " authority: loopbackd ca create --replace"
                )
            return file.read()

    def write(self, name: str, content: bytes, *, replaces: bool, mode: int = 0o600) -> bool:
        """
        Write a file as a whole, or not at all.

        @param replaces: what is there goes; otherwise it stays.
        @return: whether this is the one that is there now.
        """
        try:
            writeIn(self.descriptor, name, content, mode=mode, replaces=replaces)
        except FileExistsError:
            return False
        except OSError as error:
            raise SettingsError(f"authority: {self.path / name}: {_why(error)}") from None
        return True


def _notOurs(status: os.stat_result) -> str:
    return f"it belongs to uid {status.st_uid}" if status.st_uid != os.geteuid() else ""


def _why(error: OSError) -> str:
    if error.errno in (errno.ELOOP, errno.EMLINK):
        return "it is a symbolic link, which is not followed"
    return reasonOf(error)
