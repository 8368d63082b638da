"""Who a client is, in words for a log: user, process, and what of that cannot be known."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred, DeferredLock, succeed
from twisted.internet.threads import deferToThreadPool

from loopbackd.logs import OncePerSecond
from loopbackd.peer.identity import PeerIdentity
from loopbackd.peer.process import findProcess, processOf, userName

_MOST_USERS = 256
_MOST_WAITING = 8


@dataclass(frozen=True, slots=True)
class Whois:
    """
    Who somebody is.

    @ivar uid: L{None} when unknown; C{user} is its name.
    @ivar pid: L{None} when unknown; C{command} is its command line, safe to show.
    @ivar missing: why something is unknown.
    """

    uid: int | None = None
    user: str = ""
    pid: int | None = None
    command: str = ""
    missing: str = ""

    def __str__(self) -> str:
        """All of it on one line."""
        if self.uid is None:
            return f"uid, pid and command unknown ({self.missing})"
        named = f"uid {self.uid}" + ("" if self.user == f"uid {self.uid}" else f" ({self.user})")
        if self.pid is None:
            return f"{named}, pid and command unknown ({self.missing})"
        return f"{named}, pid {self.pid}, command {self.command}"


def find(peer: PeerIdentity | None) -> Whois:
    """Look through the processes of this machine; may take milliseconds, so call it in a thread."""
    if peer is None:
        return Whois(missing="nobody looked before it was gone")
    if peer.uid is None:
        return Whois(missing=peer.reason)
    user = userName(peer.uid)
    if peer.pid:
        process = processOf(peer.pid)
        return Whois(peer.uid, user, peer.pid, process.command if process else "unknown")
    process = findProcess(peer.inode, peer.uid)
    if process is not None:
        return Whois(peer.uid, user, process.pid, process.command)
    if not peer.inode:
        why = "it had closed its socket already"
    elif os.geteuid() not in (0, peer.uid):
        why = "only root can look into processes of others"
    else:
        why = "no process that can be seen has its socket any more"
    return Whois(peer.uid, user, missing=why)


def lookUp(reactor: Any, peer: PeerIdentity | None) -> Deferred[Whois]:
    """L{find}, off the reactor's thread."""
    return deferToThreadPool(reactor, reactor.getThreadPool(), find, peer)


class LookUps:
    """
    Looks up one client after the other: several threads that walk through the processes of a big
    machine at once leave the reactor's hardly a turn.

    @param most: how many may wait; who comes behind them is not looked for.
    """

    def __init__(self, reactor: Any, most: int = _MOST_WAITING) -> None:
        self._reactor = reactor
        self._turn = DeferredLock()
        self._most = most

    def lookUp(self, peer: PeerIdentity | None) -> Deferred[Whois]:
        """See L{lookUp}."""
        if len(self._turn.waiting) >= self._most:
            uid = None if peer is None else peer.uid
            return succeed(Whois(uid, f"uid {uid}", missing="too many were to be looked for"))
        return self._turn.run(lookUp, self._reactor, peer)


class OncePerUser:
    """
    Lets one line a second through for each user, known or not.

    @param clock: an C{IReactorTime}.
    """

    def __init__(self, clock: Any) -> None:
        self._lines = OncePerSecond(clock)
        self._users: set[int] = set()

    def more(self, uid: int | None) -> str | None:
        """See L{OncePerSecond.more}; who comes behind a few hundred users shares one line."""
        key = "unknown"
        if uid is not None:
            if uid not in self._users and len(self._users) < _MOST_USERS:
                self._users.add(uid)
            key = str(uid) if uid in self._users else "others"
        return self._lines.more(key)
