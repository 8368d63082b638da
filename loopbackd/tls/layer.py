"""
TLS between a transport and a protocol, without losing what the transport can do.

Twisted's own layer ends the connection at the first close_notify. Here each direction has its own
end, as TCP's have: what the peer says with close_notify is told as a half-close, and what we say
with it leaves the peer free to go on (RFC 8446 section 6.1). Nothing is put off to another turn of
the reactor: a write is encrypted and handed on at once, so the queue, the producers and the pushing
back are those of the transport beneath.

An end without close_notify may be an attacker's. Many clients do it all the same, so it counts as
an end for a half-closeable protocol; L{TLSLayer.truncated} says so, and C{connectionLost} gets a
L{ConnectionLost} instead of a L{ConnectionDone}.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

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
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from loopbackd.net.eager import protocolFailed
from loopbackd.tls.end import TLSEnd
from loopbackd.tls.handshake import Handshake, HandshakeError, explained
from loopbackd.tls.hello import ClientHello
from loopbackd.tls.speaking import Speaking

_log = Logger()

# The plaintext of a record (RFC 8446 5.1).
_RECORD = 1 << 14


@implementer(ISSLTransport, IConsumer, IPushProducer, INegotiated, IHalfCloseableProtocol)
class TLSLayer(Speaking):
    """
    The protocol of the transport beneath, and the transport of the protocol inside.

    The protocol inside is built and connected when the handshake is done, so it never waits for it.

    @param build: gives the protocol for a peer's address, or L{None} to turn it away.
    @ivar wrappedProtocol: the protocol inside; not there before the handshake is done.
    @ivar hello: what the client asked for.
    @ivar truncated: the peer has ended without saying so.
    """

    wrappedProtocol: Any

    # For LastWords: closing our side alone is as good here as on a bare transport.
    keepsHalfClose = True

    def __init__(self, end: TLSEnd, build: Callable[[IAddress], IProtocol | None]) -> None:
        super().__init__()
        self._end = end
        self._build = build
        self._handshake: Handshake | None = None
        self.hello = ClientHello()
        self._readDone = False
        self._finBeneath = False
        self._paused = False
        self._held = False
        self._delivering = False
        self._reason: Failure | None = None
        self.truncated = False

    # The protocol of the transport beneath: the handshake.

    def connectionMade(self) -> None:
        """The handshake must be done in time."""
        self._end.handshakes.start(self)
        self._handshake = Handshake(self._end.terminator, self.transport.getHost())

    def dataReceived(self, data: bytes) -> None:
        """Decrypt, or go on with the handshake."""
        if self.tls is not None:
            # After close_notify nothing counts.
            if not self._readDone:
                self.tls.bio_write(data)
                self._deliver()
        elif self._handshake is not None:
            self._shake(self._handshake, data)

    def _shake(self, handshake: Handshake, data: bytes) -> None:
        try:
            answer = handshake.feed(data)
        except HandshakeError as error:
            if error.lastWords:
                self.transport.write(error.lastWords)
            self._handshakeFailed(str(error), error.isOurs)
            return
        if handshake.isDone:
            # Our last words of it go out together with the first of the protocol inside.
            self._unsent = answer
            self.tls, self.hello = handshake.tls, handshake.hello
            self._handshake = None
            self._begin()
        elif answer:
            self.transport.write(answer)

    def _begin(self) -> None:
        """The handshake is done: connect the protocol inside."""
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
            connection = self.connection
            if connection is not None:
                connection.changed("protocol")
        except BaseException:
            self._flush()
            raise
        self._deliver()

    def handshakeDue(self) -> None:
        """The client has had its time."""
        self._sayOf("did not finish its TLS handshake in time; it is reset")
        self.transport.abortConnection()

    def _handshakeFailed(self, why: str, isOurs: bool = False) -> None:
        self._end.handshakes.stop(self)
        self._handshake = None
        if isOurs:
            _log.error("{connection}: no TLS: {why}", connection=self._name(), why=why)
        else:
            self._sayOf(f"has no TLS handshake: {why}")
        self.transport.loseConnection()

    # What the peer says.

    def _deliver(self) -> None:
        """Give the protocol inside what there is, until it has had enough."""
        if self._delivering or self.tls is None:
            return
        self._delivering = self._collecting = True
        try:
            while not (self._paused or self._readDone or self.disconnecting):
                try:
                    data = self.tls.recv(_RECORD)
                except SSL.WantReadError:
                    if self._finBeneath:
                        self._peerFinished(truncated=True)
                    break
                except SSL.ZeroReturnError:
                    self._peerFinished(truncated=False)
                    break
                except SSL.Error as error:
                    self._broke(explained(error))
                    break
                self.wrappedProtocol.dataReceived(data)
                if self.tls is None:
                    return
        finally:
            self._delivering = False
            # Also what TLS itself has to answer.
            self._flush()
        self._held = self._paused

    def _deliverHeld(self) -> None:
        """Go on where nobody is looking; what is raised ends this connection, as elsewhere."""
        if self.tls is None or self._paused:
            return
        try:
            self._deliver()
        except BaseException:
            protocolFailed(self, "dataReceived")
            self.transport.abortConnection()

    def readConnectionLost(self, reason: Failure | None = None) -> None:
        """
        The stream beneath has ended.

        @param reason: given by a protocol that has handed this transport on after it heard of the
            end, for the one that has not heard of it yet.
        """
        if reason is not None:
            self._tellEnd()
        elif self._handshake is not None:
            self._handshakeFailed("it ended before it was done")
        elif not self._readDone:
            self._finBeneath = True
            if not self._paused:
                self._deliver()

    def _peerFinished(self, truncated: bool) -> None:
        self._readDone = True
        self.truncated = truncated
        if truncated:
            _log.debug(
                "{connection} ended without close_notify; what it said may have been cut short.",
                connection=self._name(),
            )
        elif not getattr(self.transport, "peerFinished", True):
            # So that the table shows it: what still comes beneath is not for anybody.
            self.transport.peerFinished = True
            if self.connection is not None:
                self.connection.changed("half-closed")
        self._tellEnd()

    def _tellEnd(self) -> None:
        if IHalfCloseableProtocol.providedBy(self.wrappedProtocol):
            self.wrappedProtocol.readConnectionLost()
        else:
            self.loseConnection()

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
        self._handshake = None
        if hasattr(self, "wrappedProtocol"):
            if self.truncated and reason.check(ConnectionDone):
                reason = Failure(ConnectionLost("the peer ended without close_notify"))
            self.wrappedProtocol.connectionLost(self._reason or reason)

    # The transport of the protocol inside: what else it can ask.

    def abortConnection(self) -> None:
        """Reset the stream beneath; nothing is said any more."""
        self.disconnecting = True
        self._readDone = True
        self._canWrite = False
        self.transport.abortConnection()

    def pauseProducing(self) -> None:
        """Deliver nothing more; nothing more is read either."""
        self._paused = True
        if self.tls is not None:
            self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        """Deliver again, what was held back first."""
        self._paused = False
        if self.tls is None or self.disconnecting:
            return
        self.transport.resumeProducing()
        if (self._held or self._finBeneath) and not self._delivering:
            self._held = False
            self._end.soon(self._deliverHeld)

    def stopProducing(self) -> None:
        """See L{IPushProducer}."""
        self.loseConnection()

    @property
    def peerFinished(self) -> bool:
        """Whether the peer has finished sending."""
        return self._readDone

    def _name(self) -> object:
        return self.connection or self.transport.getPeer()

    def _sayOf(self, what: str) -> None:
        more = self._end.untold()
        if more is not None:
            _log.warn("{connection} {what}.{more}", connection=self._name(), what=what, more=more)
