"""
New connections whose protocol does not get them yet, or never does.

The transport is there, and the peer believes that it is connected. What it says meanwhile is kept
on the wire within a bound, beyond which it is not read.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Callable, Sequence
from typing import Any, Final

from twisted.internet.interfaces import IDelayedCall, IProtocol, IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from loopbackd.faults.kind import NEVER, Effect, Mark, Opening, Schedule
from loopbackd.faults.wire import Wire
from loopbackd.net.delivering import protocolFailed
from loopbackd.peer.identity import PeerIdentity

KEPT: Final = 1 << 16
"""How many bytes are kept of what a peer says meanwhile; the kernel keeps what comes after them."""

# Seconds after which it is looked whether a peer that waits is there still.
_LOOK: Final = 1.0


class Keeping(Effect):
    """Keeps everything until it is taken away."""

    window = KEPT

    def data(self, arrived: float, now: float, chunk: bytes) -> Schedule:
        """See L{Effect.data}."""
        return [(NEVER, chunk)]

    def end(self, arrived: float, now: float) -> float:
        """See L{Effect.end}."""
        return NEVER


def together(openings: Sequence[Opening], now: float) -> Opening | None:
    """
    What several toxics make of one opening.

    Whoever ends it wins, the first of these; else the slowest. L{None} means now.
    """
    ends = [one for one in openings if one.mark is not None]
    if ends:
        return min(ends, key=lambda one: one.when)
    when = max((one.when for one in openings), default=now)
    return Opening(when) if when > now else None


class Postponed(Protocol):
    """
    The protocol of a transport until its real one gets it.

    @param protocol: the real one.
    @param wire: of the transport, with C{keeping} at the end of its upstream link.
    @param identify: says who is at the other end of a socket.
    @ivar whenOver: called when this waits no more, whatever came of it.
    """

    def __init__(
        self,
        transport: Any,
        protocol: IProtocol,
        wire: Wire,
        keeping: Keeping,
        clock: IReactorTime,
        identify: Callable[[socket.socket], PeerIdentity],
    ) -> None:
        self.whenOver: Callable[[], object] = lambda: None
        self._stream = transport
        self._protocol = protocol
        self._wire = wire
        self._keeping = keeping
        self._clock = clock
        self._identify = identify
        self._expected = Opening(NEVER)
        self._timer: IDelayedCall | None = None
        self._isOver = False
        transport.protocol = self
        transport.connection.whenEnded += (self._ended,)

    def expect(self, opening: Opening | None) -> None:
        """From now on this is what becomes of the connection; L{None} for that it begins now."""
        self._expected = opening or Opening(0.0)
        self._act()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The real protocol has never heard of it."""

    def _act(self) -> None:
        """Do what is due, and wait for what comes next."""
        if self._isOver:
            return
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        now = self._clock.seconds()
        when, mark = self._expected.when, self._expected.mark
        if when <= now:
            if mark is not None:
                self._wire.cut(mark)
            elif not self._stream.disconnecting:
                self._begin()
        elif hasGone(self._stream.socket, self._identify, not self._wire.upstream.holdsSource):
            self._wire.cut(Mark.CLOSE)
        else:
            self._timer = self._clock.callLater(min(when - now, _LOOK), self._act)

    def _begin(self) -> None:
        self._over()
        transport = self._stream
        transport.protocol = self._protocol
        try:
            self._protocol.makeConnection(transport)
        except BaseException:
            protocolFailed(transport, "makeConnection")
            transport.abortConnection()
        self._wire.upstream.take(self._keeping)

    def _ended(self, _: object) -> None:
        if not self._isOver:
            self._over()
            # What is under way would be kept for somebody who never gets it.
            self._wire.drop()

    def _over(self) -> None:
        self._isOver = True
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self.whenOver()


def hasGone(
    sock: socket.socket, identify: Callable[[socket.socket], PeerIdentity], isRead: bool = True
) -> bool:
    """
    Whether nobody is at the other end any more.

    Who has only finished sending (shutdown(2)) still waits for an answer, as far as the kernel can
    tell; of a peer on another machine it cannot, and of such a one that counts as gone.

    @param isRead: whether what the peer says is read; if not, its end may be stuck behind that.
    """
    poll = select.poll()
    poll.register(sock, select.POLLRDHUP)
    events = poll.poll(0)
    if events and events[0][1] & (select.POLLHUP | select.POLLERR):
        return True
    if sock.family == socket.AF_UNIX or (isRead and not events):
        return False
    who = identify(sock)
    # A socket that nobody has open any more has no inode.
    return not who.inode and bool(events or who.state)
