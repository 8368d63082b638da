"""The live table: every accepted stream and the facts about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from twisted.internet import error
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress
from twisted.logger import Logger
from twisted.python.failure import Failure

from loopbackd.hostport import joined
from loopbackd.iloopbackd import IConnectionWatcher

if TYPE_CHECKING:
    import socket

    from loopbackd.peer.identity import PeerIdentity


class CountingTransport(Protocol):
    """What the table reads from a transport (see L{loopbackd.net.transport})."""

    socket: socket.socket
    bytesReceived: int
    bytesSent: int
    peerFinished: bool
    disconnecting: bool | int
    protocol: Any

    @property
    def hasUnsent(self) -> bool: ...
    def getHost(self) -> IAddress: ...
    def getPeer(self) -> IAddress: ...
    def loseConnection(self) -> None: ...
    def abortConnection(self) -> None: ...
    def cutConnection(self) -> None: ...


class Reached(NamedTuple):
    """
    A target that a relay has reached for a connection.

    @ivar address: the target's.
    @ivar seconds: how long connecting took.
    @ivar own: our end of the way there, by which the target knows us.
    """

    address: IAddress
    seconds: float
    own: IAddress | None = None


class Connection:
    """
    One accepted stream.

    @ivar id: a number no other connection of this run has.
    @ivar service: the name of the service that accepted it.
    @ivar remote: the address of the peer.
    @ivar opened: when it was accepted, in seconds since the epoch.
    @ivar closed: when it ended, or L{None} while it is open.
    @ivar reason: why it ended, or L{None}: C{"done"}, C{"lost"}, C{"aborted"} or what was raised.
    @ivar whenEnded: each is called with the connection when it has ended; the gates of its service.
    @ivar target: where a relay has led it; L{None} before and elsewhere.
    @ivar claimed: who a PROXY header says the client is: C{(host, port)}; never to be trusted.
    """

    __slots__ = (
        "_peer",
        "_received",
        "_sent",
        "_table",
        "_transport",
        "claimed",
        "closed",
        "id",
        "opened",
        "reason",
        "remote",
        "service",
        "target",
        "whenEnded",
    )

    def __init__(
        self, table: Connections, id: int, service: str, remote: IAddress, opened: float
    ) -> None:
        self._table = table
        self._transport: CountingTransport | None = None
        self._peer: PeerIdentity | None = None
        self._received = 0
        self._sent = 0
        self.id = id
        self.service = service
        self.remote = remote
        self.opened = opened
        self.closed: float | None = None
        self.reason: str | None = None
        self.claimed: tuple[str, int] | None = None
        self.target: Reached | None = None
        self.whenEnded: tuple[Callable[[Connection], object], ...] = ()

    def __repr__(self) -> str:
        return f"<Connection {self.id} of {self.service} from {self.shownRemote} {self.state}>"

    def __str__(self) -> str:
        return f"{self.service}: connection {self.id} from {self.shownRemote}"

    @property
    def shownRemote(self) -> str:
        """Where it comes from, as people write it, and who a PROXY header claims it is for."""
        where = "unix"
        if isinstance(self.remote, (IPv4Address, IPv6Address)):
            where = joined(self.remote.host, self.remote.port)
        if self.claimed is not None:
            where += f" (claims {self.claimed[0]} port {self.claimed[1]})"
        return where

    @property
    def age(self) -> float:
        """For how many seconds it has been open, or was."""
        until = self._table.seconds() if self.closed is None else self.closed
        return max(0.0, until - self.opened)

    @property
    def bytesReceived(self) -> int:
        """How many bytes came from the peer (upstream)."""
        return self._received if self._transport is None else self._transport.bytesReceived

    @property
    def bytesSent(self) -> int:
        """How many bytes the kernel took for the peer (downstream)."""
        return self._sent if self._transport is None else self._transport.bytesSent

    @property
    def transport(self) -> Any:
        """The bare transport, below any TLS, to put something in; L{None} before and after."""
        return self._transport

    @property
    def bareSocket(self) -> socket.socket | None:
        """The socket, below any TLS, to ask the kernel about; L{None} before and after."""
        return None if self._transport is None else self._transport.socket

    @property
    def hasUnsent(self) -> bool:
        """Whether something that was written waits until the kernel takes it."""
        return self._transport is not None and self._transport.hasUnsent

    @property
    def state(self) -> str:
        """C{"open"}, C{"half-closed"} (the peer finished sending), C{"closing"}, C{"closed"}."""
        if self.closed is not None:
            return "closed"
        if self._transport is None:
            return "open"
        if self._transport.disconnecting:
            return "closing"
        return "half-closed" if self._transport.peerFinished else "open"

    @property
    def protocol(self) -> str:
        """The name of the protocol's class, as spoken now; empty before and after."""
        if self._transport is None:
            return ""
        protocol = self._transport.protocol
        while hasattr(protocol, "wrappedProtocol"):
            protocol = protocol.wrappedProtocol
        return type(protocol).__name__

    @property
    def peer(self) -> PeerIdentity | None:
        """
        Uid, inode and (on unix sockets) pid of the peer, asked of the kernel at the first use.

        L{None} when the connection ended before anybody asked.
        """
        if self._peer is None and self._transport is not None:
            self.identified(self._table.identify(self._transport.socket))
        return self._peer

    def identified(self, peer: PeerIdentity) -> None:
        """The gate, or somebody who asked, learned who is there."""
        self._peer = peer
        if self._transport is not None:
            self._table.changed(self, "peer")

    def carriedBy(self, transport: CountingTransport) -> None:
        """The stream has a transport: from now on counts and state are read from it."""
        self._transport = transport

    def hangUp(self) -> None:
        """Close when everything written has been sent."""
        if self._transport is not None:
            # The layer next to the protocol says goodbye in its own words first.
            nearest: Any = self._transport
            inside = nearest.protocol
            while hasattr(inside, "wrappedProtocol"):
                nearest, inside = inside, inside.wrappedProtocol
            # What it holds back so that it goes out with other things (loopbackd.http.holding).
            letGo = getattr(inside, "letGo", None)
            if letGo is not None:
                letGo()
            nearest.loseConnection()

    def abort(self) -> None:
        """Reset the connection at once; what was not sent is lost."""
        if self._transport is not None:
            self._transport.abortConnection()

    def cut(self) -> None:
        """End the connection at once, without a reset; what was not sent is lost."""
        if self._transport is not None:
            self._transport.cutConnection()

    def changed(self, what: str) -> None:
        """Tell the watchers (see L{IConnectionWatcher.connectionChanged})."""
        self._table.changed(self, what)

    def ended(self, why: str) -> None:
        """The transport is gone; counts become final. A second call does nothing."""
        if self.closed is None:
            if self._transport is not None:
                self._received = self._transport.bytesReceived
                self._sent = self._transport.bytesSent
                self._transport = None
            self.reason = why
            self._table.remove(self)
            for call in self.whenEnded:
                call(self)


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


def connectionOf(transport: object) -> Connection | None:
    """
    The connection a protocol's transport belongs to.

    L{None} where there is none: in a test with a string transport, or on C{stdio:}.
    """
    found = getattr(transport, "connection", None)
    return found if isinstance(found, Connection) else None


def reasonOf(failure: Failure) -> str:
    """A word for why a connection ended: C{done}, C{lost}, C{aborted} or the exception's name."""
    return _REASONS.get(failure.type) or type(failure.value).__name__


_REASONS: dict[Any, str] = {
    error.ConnectionDone: "done",
    error.ConnectionAborted: "aborted",
    error.ConnectionLost: "lost",
}
