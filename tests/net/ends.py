"""What the tests of the batch reactor stand on: a real reactor that only notes, and stream ends."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IReactorFDSet
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer


@implementer(IReactorFDSet)
class Still(Clock):
    """Stands for the real reactor: knows whom it would watch."""

    def __init__(self) -> None:
        super().__init__()
        self.reading: set[Any] = set()
        self.writing: set[Any] = set()
        self.addReader, self.removeReader = self.reading.add, self.reading.discard
        self.addWriter, self.removeWriter = self.writing.add, self.writing.discard


class Real(Still):
    """The same, and it takes time to look at the time."""

    def seconds(self) -> float:
        """Time passes by being looked at."""
        self.rightNow += 0.0005
        return super().seconds()


class End:
    """One end of a stream, that remembers what happened to it and then does as it was told."""

    def __init__(self, core: Any, sock: socket.socket) -> None:
        self.core = core
        self.sock = sock
        self.told: list[str] = []
        self.doing: Callable[[], Any] = lambda: None
        self.lost: BaseException | None = None

    def fileno(self) -> int:
        return self.sock.fileno()

    def logPrefix(self) -> str:
        return "end"

    def doRead(self) -> Any:
        self.told.append("read")
        return self.doing()

    def doWrite(self) -> Any:
        self.told.append("write")
        return self.doing()

    def connectionLost(self, reason: Failure) -> None:
        self.told.append("lost")
        self.lost = reason.value
        self.close()

    def close(self) -> None:
        self.core.removeReader(self)
        self.core.removeWriter(self)
        self.sock.close()
