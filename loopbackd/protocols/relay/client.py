"""The two ends of a relay as protocols; what they do is decided by its L{machine}."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHalfCloseableProtocol, IPushProducer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from loopbackd.connection import Reached, connectionOf
from loopbackd.net.ending import sendAndReset
from loopbackd.net.pump import Pump, canPump
from loopbackd.net.transport import switchProtocol
from loopbackd.protocols.oneshot import LastWords
from loopbackd.protocols.relay.machine import machine
from loopbackd.tls.hearing import Truncated

if TYPE_CHECKING:
    from loopbackd.protocols.relay.factory import RelayFactory

_log = Logger()

_MOST_HELD: Final = 1 << 16
"""How much a client may say before the target answers; then it is not read from."""


@implementer(IHalfCloseableProtocol, IPushProducer)
class Relay(Protocol):
    """
    The client's end: what a service builds for each connection.

    @param ahead: the target, where it was reached already (see L{loopbackd.protocols.relay.ahead}).
    @ivar target: the other end.
    """

    transport: Any

    _cancel: Callable[[], object] | None = None
    _isDialling = True
    _pump: Pump | None = None
    _why = ""

    def __init__(self, factory: RelayFactory, ahead: Any = None) -> None:
        self.factory: Any = factory
        self.target = TargetEnd(self)
        self._ahead = ahead
        self._held: list[bytes] = []
        self._size = 0

    def connectionMade(self) -> None:
        """Dial; where the target is on this machine it has answered when this returns."""
        self.events = self.target.events = machine(self)
        if self._ahead is not None:
            self._began = self._ahead.began
            self._ahead.giveTo(self.target, self._failed)
            return
        self._began = self.factory.clock.seconds()
        name, alpn = _askedOf(self.transport)
        cancel = self.factory.way.go(self.target, self._failed, name, alpn)
        if self._isDialling:
            self._cancel = cancel
            self.factory.deadlines.start(self)

    def dataReceived(self, data: bytes) -> None:
        """Keep what is said before the target is there; from then on it is the target's write."""
        self._held.append(data)
        self._size += len(data)
        if self._size >= _MOST_HELD:
            self.transport.pauseProducing()

    def readConnectionLost(self) -> None:
        """The client has finished sending."""
        self.events.clientFinished()

    def writeConnectionLost(self) -> None:
        """As was asked."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The client is gone."""
        self.factory.deadlines.stop(self)
        if reason.check(ConnectionDone, Truncated):
            self.events.clientLost()
        else:
            self.events.clientReset()

    def pauseProducing(self) -> None:
        """The target takes no more for now."""
        self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        """The target takes more; or it is being closed, and has all that it gets."""
        target = self.target.transport
        if target.disconnecting:
            target.unregisterProducer()
        else:
            self.transport.resumeProducing()

    def stopProducing(self) -> None:
        """The target is gone; what follows from that comes with the news of it."""

    def _failed(self, why: str) -> None:
        self._why = why
        self.events.failed()

    def overdue(self) -> None:
        """The time for what is under way is up."""
        self._why = f"no answer in {self.factory.settings.connect_timeout:g} s"
        self.events.overdue()

    # What the machine asks for (see L{loopbackd.protocols.relay.machine.Ends}).

    def cancelDial(self) -> None:
        """See L{Ends}."""
        self._isDialling = False
        cancel, self._cancel = self._cancel, None
        if cancel is not None:
            cancel()

    def refuse(self) -> None:
        """See L{Ends}; one line a second says why."""
        self._isDialling = False
        self.factory.deadlines.stop(self)
        self.factory.sayUnreachable(self._why)
        self._held.clear()
        if self.factory.settings.refused == "reset":
            self.transport.abortConnection()
            return
        farewell = LastWords()
        farewell.factory = self.factory
        switchProtocol(self.transport, farewell)
        farewell.makeConnection(self.transport)
        if self._size:
            self.transport.resumeProducing()
        farewell.finish(b"", expectsMore=bool(self._size))

    def join(self) -> None:
        """See L{Ends}."""
        self._isDialling = False
        self._cancel = None
        client, target = self.transport, self.target.transport
        clock = self.factory.clock
        self.factory.deadlines.stop(self)
        connection = connectionOf(client)
        if connection is not None:
            took = clock.seconds() - self._began
            connection.target = Reached(target.getPeer(), took, target.getHost())
            connection.changed("target")
        # Whoever does not wait for company of its bytes need not do it here either.
        client.setTcpNoDelay(True)
        target.setTcpNoDelay(True)
        client.registerProducer(self.target, True)
        target.registerProducer(self, True)
        # Without a step between them.
        self.dataReceived = target.write  # type: ignore[method-assign]
        self.target.dataReceived = client.write  # type: ignore[method-assign]
        if self._held:
            target.write(b"".join(self._held))
            self._held.clear()
            if self._size >= _MOST_HELD and not target.producerPaused:
                client.resumeProducing()
        if canPump(client) and canPump(target):
            self._pump = Pump(client, target, self.factory.pipes)

    def finishTarget(self) -> None:
        """See L{Ends}."""
        self._finish(self.target.transport, self.transport)

    def finishClient(self) -> None:
        """See L{Ends}."""
        self._finish(self.transport, self.target.transport)

    def _finish(self, one: Any, other: Any) -> None:
        pump = self._pump
        if pump is not None:
            pump.handBack()
        one.unregisterProducer()
        _cutShort(one, other)
        one.loseWriteConnection()
        if pump is not None:
            # The other direction goes on.
            pump.take()

    def closeTarget(self) -> None:
        """See L{Ends}."""
        self._stopPumping()
        target = self.target.transport
        target.unregisterProducer()
        target.loseConnection()
        if getattr(target, "hasUnsent", True):
            self.factory.linger(self)

    def closeClient(self) -> None:
        """See L{Ends}."""
        self._stopPumping()
        self.transport.unregisterProducer()
        _cutShort(self.transport, self.target.transport)
        self.transport.loseConnection()

    def closeBoth(self) -> None:
        """See L{Ends}."""
        self._stopPumping()
        client, target = self.transport, self.target.transport
        client.unregisterProducer()
        target.unregisterProducer()
        _cutShort(target, client)
        target.loseConnection()
        if getattr(target, "hasUnsent", True):
            # Else the client is closed in a moment.
            self._finish(client, target)

    def resetTarget(self) -> None:
        """See L{Ends}."""
        self._stopPumping()
        sendAndReset(self.target.transport)

    def resetClient(self) -> None:
        """See L{Ends}."""
        self._stopPumping()
        sendAndReset(self.transport)

    def _stopPumping(self) -> None:
        pump, self._pump = self._pump, None
        if pump is not None:
            pump.close()


def _cutShort(one: Any, other: Any) -> None:
    """If the other has ended its TLS without a word, so does one, where that has TLS."""
    if getattr(other, "truncated", False) and hasattr(one, "cutShort"):
        one.cutShort()


def _askedOf(transport: Any) -> tuple[str, tuple[bytes, ...]]:
    """The name that a client asked for and the protocol agreed on, where its TLS ends here."""
    hello = getattr(transport, "hello", None)
    if hello is None:
        return "", ()
    agreed = transport.negotiatedProtocol
    return hello.serverName, (agreed,) if agreed else ()


@implementer(IHalfCloseableProtocol, IPushProducer)
class TargetEnd(Protocol):
    """The target's end."""

    transport: Any
    events: Any

    def __init__(self, relay: Relay) -> None:
        self._relay = relay

    def connectionMade(self) -> None:
        """The target has taken the connection."""
        self.events.connected()

    def readConnectionLost(self) -> None:
        """The target has finished sending."""
        self.events.targetFinished()

    def writeConnectionLost(self) -> None:
        """As was asked."""

    def pauseProducing(self) -> None:
        """The client takes no more for now."""
        self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        """The client takes more; or it is being closed, and has all that it gets."""
        client = self._relay.transport
        if client.disconnecting:
            client.unregisterProducer()
        else:
            self.transport.resumeProducing()

    def stopProducing(self) -> None:
        """The client is gone; what follows from that comes with the news of it."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The target is gone."""
        self._relay.factory.lingered(self._relay)
        if reason.check(ConnectionDone, Truncated):
            self.events.targetLost()
        else:
            self.events.targetReset()
