"""
A target with TLS that is reached before its client's handshake is done.

So it is offered the application protocols that the client offers, and the client gets the one that
the target has chosen.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from loopbackd.net.transport import switchProtocol
from loopbackd.protocols.relay.client import Relay
from loopbackd.tls.ahead import NotReady
from loopbackd.tls.hello import ClientHello

if TYPE_CHECKING:
    from loopbackd.protocols.relay.factory import RelayFactory


@implementer(IHalfCloseableProtocol)
class Ahead(Protocol):
    """
    The target's end until there is a client; it is not read from.

    @see: L{loopbackd.tls.ahead.Ready}

    @ivar ready: fires when the target is reached.
    @ivar began: when it was dialled.
    """

    transport: Any

    def __init__(self, factory: RelayFactory) -> None:
        self.ready: Deferred[Any] = Deferred(self._cancelled)
        self.factory: Any = factory
        self.alpn = b""
        self._cancel: Callable[[], object] | None = None
        self._isOver = False

    def dial(self, hello: ClientHello) -> None:
        """Ask the target for what the client asks for."""
        self.began = self.factory.clock.seconds()
        self.factory.deadlines.start(self)
        cancel = self.factory.way.go(self, self._failed, hello.serverName, hello.alpn)
        if not self.ready.called:
            self._cancel = cancel

    def connectionMade(self) -> None:
        """The target is who it should be; what it says waits for the client."""
        self.factory.deadlines.stop(self)
        self._cancel = None
        self.transport.pauseProducing()
        self.alpn = self.transport.negotiatedProtocol or b""
        self.ready.callback(self)

    def _failed(self, why: str) -> None:
        self.factory.deadlines.stop(self)
        self._cancel = None
        if not self.ready.called:
            self.factory.sayUnreachable(why)
            self.ready.errback(NotReady(self.factory.settings.refused == "reset"))

    def overdue(self) -> None:
        """The time for it is up."""
        cancel, self._cancel = self._cancel, None
        self._failed(f"no answer in {self.factory.settings.connect_timeout:g} s")
        if cancel is not None:
            cancel()

    def _cancelled(self, ready: Deferred[Any]) -> None:
        self.factory.deadlines.stop(self)
        cancel, self._cancel = self._cancel, None
        ready.errback(CancelledError())
        if cancel is not None:
            cancel()

    # Until there is a client.

    def readConnectionLost(self) -> None:
        """Not told of a transport that is paused."""

    def writeConnectionLost(self) -> None:
        """Never asked for."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The target did not wait."""
        self._isOver = True

    def build(self) -> Relay:
        """The relay, for a client whose handshake is done."""
        return Relay(self.factory, self)

    def drop(self) -> None:
        """The client's handshake came to nothing."""
        if not self._isOver:
            self.transport.abortConnection()

    def giveTo(self, end: Protocol, failed: Callable[[str], object]) -> None:
        """Let the relay's own end have the target."""
        if self._isOver:
            failed("the connection was lost before the client was ready")
            return
        switchProtocol(self.transport, end)
        end.makeConnection(self.transport)
        self.transport.resumeProducing()
