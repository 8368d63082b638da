"""
What comes on an eager transport: counted, and given to the protocol or to what is interposed.

What the protocol does not catch is logged here, and ends its own connection alone.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from twisted.internet import main
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from loopbackd.connection import Connection, reasonOf
from loopbackd.net.interposing import Interposed

_log = Logger()
CONNECTION_DONE = Failure(main.CONNECTION_DONE)
"""How a connection is lost without harm; one for all of them."""


class StreamReactor(Protocol):
    """What an eager transport asks of its reactor beyond Twisted's interfaces."""

    def soon(self, call: Callable[[], object]) -> None:
        """Call after what runs now has returned, before anything is waited for."""

    def rest(self, reader: Any) -> None:
        """Watch a reader no more for something to read, but still for a reset."""


class Delivers:
    """
    The half of an eager transport that hears.

    @ivar bytesReceived: bytes read from the peer.
    @ivar peerFinished: whether the peer has finished sending.
    @ivar connection: the facts about this stream, where it came through a service.
    @ivar pump: who has taken over reading and writing; L{None} where that is the protocol.
    @ivar wire: what stands between the stream and its protocol; L{None} where nothing does.
    """

    bytesReceived = 0
    peerFinished = False
    _eager = False
    connection: Connection | None = None
    pump: Any = None
    wire: Interposed | None = None

    if TYPE_CHECKING:
        TLS: bool
        connected: int | bool
        disconnecting: int | bool
        dataBuffer: bytes
        producer: Any
        streamingProducer: bool
        protocol: Any
        producerPaused: bool
        reactor: StreamReactor
        socket: socket.socket
        bufferSize: int
        _tempDataLen: int
        _writeDisconnected: bool
        _writeDisconnecting: bool
        _aborting: bool

        def startReading(self) -> None: ...
        def stopReading(self) -> None: ...
        def startWriting(self) -> None: ...
        def stopWriting(self) -> None: ...
        def _maybePauseProducer(self) -> None: ...
        def _closeWriteConnection(self) -> None: ...
        def loseBeneath(self) -> None: ...
        def _mayPass(self) -> bool: ...

    def _dataReceived(self, data: bytes) -> Exception | None:
        """
        Count, then give the data to the protocol.

        What a protocol raises is logged here with the connection it happened on, and ends that
        connection alone.
        """
        if not data:
            return main.CONNECTION_DONE
        self.bytesReceived += len(data)
        if self.wire is not None:
            self.wire.received(data)
            return None
        try:
            self.protocol.dataReceived(data)
        except Exception as problem:
            protocolFailed(self, "dataReceived")
            return problem
        return None

    def deliver(self, data: bytes) -> None:
        """Give the protocol what came, from what is interposed."""
        try:
            self.protocol.dataReceived(data)
        except Exception:
            problem = Failure()
            protocolFailed(self, "dataReceived")
            if self.connected:
                self.connectionLost(problem)
            elif self.wire is not None:
                self.wire.aborted()

    def readConnectionLost(self, reason: Failure) -> None:
        """
        The peer has finished sending.

        A half-closeable protocol is told and decides.  For any other the connection ends, after
        what it has written and what a producer that waits for its turn still writes.
        """
        if self._aborting:
            return
        if not self.peerFinished:
            self.peerFinished = True
            if self.connection is not None:
                self.connection.changed("half-closed")
        if self.wire is not None:
            self.wire.ended()
        else:
            self.deliverEnd(reason)

    def deliverEnd(self, reason: Failure = CONNECTION_DONE) -> None:
        """Tell the protocol that the peer has finished sending, or end for it."""
        aware = IHalfCloseableProtocol(self.protocol, None)
        if aware is not None:
            try:
                aware.readConnectionLost()
            except Exception:
                protocolFailed(self, "readConnectionLost")
                self.connectionLost(Failure())
        elif self.producer is not None or not self._mayPass():
            self.loseBeneath()
        else:
            self.connectionLost(reason)

    def pauseProducing(self) -> None:
        """Give the protocol nothing for now."""
        if self.wire is not None:
            self.wire.pauseReading()
        else:
            self.rest()

    def rest(self) -> None:
        """Read nothing for now, but notice a reset."""
        if self.connected:
            self.reactor.rest(self)

    def resumeProducing(self) -> None:
        """Read on; not where the peer has finished and there is nothing to read."""
        if self.wire is not None:
            self.wire.resumeReading()
        elif self.connected and not self.disconnecting and not self.peerFinished:
            self.startReading()

    def connectionLost(self, reason: Failure) -> None:
        """The stream ended: settle the facts, then tell the protocol."""
        self._eager = False
        if self.connection is not None:
            self.connection.ended(reasonOf(reason))
        try:
            super().connectionLost(reason)  # type: ignore[misc]
        except BaseException:
            protocolFailed(self, "connectionLost")
            if hasattr(self, "socket"):
                # It was the producer that failed, before Twisted closed the socket.
                self.producer = None
                super().connectionLost(reason)  # type: ignore[misc]


def protocolFailed(transport: Any, where: str) -> None:
    """Log the exception being handled as the fault of the transport's protocol."""
    _log.failure(
        "{connection}: {protocol}.{where} failed; the connection is closed.",
        connection=transport.connection or transport,
        protocol=type(_inside(getattr(transport, "protocol", None))).__name__,
        where=where,
    )


def _inside(protocol: object) -> object:
    """The protocol that layers such as TLS are around."""
    while hasattr(protocol, "wrappedProtocol"):
        protocol = protocol.wrappedProtocol
    return protocol
