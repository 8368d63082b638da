"""The gate of a service: who is there, may they come in, is there room."""

from __future__ import annotations

import resource
import socket
from collections import Counter
from collections.abc import Callable

from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.logger import Logger

from loopbackd.connection import Connection, Connections
from loopbackd.logs import OncePerSecond
from loopbackd.net.deadlines import Deadlines
from loopbackd.net.eager import resetAndClose
from loopbackd.peer.identity import PeerIdentity
from loopbackd.settings import ServiceSettings

_log = Logger()

# Descriptors that connections never get: for log files, recordings, threads, the user's own files.
_RESERVE = 16

# An idle connection is looked at so often in its idle time.
_QUARTERS = 4


class Room:
    """
    How many connections the whole daemon may have open.

    @param asked: the number the operator asked for; 0 for half of the descriptors.
    @ivar limit: the number in force.
    """

    def __init__(self, asked: int = 0) -> None:
        self.limit = 0
        self.resize(asked)

    def resize(self, asked: int) -> None:
        """Take a new number, bounded by the descriptors this process may have."""
        descriptors = raiseDescriptorLimit()
        most = max(1, descriptors - _RESERVE - 16)
        self.limit = min(asked or max(1, descriptors // 2), most)


def raiseDescriptorLimit() -> int:
    """
    Raise our own soft limit of open files to the hard one (getrlimit(2)).

    @return: the limit in force; at most a million, also where the system sets none.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = 1 << 20
    wanted = most if hard == resource.RLIM_INFINITY else min(hard, most)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return min(soft, most) if soft != resource.RLIM_INFINITY else most
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError):
        return soft
    return wanted


def _uidOf(connection: Connection) -> int | None:
    return None if connection.peer is None else connection.peer.uid


class Gate:
    """
    The door of one service's ports (see L{loopbackd.net.port.Door}).

    A refused connection is reset before a byte of it was read.

    @param allowed: the uids that may come in; L{None} for everybody.
    """

    def __init__(
        self,
        settings: ServiceSettings,
        allowed: frozenset[int] | None,
        connections: Connections,
        room: Room,
        identify: Callable[[socket.socket], PeerIdentity],
        clock: IReactorTime,
    ) -> None:
        self.name = settings.name
        self._allowed = allowed
        self._connections = connections
        self._room = room
        self._identify = identify
        self._mostOpen = settings.max_connections
        self._mostOfOne = settings.max_connections_per_uid
        self._refusals = OncePerSecond(clock)
        self._totals = connections.totals(settings.name)
        self._idleLimit = settings.idle_timeout
        self._timed = bool(settings.idle_timeout or settings.first_byte_timeout)
        self._first = Deadlines[Connection](clock, settings.first_byte_timeout, self._firstByteDue)
        self._idle = Deadlines[Connection](clock, settings.idle_timeout / _QUARTERS, self._idleDue)
        self._quiet: dict[Connection, tuple[int, int]] = {}
        self._waitsFirst = settings.first_byte_timeout > 0
        self._counting = False
        self._ofUid: Counter[int | None] = Counter()
        self._whenEnded = (self._ended,)

    def admit(self, sock: socket.socket, remote: IAddress) -> Connection | None:
        """Enter an accepted stream in the table, or reset it."""
        if len(self._connections) >= self._room.limit:
            self._refuse(sock, remote, "the daemon has no room: max_connections is reached")
            return None
        if self._mostOpen and self._totals.open >= self._mostOpen:
            self._refuse(sock, remote, f"max_connections = {self._mostOpen} is reached")
            return None
        who: PeerIdentity | None = None
        if self._allowed is not None:
            who = self._identify(sock)
            if who.uid is None:
                self._refuse(sock, remote, f"who connects is unknown: {who.reason}")
                return None
            if who.uid not in self._allowed:
                self._refuse(sock, remote, f"uid {who.uid} is not in allow_uids")
                return None
        if self._crowded():
            who = who or self._identify(sock)
            mostOfOne = self._limitOfOne()
            if self._ofUid[who.uid] >= mostOfOne:
                whose = "peers that are unknown" if who.uid is None else f"uid {who.uid}"
                why = f"max_connections_per_uid = {mostOfOne} is reached by {whose}"
                self._refuse(sock, remote, why)
                return None
        connection = self._connections.add(self.name, remote)
        if who is not None:
            connection.identified(who)
        if self._counting and who is not None:
            self._ofUid[who.uid] += 1
        if self._counting or self._timed:
            connection.whenEnded = self._whenEnded
        if self._timed:
            self._time(connection)
        return connection

    def _limitOfOne(self) -> int:
        return self._mostOfOne or max(1, (self._mostOpen or self._room.limit) // 2)

    def _crowded(self) -> bool:
        """
        Whether so many are open that one user could have reached their limit.

        Only then need each peer be known, and counting starts with those who are there.
        """
        if self._counting:
            return True
        if self._totals.open < self._limitOfOne():
            return False
        self._counting = True
        for connection in self._connections:
            if connection.service == self.name:
                # A gate that was there before a reload still times those it let in.
                if self._whenEnded[0] not in connection.whenEnded:
                    connection.whenEnded += self._whenEnded
                self._ofUid[_uidOf(connection)] += 1
        return True

    def _ended(self, connection: Connection) -> None:
        if self._timed:
            self._first.stop(connection)
            self._idle.stop(connection)
            self._quiet.pop(connection, None)
        if self._counting:
            uid = _uidOf(connection)
            self._ofUid[uid] -= 1
            if not self._ofUid[uid]:
                del self._ofUid[uid]
            if self._totals.open < self._limitOfOne() // 2:
                self._counting = False
                self._ofUid.clear()

    def flooded(self, howMany: int) -> None:
        """There were no descriptors left; so many connections were reset unseen."""
        self._totals.refused += howMany
        self._say(f"no file descriptors are left; {howMany} connections were reset", None)

    def _refuse(self, sock: socket.socket, remote: IAddress, why: str) -> None:
        resetAndClose(sock)
        self._totals.refused += 1
        self._say(why, remote)

    def _say(self, why: str, remote: IAddress | None) -> None:
        untold = self._refusals.take(self.name)
        if untold is not None:
            _log.warn(
                "{service}: refused {remote}: {why}{more}",
                service=self.name,
                remote=remote or "connections",
                why=why,
                more=f" ({untold} more refusals since the last such line)" if untold else "",
            )

    def _time(self, connection: Connection) -> None:
        if self._waitsFirst:
            self._first.start(connection)
        if self._idleLimit:
            self._quiet[connection] = (0, 0)
            self._idle.start(connection)

    def _firstByteDue(self, connection: Connection) -> None:
        if not connection.bytesReceived:
            _log.info("{connection} said nothing in time; it is reset.", connection=connection)
            connection.abort()

    def _idleDue(self, connection: Connection) -> None:
        """
        A quarter of the idle time has gone by.

        Looking whether the counts have moved costs the stream nothing, as a note of the time at
        every read and write would.
        """
        seen, quarters = self._quiet[connection]
        total = connection.bytesReceived + connection.bytesSent
        quarters = quarters + 1 if total == seen else 0
        if quarters == _QUARTERS:
            _log.info("{connection} was idle for too long; it is reset.", connection=connection)
            connection.abort()
        else:
            self._quiet[connection] = (total, quarters)
            self._idle.start(connection)

    def close(self) -> None:
        """Stop timing; the connections stay as they are."""
        self._first.close()
        self._idle.close()
