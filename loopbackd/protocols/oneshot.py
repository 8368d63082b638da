"""
Services that answer once and close; the answer survives a client that spoke first.

Nobody waits for that who need not: a client that sent nothing sees the connection closed at once.
If it starts to send after that, its sends fail as they do with any server that has left; the answer
came before. The reason is in L{loopbackd.net.linger}.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import (
    IDelayedCall,
    IHalfCloseableProtocol,
    IReactorTime,
    ITCPTransport,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from loopbackd.logs import OncePerSecond
from loopbackd.net.linger import LINGER, LINGER_BYTES, canHalfClose, hasUnreadInput


@implementer(IHalfCloseableProtocol)
class LastWords(Protocol):
    """
    A protocol that can end with an answer; what the client says after that is thrown away.

    @cvar mostDiscarded: how many bytes of that; then the client is cut off.
    """

    transport: ITCPTransport
    factory: Any

    mostDiscarded = LINGER_BYTES
    _discarded = 0
    _deadline: IDelayedCall | None = None

    def within(self, seconds: float, call: Callable[[], object]) -> bool:
        """
        Call after C{seconds} unless the connection ends before, or something else is to be called.

        @return: whether there is a clock to tell the time.
        """
        self._inTime()
        clock = self.factory.clock or getattr(self.transport, "reactor", None)
        if clock is not None:
            self._deadline = clock.callLater(seconds, call)
        return clock is not None

    def more(self) -> str | None:
        """
        What stands at the end of a line about this client; None when it must not be written
        (L{OncePerSecond}).
        """
        factory = self.factory
        if factory.lines is None:
            clock = factory.clock or getattr(self.transport, "reactor", None)
            if clock is None:
                return ""
            factory.lines = OncePerSecond(clock)
        lines: OncePerSecond = factory.lines
        return lines.more()

    def _inTime(self) -> None:
        deadline, self._deadline = self._deadline, None
        if deadline is not None and deadline.active():
            deadline.cancel()

    def finish(self, answer: bytes, expectsMore: bool = False) -> None:
        """
        Write C{answer} and close, in the way that lets the answer arrive.

        @param answer: short, so that it fits the kernel's buffer.
        @param expectsMore: the client is known to be sending still.
        """
        if answer:
            self.transport.write(answer)
        if expectsMore or hasUnreadInput(self.transport):
            self._linger()
        else:
            self.transport.loseConnection()

    def dataReceived(self, data: bytes) -> None:
        """Throw it away; a client that never stops is cut off."""
        self._discarded += len(data)
        if self._discarded > self.mostDiscarded:
            self.transport.abortConnection()

    def readConnectionLost(self) -> None:
        """The client has sent all it had: now closing loses nothing."""
        self.transport.loseConnection()

    def writeConnectionLost(self) -> None:
        """Our side is closed; the client's end comes next."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Stop waiting."""
        self._inTime()

    def _linger(self) -> None:
        """Close our side now and the rest when the client is done or its time is up."""
        if canHalfClose(self.transport) and self.within(LINGER, self.transport.abortConnection):
            self.transport.loseWriteConnection()
        else:
            self.transport.loseConnection()


class OneShot(LastWords):
    """Writes L{answer} and closes."""

    def answer(self) -> bytes:
        """What to say on this connection."""
        raise NotImplementedError

    def connectionMade(self) -> None:
        """Answer, and close."""
        self.finish(self.answer())


class LastWordsFactory(Factory):
    """
    Builds one kind of L{LastWords}.

    @ivar clock: tells the time; without one it is the reactor that the connection runs on.
    @ivar lines: those about clients, once there was one.
    """

    noisy = False
    clock: IReactorTime | None = None
    lines: OncePerSecond | None = None
