"""
TLS between a transport and a protocol once its handshake is done, whichever end of it we are.

Twisted's own layer ends the connection at the first close_notify. Here each direction has its own
end, as TCP's have: what the peer says with close_notify is told as a half-close, and what we say
with it leaves the peer free to go on (RFC 8446 section 6.1). Nothing is put off to another turn of
the reactor: a write is encrypted and handed on at once, so the queue, the producers and the pushing
back are those of the transport beneath.

An end without close_notify may be an attacker's. Many peers do it all the same, so it counts as an
end for a half-closeable protocol; L{Records.truncated} says so, and C{connectionLost} gets a
L{Truncated}, which is a L{ConnectionLost}, instead of a L{ConnectionDone}.
"""

from __future__ import annotations

from collections.abc import Callable

from OpenSSL import SSL
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IAddress,
    IConsumer,
    IHalfCloseableProtocol,
    IHandshakeListener,
    INegotiated,
    IProtocol,
    IPushProducer,
    ISSLTransport,
)
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from loopbackd.tls.end import End
from loopbackd.tls.hearing import Hearing, Truncated


@implementer(ISSLTransport, IConsumer, IPushProducer, INegotiated, IHalfCloseableProtocol)
class Records(Hearing):
    """
    The protocol of the transport beneath, and the transport of the protocol inside.

    The protocol inside is built and connected when the handshake is done, so it never waits for it.

    @param end: what the layers of one service, or to one target, share.
    @param build: gives the protocol for a peer's address, or L{None} to turn it away.
    """

    # For LastWords: closing our side alone is as good here as on a bare transport.
    keepsHalfClose = True

    def __init__(self, end: End, build: Callable[[IAddress], IProtocol | None]) -> None:
        super().__init__(end)
        self._build = build
        self._reason: Failure | None = None

    # What the two ends do differently: the handshake.

    def _shake(self, data: bytes) -> None:
        """Go on with the handshake; L{_begin} when it is done."""
        raise NotImplementedError

    def _shakeEnded(self) -> None:
        """The stream beneath has ended before the handshake was done."""
        raise NotImplementedError

    def _begun(self) -> None:
        """The protocol inside is connected, and has heard nothing yet."""
        raise NotImplementedError

    def _begin(self, tls: SSL.Connection, answer: bytes) -> None:
        """
        The handshake is done: connect the protocol inside.

        @param answer: our last words of it, which go out together with the first of the protocol.
        """
        self._unsent = answer
        self.tls = tls
        self._end.handshakes.stop(self)
        self._canWrite = self._collecting = True
        try:
            inside = self._build(self.transport.getPeer())
            if inside is None:
                self.abortConnection()
                return
            self.wrappedProtocol = inside
            inside.makeConnection(self)
            # Which may have handed over to another.
            if IHandshakeListener.providedBy(self.wrappedProtocol):
                self.wrappedProtocol.handshakeCompleted()
            self._begun()
        except BaseException:
            self._flush()
            raise
        self._deliver()

    # What the peer says.

    def dataReceived(self, data: bytes) -> None:
        """Decrypt, or go on with the handshake."""
        if self.tls is not None:
            # After close_notify nothing counts.
            if not self._readDone:
                self.tls.bio_write(data)
                self._deliver()
        else:
            self._shake(data)

    def readConnectionLost(self, reason: Failure | None = None) -> None:
        """
        The stream beneath has ended.

        @param reason: given by a protocol that has handed this transport on after it heard of the
            end, for the one that has not heard of it yet.
        """
        if reason is not None:
            self._tellEnd()
        elif self.tls is None:
            self._shakeEnded()
        elif not self._readDone:
            self._finBeneath = True
            if not self._paused:
                self._deliver()

    def writeConnectionLost(self) -> None:
        """Our side of the stream beneath is closed, as was asked."""
        if IHalfCloseableProtocol.providedBy(self.protocol):
            self.protocol.writeConnectionLost()

    def _broke(self, why: str) -> None:
        """What came is not TLS any more; the alert goes out, and that is all."""
        self._readDone = True
        self._sayOf(f"broke TLS: {why}")
        self._reason = Failure(ConnectionLost(f"TLS: {why}"))
        self._flush()
        self._canWrite = False
        self.disconnecting = True
        producer, self._producer = self._producer, None
        if producer is not None:
            self.transport.unregisterProducer()
            producer.stopProducing()
        self.transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The stream beneath is gone."""
        self._end.handshakes.stop(self)
        self._readDone = True
        self._canWrite = False
        self.disconnecting = True
        self.tls = None
        if hasattr(self, "wrappedProtocol"):
            if self.truncated and reason.check(ConnectionDone):
                reason = Failure(Truncated("the peer ended without close_notify"))
            self.wrappedProtocol.connectionLost(self._reason or reason)

    # The transport of the protocol inside: what else it can ask.

    def abortConnection(self) -> None:
        """Reset the stream beneath; nothing is said any more."""
        self.disconnecting = True
        self._readDone = True
        self._canWrite = False
        self.transport.abortConnection()
