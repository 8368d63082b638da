"""The TLS of whoever connects to us: L{loopbackd.tls.records} after a handshake as the server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IAddress, IProtocol
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from loopbackd.tls.ahead import NotReady, Ready
from loopbackd.tls.end import TLSEnd
from loopbackd.tls.handshake import Handshake, HandshakeError
from loopbackd.tls.hello import ClientHello
from loopbackd.tls.records import Records

_log = Logger()


class TLSLayer(Records):
    """
    Our end of a client's TLS.

    @param ahead: see L{loopbackd.tls.ahead.IAsksAhead}.
    @ivar hello: what the client asked for.
    """

    _end: TLSEnd

    def __init__(
        self,
        end: TLSEnd,
        build: Callable[[IAddress], IProtocol | None],
        ahead: Callable[[ClientHello], Deferred[Ready] | None] | None = None,
    ) -> None:
        super().__init__(end, build)
        self._handshake: Handshake | None = None
        self._ahead = ahead
        self._asking: Deferred[Any] | None = None
        self._ready: Ready | None = None
        self.hello = ClientHello()

    def connectionMade(self) -> None:
        """The handshake must be done in time."""
        self._end.handshakes.start(self)
        terminator, host = self._end.terminator, self.transport.getHost()
        self._handshake = Handshake(terminator, host, self._ahead is not None)

    def _shake(self, data: bytes) -> None:
        handshake = self._handshake
        if handshake is not None:
            self._go(handshake, handshake.feed, data)

    def _go(self, handshake: Handshake, call: Callable[[Any], bytes], argument: Any) -> None:
        try:
            answer = call(argument)
        except HandshakeError as error:
            if error.lastWords:
                self.transport.write(error.lastWords)
            self._handshakeFailed(str(error), error.isOurs)
            return
        if handshake.isDone:
            assert handshake.tls is not None
            self.hello = handshake.hello
            self._handshake = None
            ready, self._ready = self._ready, None
            if ready is not None:
                inside = ready.build
                self._build = lambda _: inside()
            self._begin(handshake.tls, answer)
        elif answer:
            self.transport.write(answer)
        elif handshake.isWaiting and self._asking is None:
            self._ask(handshake)

    # Where somebody else has to be asked first.

    def _ask(self, handshake: Handshake) -> None:
        assert self._ahead is not None
        self._asking = self._ahead(handshake.hello)
        if self._asking is None:
            self._go(handshake, handshake.agree, None)
            return
        # Whoever is asked has a deadline for it.
        self._end.handshakes.stop(self)
        self.transport.pauseProducing()
        self._asking.addCallback(self._told).addErrback(self._notTold)

    def _told(self, ready: Ready) -> None:
        handshake = self._handshake
        if handshake is None or self.disconnecting:
            ready.drop()
            return
        self._ready = ready
        self._end.handshakes.start(self)
        self.transport.resumeProducing()
        self._go(handshake, handshake.agree, ready.alpn)

    def _notTold(self, failure: Failure) -> None:
        if failure.check(CancelledError):
            return
        self._handshake = None
        reason = failure.value
        if not isinstance(reason, NotReady):
            _log.failure("{connection}: no TLS.", failure, connection=self._name())
        if isinstance(reason, NotReady) and not reason.resets:
            self.transport.loseConnection()
        else:
            self.transport.abortConnection()

    def _begun(self) -> None:
        connection = self.connection
        if connection is not None:
            connection.changed("protocol")

    def handshakeDue(self) -> None:
        """The client has had its time."""
        self._sayOf("did not finish its TLS handshake in time; it is reset")
        self.transport.abortConnection()

    def _shakeEnded(self) -> None:
        if self._handshake is not None:
            self._handshakeFailed("it ended before it was done")

    def _handshakeFailed(self, why: str, isOurs: bool = False) -> None:
        self._end.handshakes.stop(self)
        self._handshake = None
        if isOurs:
            _log.error("{connection}: no TLS: {why}", connection=self._name(), why=why)
        else:
            self._sayOf(f"has no TLS handshake: {why}")
        self.transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The stream beneath is gone."""
        self._handshake = None
        if self._asking is not None:
            self._asking.cancel()
        ready, self._ready = self._ready, None
        if ready is not None:
            ready.drop()
        super().connectionLost(reason)

    def _sayOf(self, what: str) -> None:
        more = self._end.untold()
        if more is not None:
            _log.warn("{connection} {what}.{more}", connection=self._name(), what=what, more=more)
