"""The TLS of whoever connects to us: L{loopbackd.tls.records} after a handshake as the server."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IAddress, IProtocol
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from loopbackd.tls.end import TLSEnd
from loopbackd.tls.handshake import Handshake, HandshakeError
from loopbackd.tls.hello import ClientHello
from loopbackd.tls.records import Records

_log = Logger()


class TLSLayer(Records):
    """
    Our end of a client's TLS.

    @ivar hello: what the client asked for.
    """

    _end: TLSEnd

    def __init__(self, end: TLSEnd, build: Callable[[IAddress], IProtocol | None]) -> None:
        super().__init__(end, build)
        self._handshake: Handshake | None = None
        self.hello = ClientHello()

    def connectionMade(self) -> None:
        """The handshake must be done in time."""
        self._end.handshakes.start(self)
        self._handshake = Handshake(self._end.terminator, self.transport.getHost())

    def _shake(self, data: bytes) -> None:
        handshake = self._handshake
        if handshake is None:
            return
        try:
            answer = handshake.feed(data)
        except HandshakeError as error:
            if error.lastWords:
                self.transport.write(error.lastWords)
            self._handshakeFailed(str(error), error.isOurs)
            return
        if handshake.isDone:
            assert handshake.tls is not None
            self.hello = handshake.hello
            self._handshake = None
            self._begin(handshake.tls, answer)
        elif answer:
            self.transport.write(answer)

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
        super().connectionLost(reason)

    def _sayOf(self, what: str) -> None:
        more = self._end.untold()
        if more is not None:
            _log.warn("{connection} {what}.{more}", connection=self._name(), what=what, more=more)
