"""A TLS layer in memory, between a protocol that notes things and a client of pyOpenSSL's."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from OpenSSL import SSL
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from zope.interface import implementer

from loopbackd.tls.end import TLSEnd
from loopbackd.tls.layer import TLSLayer
from loopbackd.tls.terminator import Terminator
from tls.ends import clientContext, storeIn


@implementer(IHalfCloseableProtocol)
class Inside(Protocol):
    """Notes what it is told."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def connectionMade(self) -> None:
        self.told.append("made")

    def dataReceived(self, data: bytes) -> None:
        self.told.append(data)

    def readConnectionLost(self) -> None:
        self.told.append("read lost")

    def writeConnectionLost(self) -> None:
        self.told.append("write lost")

    def connectionLost(self, reason: Any = None) -> None:
        self.told.append(reason.type.__name__)


class Ignorant(Protocol):
    """Knows nothing of half-closes."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def dataReceived(self, data: bytes) -> None:
        self.told.append(data)

    def connectionLost(self, reason: Any = None) -> None:
        self.told.append(reason.type.__name__)


class Beneath(StringTransport):
    """A transport in memory, whose ends are counted."""

    connection = None
    peerFinished = False
    finished = 0

    def loseWriteConnection(self) -> None:
        self.finished += 1


class Case:
    """A layer in memory with a client of pyOpenSSL's at the other end."""

    def __init__(self, tmp_path: Path, inside: Any = None, version: str | None = None) -> None:
        self.clock = Clock()
        self.end = TLSEnd(Terminator(storeIn(tmp_path)), self.clock)
        self.inside = Inside() if inside is None else inside
        self.layer = TLSLayer(self.end, lambda _: self.inside)
        self.beneath = Beneath()
        self.layer.makeConnection(self.beneath)
        self.client = SSL.Connection(clientContext(version), None)
        self.client.set_connect_state()

    def pump(self) -> None:
        """Carry bytes both ways until there are none."""
        moved = True
        while moved:
            moved = False
            try:
                data = self.client.bio_read(1 << 20)
                self.layer.dataReceived(data)
                moved = True
            except SSL.WantReadError:
                pass
            if self.beneath.value():
                self.client.bio_write(self.beneath.value())
                self.beneath.clear()
                moved = True

    def shake(self) -> Case:
        """Do the handshake."""
        for _ in range(3):
            with suppress(SSL.WantReadError):
                self.client.do_handshake()
            self.pump()
        return self

    def hear(self) -> bytes:
        """What the client got."""
        self.pump()
        try:
            return self.client.recv(1 << 20)
        except SSL.WantReadError:
            return b""


def connectionLost() -> Any:
    """A clean end, seen from beneath."""
    return Failure(ConnectionDone())


class Producer:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def pauseProducing(self) -> None:
        self.told.append("pause")

    def resumeProducing(self) -> None:
        self.told.append("resume")

    def stopProducing(self) -> None:
        self.told.append("stop")
