"""The gate of a service: who is there, may they come in, is there room."""

from __future__ import annotations

import resource
import socket

from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.logger import Logger

from loopbackd.connection import Connection
from loopbackd.connections import Connections
from loopbackd.logs import OncePerSecond
from loopbackd.net.closing import resetAndClose
from loopbackd.net.deadlines import Deadlines
from loopbackd.net.endpoint import shown
from loopbackd.peer.identity import PeerIdentity
from loopbackd.peer.networks import Networks
from loopbackd.settings import ServiceSettings
from loopbackd.share import Share

_log = Logger()

# Descriptors that connections never get: for log files, recordings, threads, the user's own files.
_RESERVE = 32

# An idle connection is looked at so often in its idle time.
_QUARTERS = 4


class Room:
    """
    How many connections the whole daemon may have open, and how many of them one user.

    @param connections: the live table.
    @ivar limit: the number in force.
    @ivar share: one user's part of it.
    """

    def __init__(self, connections: Connections) -> None:
        self.share = Share(connections, None, 0)
        self.resize()

    def resize(self, asked: int = 0, ofOne: int = 0) -> None:
        """
        Take new numbers, bounded by the descriptors this process may have.

        @param asked: how many connections; 0 for half of the descriptors.
        @param ofOne: how many of them may be one user's; 0 for half of them.
        """
        descriptors = raiseDescriptorLimit()
        most = max(1, descriptors - _RESERVE)
        self.limit = min(asked or max(1, descriptors // 2), most)
        self.share.limit = ofOne or _half(self.limit)


def _half(number: int) -> int:
    return max(1, number // 2) if number else 0


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


class Gate:
    """
    The door of one service's ports (see L{loopbackd.net.port.Door}).

    A refused connection is reset before a byte of it was read.

    @param allowed: the uids that may come in; L{None} for everybody.
    @param networks: the machines that may; L{None} for all. What a PROXY header says counts for
        nothing: it has not been read yet.
    """

    def __init__(
        self,
        settings: ServiceSettings,
        allowed: frozenset[int] | None,
        connections: Connections,
        room: Room,
        clock: IReactorTime,
        networks: Networks | None = None,
    ) -> None:
        self.name = settings.name
        self._allowed = allowed
        self._networks = networks
        self._connections = connections
        self._room = room
        self._identify = connections.identify
        self._mostOpen = settings.max_connections
        mostOfOne = settings.max_connections_per_uid or _half(settings.max_connections)
        self._share = Share(connections, settings.name, mostOfOne) if mostOfOne else None
        self._refusals = OncePerSecond(clock)
        self._totals = connections.totals(settings.name)
        self._idleLimit = settings.idle_timeout
        self._timed = bool(settings.idle_timeout or settings.first_byte_timeout)
        self._first = Deadlines[Connection](clock, settings.first_byte_timeout, self._firstByteDue)
        self._idle = Deadlines[Connection](clock, settings.idle_timeout / _QUARTERS, self._idleDue)
        self._quiet: dict[Connection, tuple[int, int]] = {}
        self._waitsFirst = settings.first_byte_timeout > 0
        self._whenEnded = (self._ended,)

    def admit(self, sock: socket.socket, remote: IAddress) -> Connection | None:
        """Enter an accepted stream in the table, or reset it."""
        if self._networks is not None and not self._networks.has(getattr(remote, "host", None)):
            self._refuse(sock, remote, "that machine is not in allow_addresses")
            return None
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
        for share in (self._room.share, self._share):
            if share is not None and share.isCrowded():
                who = who or self._identify(sock)
                if share.isUsedUp(who.uid):
                    self._refuse(sock, remote, _usedUp(share, who.uid))
                    return None
        connection = self._connections.add(self.name, remote)
        if who is not None:
            connection.identified(who)
        self._room.share.entered(connection)
        if self._share is not None:
            self._share.entered(connection)
        if self._timed:
            self._time(connection)
        return connection

    def flooded(self, howMany: int) -> None:
        """There were no descriptors left; so many connections were reset unseen."""
        self._totals.refused += howMany
        done = f"{howMany} connections were reset" if howMany else "accepting rests for a moment"
        self._say(f"no file descriptors are left; {done}", None)

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
                remote="connections" if remote is None else shown(remote),
                why=why,
                more=f" ({untold} more refusals since the last such line)" if untold else "",
            )

    def _time(self, connection: Connection) -> None:
        connection.whenEnded += self._whenEnded
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

    def _ended(self, connection: Connection) -> None:
        self._first.stop(connection)
        self._idle.stop(connection)
        self._quiet.pop(connection, None)

    def close(self) -> None:
        """Stop timing; the connections stay as they are."""
        self._first.close()
        self._idle.close()


def _usedUp(share: Share, uid: int | None) -> str:
    whose = "peers that are unknown" if uid is None else f"uid {uid}"
    return f"{whose} may have no more than {share.limit} connections (max_connections_per_uid)"
