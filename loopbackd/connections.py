"""The live table: every accepted stream, by service, and whoever wants to hear of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress
from twisted.logger import Logger

from loopbackd.connection import Connection
from loopbackd.iloopbackd import IConnectionWatcher

if TYPE_CHECKING:
    import socket

    from loopbackd.peer.identity import PeerIdentity


class Totals:
    """What a service has seen since it started; the counts of open connections included."""

    __slots__ = ("bytesReceived", "bytesSent", "isForgotten", "open", "opened", "refused")

    def __init__(self) -> None:
        self.isForgotten = False
        self.open = 0
        self.opened = 0
        self.refused = 0
        self.bytesReceived = 0
        self.bytesSent = 0


class Connections:
    """
    The table of open connections, by id.

    @param identify: says who is at the other end of a socket; never raises.
    @param seconds: the time, in seconds since the epoch.
    """

    _log = Logger()

    def __init__(
        self,
        identify: Callable[[socket.socket], PeerIdentity],
        seconds: Callable[[], float],
    ) -> None:
        self.identify = identify
        self.seconds = seconds
        self._open: dict[int, Connection] = {}
        self._nextId = 1
        self._totals: dict[str, Totals] = {}
        self._watchers: list[IConnectionWatcher] = []
        self._emptied: list[Callable[[], object]] = []

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[Connection]:
        """The open connections, oldest first; safe to change the table meanwhile."""
        return iter(list(self._open.values()))

    def get(self, id: int) -> Connection | None:
        """The open connection of that number, if there is one."""
        return self._open.get(id)

    def totals(self, service: str) -> Totals:
        """The live counters of a service; the open connections' bytes are not yet in them."""
        totals = self._totals.get(service)
        if totals is None:
            totals = self._totals[service] = Totals()
        return totals

    def forget(self, service: str) -> None:
        """A service is gone for good: so are its counters, once its last connection has ended."""
        totals = self._totals.get(service)
        if totals is not None and not totals.open:
            del self._totals[service]
        elif totals is not None:
            totals.isForgotten = True

    def services(self) -> list[str]:
        """The names of all services that had a connection, in order of their first."""
        return list(self._totals)

    def add(self, service: str, remote: IAddress) -> Connection:
        """Enter a connection that was let in."""
        connection = Connection(self, self._nextId, service, remote, self.seconds())
        self._nextId += 1
        self._open[connection.id] = connection
        totals = self.totals(service)
        totals.open += 1
        totals.opened += 1
        if self._watchers:
            self._tell("connectionOpened", connection)
        return connection

    def remove(self, connection: Connection) -> None:
        """Take out a connection that ended (called by L{Connection.ended})."""
        del self._open[connection.id]
        connection.closed = self.seconds()
        totals = self.totals(connection.service)
        totals.open -= 1
        totals.bytesReceived += connection.bytesReceived
        totals.bytesSent += connection.bytesSent
        if totals.isForgotten and not totals.open:
            self._totals.pop(connection.service, None)
        if self._watchers:
            self._tell("connectionClosed", connection)
        if not self._open and self._emptied:
            waiting, self._emptied = self._emptied, []
            for call in waiting:
                call()

    def changed(self, connection: Connection, what: str) -> None:
        """Tell the watchers that something other than a count changed."""
        if self._watchers:
            self._tell("connectionChanged", connection, what)

    def watch(self, watcher: IConnectionWatcher) -> None:
        """From now on tell C{watcher} of every opening, change and closing."""
        self._watchers.append(watcher)

    def unwatch(self, watcher: IConnectionWatcher) -> None:
        """Tell C{watcher} no more."""
        self._watchers.remove(watcher)

    def whenEmpty(self, call: Callable[[], object]) -> None:
        """Call once, when the last connection has ended; at once when there is none."""
        if self._open:
            self._emptied.append(call)
        else:
            call()

    def untilEmpty(self, core: Any, clock: Any, seconds: float) -> Deferred[None]:
        """
        Fires when the last connection has ended or the time is up; whoever is in a hurry fires it.

        @param core: the reactor that the connections are on.
        @param clock: keeps the time.
        """
        done: Deferred[None] = Deferred()

        def finish() -> None:
            if not done.called:
                done.callback(None)

        # Not at once: the last connection's protocol has not been told that it ended, and the batch
        # it ended in goes on.
        self.whenEmpty(lambda: core.callLater(0, finish))
        timer = clock.callLater(seconds, finish)
        return done.addCallback(lambda _: timer.cancel() if timer.active() else None)

    def _tell(self, event: str, *args: object) -> None:
        for watcher in list(self._watchers):
            try:
                getattr(watcher, event)(*args)
            except Exception:
                self._log.failure("A watcher failed in {event}.", event=event)
