"""The file in which what is usual is remembered: its owner's alone, and replaced as a whole."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import msgspec

from loopbackd.loglines import reasonOf
from loopbackd.tls.files import NEVER_FOLLOWED, writeFile
from loopbackd.tls.store import stateDirectory
from loopbackd.watching.usual import VERSION, Learned, Usual

NAME: Final = "usual.json"
SIZE: Final = 4 << 20
"""The most bytes of it that are read."""

Stamp = tuple[int, int, int]


def memoryPath(environ: Mapping[str, str]) -> Path:
    """Where it is: in C{$LOOPBACKD_STATE_DIR}, or what comes after that (see C{docs/watch.md})."""
    return stateDirectory(environ).parent / NAME


class Memory:
    """
    What is usual, and the file where that is remembered.

    Others may write the file meanwhile: what they have learned counts from the next look on, and
    what they have had forgotten is forgotten.

    @param tell: told what is wrong with the file, once.
    @ivar usual: as it is now.
    """

    def __init__(self, path: Path, ephemeral: range, tell: Callable[[str], None]) -> None:
        self.path = path
        self._says = tell
        self._ephemeral = ephemeral
        self._stamp: Stamp | None = None
        self._isTold = False
        self.usual = self._read()

    def refresh(self) -> None:
        """See whether somebody else has written the file; costs a microsecond if nobody has."""
        if self._look() != self._stamp:
            unsaved = list(self.usual) if self.usual.isChanged else []
            self.usual = self._read()
            self.usual.merge(unsaved)
            self.usual.isChanged = bool(unsaved)

    def save(self) -> None:
        """Write what is new; never raises, what cannot be written is told once."""
        if not self.usual.isChanged:
            return
        self.refresh()
        learned = Learned(version=VERSION, listeners=list(self.usual))
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            content = msgspec.json.format(msgspec.json.encode(learned), indent=1)
            writeFile(self.path, content + b"\n", mode=0o600, replaces=True)
        except OSError as error:
            self._tell(f"it cannot be written ({error.strerror})")
            return
        self.usual.isChanged = self.usual.isFresh = False
        self._stamp = self._look()

    def forget(self) -> bool:
        """Know nothing any more; whether there was a file."""
        self.usual = Usual(self._ephemeral)
        self._stamp = None
        try:
            self.path.unlink()
        except FileNotFoundError:
            return False
        return True

    def _look(self) -> Stamp | None:
        try:
            found = os.lstat(self.path)
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size

    def _read(self) -> Usual:
        self._stamp = self._look()
        if self._stamp is None:
            return Usual(self._ephemeral)
        try:
            learned = msgspec.json.decode(_content(self.path), type=Learned)
            if learned.version != VERSION:
                raise ValueError(f"it is of version {learned.version}, not {VERSION}")
            return Usual(self._ephemeral, learned.listeners, isFresh=False)
        except (OSError, ValueError, RecursionError) as error:
            self._tell(f"it is of no use ({reasonOf(error)})")
            return Usual(self._ephemeral)

    def _tell(self, what: str) -> None:
        if not self._isTold:
            self._isTold = True
            self._says(f"what is usual here is learned anew: {self.path}: {what}")


def _content(path: Path) -> bytes:
    file = os.open(path, os.O_RDONLY | NEVER_FOLLOWED)
    try:
        found = os.fstat(file)
        if not stat.S_ISREG(found.st_mode):
            raise ValueError("it is no file")
        if found.st_uid != os.geteuid():
            raise ValueError(f"it belongs to uid {found.st_uid}")
        if found.st_mode & 0o022:
            raise ValueError(f"others can write it (mode {stat.S_IMODE(found.st_mode):o})")
        if found.st_size > SIZE:
            raise ValueError(f"it has more than {SIZE} bytes")
        with open(file, "rb", closefd=False) as stream:
            return stream.read(SIZE)
    finally:
        os.close(file)
