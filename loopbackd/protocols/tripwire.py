"""
For ports that nobody should touch: whoever does is named in the log, and gets nothing.

The kernel is asked who it is when the connection is accepted, and the process is looked up before
anything is read, answered or closed: a client that waits does not vanish meanwhile. One that
connects and closes at once has left no socket to find a process by, so that its user is known and
the rest is said to be unknown; one that resets at once has most often left nothing.
"""

from __future__ import annotations

from typing import Any, Final

from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from loopbackd.connection import Connection, connectionOf
from loopbackd.iloopbackd import IServedFactory, Surroundings
from loopbackd.protocols.hello import shownAddress
from loopbackd.protocols.oneshot import LastWords, LastWordsFactory
from loopbackd.protocols.whois import OncePerUser, Whois, lookUp
from loopbackd.tls.hello import HelloError, readHello

_log = Logger()

SHOWN: Final = 100
"""Bytes of what a client says first that are shown."""

_ANSWERS: Final = ("reset", "close", "hold")
_HELD_FOR: Final = 60.0
_MOST_HELD: Final = 64


class Tripwire(LastWords):
    """
    Names its client, and then answers as it was told to.

    The line is written when it is known who the client is, and what it said first or that it says
    nothing; also when it is gone by then.
    """

    transport: Any

    def __init__(self) -> None:
        self._connection: Connection | None = None
        self._place = self._from = ""
        self._who: Whois | None = None
        self._said: str | None = None
        self._more: str | None = None
        self._sawEnd = False
        self._hasEnded = False

    def connectionMade(self) -> None:
        """Ask who it is, and read nothing until that is known."""
        connection = self._connection = connectionOf(self.transport)
        self._place = shownAddress(self.transport.getHost())
        self._from = shownAddress(self.transport.getPeer())
        peer = None if connection is None else connection.peer
        self._more = self.factory.users.more(None if peer is None else peer.uid)
        if self._more is None:
            # The next line will count it.
            self._said = ""
            self._answer()
            return
        self.transport.pauseProducing()
        found = lookUp(self.factory.clock, peer)
        found.addErrback(lambda failure: Whois(missing=failure.getErrorMessage()))
        found.addCallback(self._found).addErrback(self._failed)

    def _found(self, who: Whois) -> None:
        self._who = who
        if self._said is None and not self._hasEnded:
            self.within(self.factory.patience, self._saysNothing)
            self.transport.resumeProducing()
        self._tell()

    def _failed(self, failure: Failure) -> None:
        _log.failure("{connection}: it could not be told.", failure, connection=self._connection)
        if not self._hasEnded:
            self.transport.abortConnection()

    def dataReceived(self, data: bytes) -> None:
        """What comes first is what it said; the rest is thrown away."""
        if self._said is None:
            self._said = firstWords(data)
            self._tell()
        else:
            super().dataReceived(data)

    def _saysNothing(self) -> None:
        if self._said is None:
            self._said = "nothing"
        self._tell()

    def readConnectionLost(self) -> None:
        """It has said all it will; whoever is still being looked for is named first."""
        self._sawEnd = True
        self._saysNothing()
        if self._who is not None or self._more is None:
            super().readConnectionLost()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """It is gone, which does not keep it from being named."""
        super().connectionLost(reason)
        self._hasEnded = True
        self.factory.held.discard(self)
        self._saysNothing()

    def _tell(self) -> None:
        """Write the line once there is nothing more to wait for, and answer."""
        who, more = self._who, self._more
        if who is None or more is None or self._said is None:
            return
        self._more = None
        self._inTime()
        connection = self._connection
        _log.warn(
            "{service}: {peer} touched {place}: {who}; it said {said}.{more}",
            service=connection.service if connection else "tripwire",
            peer=connection.shownRemote if connection else self._from,
            place=self._place,
            who=str(who),
            uid=who.uid,
            user=who.user,
            pid=who.pid,
            command=who.command,
            said=self._said,
            more=more,
        )
        if not self._hasEnded:
            self._answer()

    def _answer(self) -> None:
        answer = self.factory.answer
        if answer == "hold" and len(self.factory.held) < self.factory.mostHeld:
            if self._sawEnd:
                self.transport.loseConnection()
            else:
                self.factory.held.add(self)
                self.within(self.factory.heldFor, self.transport.abortConnection)
        elif answer == "close":
            self.finish(b"", expectsMore=True)
        else:
            self.transport.abortConnection()


def firstWords(data: bytes) -> str:
    """What somebody said first, in words and printable ASCII."""
    try:
        hello = readHello(data)
    except HelloError:
        hello = None
    if hello is not None:
        name = hello.serverName.encode("unicode_escape").decode("ascii")
        return f"a ClientHello of TLS for {name}" if name else "a ClientHello of TLS"
    shown = repr(data[:SHOWN])[2:-1]
    return shown if len(data) <= SHOWN else f"{shown}... ({len(data)} bytes)"


@implementer(IServedFactory)
class TripwireFactory(LastWordsFactory):
    """
    Builds L{Tripwire}.

    @param answer: what a client gets once it was named: C{reset}, C{close}, or C{hold}: it is kept
        open and gets nothing.
    @param patience: seconds in which it may say something first.
    @param held_for: seconds for which it is held.
    @param most_held: how many are held at once; those behind them are reset.
    @ivar held: those.
    @raise ValueError: one of these makes no sense.
    """

    protocol = Tripwire
    users: OncePerUser

    def __init__(
        self,
        *,
        answer: str = "reset",
        patience: float = 1.0,
        held_for: float | None = None,
        most_held: int | None = None,
    ) -> None:
        if answer not in _ANSWERS:
            raise ValueError(f"answer = {answer!r}: write {', '.join(_ANSWERS[:-1])} or hold")
        for name, value in (("held_for", held_for), ("most_held", most_held)):
            if value is not None and answer != "hold":
                raise ValueError(f'{name} = {value!r} is for answer = "hold"; remove it')
        self.answer = answer
        self.patience = _number("patience", patience, 60)
        self.heldFor = _number("held_for", _HELD_FOR if held_for is None else held_for, 86400)
        most = _MOST_HELD if most_held is None else most_held
        if isinstance(most, bool) or not isinstance(most, int) or not 0 < most <= 65536:
            raise ValueError(f"most_held = {most!r}: write a whole number, 1 to 65536")
        self.mostHeld = most
        self.held: set[Tripwire] = set()

    def servedBy(self, surroundings: Surroundings) -> None:
        """See L{IServedFactory}."""
        self.clock = surroundings.reactor
        self.users = OncePerUser(surroundings.reactor)

    def buildProtocol(self, addr: IAddress | None) -> Tripwire:
        """One connection."""
        tripwire = Tripwire()
        tripwire.factory = self
        return tripwire


def _number(name: str, value: float, most: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= most:
        raise ValueError(f"{name} = {value!r}: write seconds, more than 0, at most {most:g}")
    return value
