"""Who asks for names that are led here, and what is written about it."""

from __future__ import annotations

from typing import Any, Final

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from loopbackd.connection import connectionOf
from loopbackd.protocols.hello import shownAddress
from loopbackd.protocols.whois import LookUps, Whois

_log = Logger()

MOST_LINES: Final = 20
"""Lines a second; a page has a few names in it, and who asks without end is counted."""

_SHOWN: Final = 200


class Lines:
    """So many lines a second, and a count of those that were left out."""

    def __init__(self, clock: IReactorTime, most: int = MOST_LINES) -> None:
        self._clock = clock
        self._most = most
        self._since = float("-inf")
        self._written = self._untold = 0

    def more(self) -> str | None:
        """See L{loopbackd.logs.OncePerSecond.more}."""
        now = self._clock.seconds()
        if not 0 <= now - self._since < 1:
            self._since, self._written = now, 0
        if self._written >= self._most:
            self._untold += 1
            return None
        self._written += 1
        untold, self._untold = self._untold, 0
        return f" ({untold} more like it since the last such line)" if untold else ""


class Asking:
    """
    Names those who ask.

    @param service: the name of ours.
    """

    def __init__(self, reactor: Any, service: str) -> None:
        self._lookUps = LookUps(reactor)
        self._lines = Lines(reactor)
        self.service = service

    def told(
        self, transport: Any, host: str, how: str, answer: str, known: Whois | None = None
    ) -> Deferred[Whois | None]:
        """
        Write who asks for a name; fires with that when it is known, or with L{None} if it need not
        be.

        The client waits until then, so that its process does not vanish. Where nobody waits any
        more the line is written all the same.

        @param host: the name; empty where it did not say one.
        @param how: it asked.
        @param answer: what it gets.
        @param known: who it is, where the same connection has asked before.
        """
        more = self._lines.more()
        if more is None:
            return succeed(None)
        connection = connectionOf(transport)
        shown = connection.shownRemote if connection else shownAddress(transport.getPeer())
        if known is not None:
            return succeed(self._told(known, shown, host, how, answer, more))
        peer = None if connection is None else connection.peer
        found = self._lookUps.lookUp(peer)
        found.addErrback(lambda failure: Whois(missing=failure.getErrorMessage()))
        found.addCallback(self._told, shown, host, how, answer, more)
        # A request that is cancelled, since its client has left, cancels this one alone.
        waited: Deferred[Whois | None] = Deferred()
        found.addCallbacks(waited.callback, waited.errback)
        return waited

    def _told(self, who: Whois, peer: str, host: str, how: str, answer: str, more: str) -> Whois:
        _log.info(
            "{service}: {peer} asked for {host} ({how}): {who}; it gets {answer}.{more}",
            service=self.service,
            peer=peer,
            host=_clipped(host) or "no name",
            how=_clipped(how),
            who=str(who),
            uid=who.uid,
            user=who.user,
            pid=who.pid,
            command=who.command,
            answer=answer,
            more=more,
        )
        return who


def _clipped(text: str) -> str:
    safe = text.encode("ascii", "backslashreplace").decode()
    safe = "".join(one if one.isprintable() else f"\\x{ord(one):02x}" for one in safe)
    return safe if len(safe) <= _SHOWN else f"{safe[:_SHOWN]}..."
