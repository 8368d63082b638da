"""
A connection from its beginning to its end: how long its client may take, and how it is closed.

There is one timer for all of a kind (L{loopbackd.net.deadlines}); a client that is waited for is
looked at once a second (L{loopbackd.http.patience.Pace}).
"""

from __future__ import annotations

from math import inf
from typing import Any, Final

from twisted.internet.interfaces import ISSLTransport
from twisted.internet.protocol import Protocol
from twisted.logger import Logger

from loopbackd.connection import Connection, connectionOf
from loopbackd.http.errors import HTTPError
from loopbackd.http.holding import MOST_HELD
from loopbackd.http.patience import Pace
from loopbackd.logs import OncePerSecond
from loopbackd.net.linger import LINGER, canHalfClose, hasUnreadInput
from loopbackd.net.turns import Turns
from loopbackd.tls.store import AuthorityStore

_log = Logger()

_MOST_DISCARDED: Final = 1 << 30
"""Bytes read away at the end: many clients send all of a body before they read.  L{LINGER} bounds
it, too."""


class Lifetime(Protocol):
    """
    What every connection has, whatever it carries.

    @ivar isTLS: whether it is encrypted.
    """

    transport: Any
    factory: Any
    isTLS = False

    _pace: Pace | None = None
    _isFull = False
    _isHeld = False
    _isEnding = False
    _hasEnded = False
    _hasHead = False
    _sawEnd = False
    _held = b""
    _lingered = 0
    _discarded = 0

    def _begins(self) -> None:
        self.isTLS = ISSLTransport.providedBy(self.transport)
        self.transport.registerProducer(self, True)
        self.factory.first.start(self)

    @property
    def connection(self) -> Connection | None:
        """The facts about this connection, where it came through a service."""
        return connectionOf(self.transport)

    @property
    def authority(self) -> AuthorityStore | None:
        """Where the local authority is kept; L{None} where there is none."""
        found: AuthorityStore | None = self.factory.authority
        return found

    @property
    def clock(self) -> Any:
        """Tells the time, and calls later: an L{IReactorTime}."""
        return self.factory.clock

    @property
    def turns(self) -> Turns:
        """Where to queue for what takes a while."""
        found: Turns = self.factory.turns
        return found

    @property
    def lines(self) -> OncePerSecond:
        """To be asked before a line is logged that a client can cause as often as it likes."""
        found: OncePerSecond = self.factory.lines
        return found

    def seconds(self) -> float:
        """The time."""
        now: float = self.factory.clock.seconds()
        return now

    # What the requests on it decide.

    def _expectsMore(self) -> bool:
        """Whether the client is known to be sending still."""
        raise NotImplementedError

    def _refuse(self, error: HTTPError) -> None:
        """Say why, and end."""
        raise NotImplementedError

    def _bodyIsLate(self, error: HTTPError) -> None:
        """The body of a request comes too slowly."""
        raise NotImplementedError

    # What goes.

    def write(self, data: bytes) -> None:
        """Send these bytes, behind those that are held."""
        if self._held:
            self.letGo()
        self.transport.write(data)

    def hold(self, data: bytes) -> None:
        """Send these bytes together with those of others, if others are served beside us."""
        holding = self.factory.holding
        if not holding.isWorthIt or len(self._held) + len(data) > MOST_HELD:
            self.write(data)
            return
        isFirst = not self._held
        self._held += data
        if isFirst:
            holding.add(self)

    def letGo(self) -> None:
        """See L{loopbackd.http.holding.Holder}."""
        held, self._held = self._held, b""
        if held and not self._hasEnded:
            self.transport.write(held)

    # How it ends.

    def _end(self) -> None:
        """Close once all is sent; where the client may be sending still, let it finish first."""
        if self._isEnding:
            return
        self._isEnding = True
        self._stopWaiting()
        self.letGo()
        self.transport.unregisterProducer()
        mayLinger = not self._sawEnd and canHalfClose(self.transport)
        if mayLinger and (self._expectsMore() or hasUnreadInput(self.transport)):
            self.transport.loseWriteConnection()
            self._resumeReading()
        else:
            self.transport.loseConnection()
        if not self._hasEnded:
            self._watch(self.factory.patience.sending, self._sent())

    def _discard(self, data: bytes) -> None:
        """Read away what comes while we end."""
        self._discarded += len(data)
        if self._discarded > _MOST_DISCARDED:
            self.transport.abortConnection()

    def _holdReading(self) -> None:
        if not self._isHeld:
            self._isHeld = True
            self.transport.pauseProducing()

    def _resumeReading(self) -> None:
        if self._isHeld:
            self._isHeld = False
            self.transport.resumeProducing()

    def _stopWaiting(self) -> None:
        """No deadline is to come."""
        self.factory.first.stop(self)
        self.factory.idle.stop(self)
        if self._hasHead:
            self._hasHead = False
            self.factory.head.stop(self)
        self._watchNoMore()

    # Whose time is up.

    def _received(self) -> int:
        connection = self.connection
        return 0 if connection is None else connection.bytesReceived

    def _sent(self) -> int:
        connection = self.connection
        return 0 if connection is None else connection.bytesSent

    def _watch(self, allowance: float, count: int, latest: float = inf) -> None:
        self._pace = Pace(self.seconds(), count, allowance, self.factory.patience.rate, latest)
        self.factory.watch.start(self)

    def _watchNoMore(self) -> None:
        if self._pace is not None:
            self._pace = None
            self.factory.watch.stop(self)

    def isIdle(self) -> None:
        """No request came in time."""
        connection = self.connection
        if connection is not None and connection.hasUnsent:
            self.transport.abortConnection()
        else:
            self._end()

    def headIsLate(self) -> None:
        """A head was begun and not ended in time."""
        self._hasHead = False
        self._refuse(HTTPError(408, "the request's head did not end in time"))

    def look(self) -> None:
        """Somebody waits for this client: is it fast enough?"""
        pace = self._pace
        if pace is None:
            return
        if self._isEnding:
            isLate = self._endsTooSlowly(pace)
        elif self._isFull:
            isLate = pace.isTooSlow(self.seconds(), self._sent())
        elif pace.isTooSlow(self.seconds(), self._received()):
            self._watchNoMore()
            self._bodyIsLate(HTTPError(408, "the request's body came too slowly"))
            return
        else:
            isLate = False
        if isLate:
            _log.debug("{connection}: it does not take its answer.", connection=self.connection)
            self.transport.abortConnection()
        else:
            self.factory.watch.start(self)

    def _endsTooSlowly(self, pace: Pace) -> bool:
        connection = self.connection
        if connection is not None and connection.hasUnsent:
            self._lingered = 0
            return pace.isTooSlow(self.seconds(), self._sent())
        self._lingered += 1
        return self._lingered > LINGER
