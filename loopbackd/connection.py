"""An accepted stream, and the facts about it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from twisted.internet import error
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IAddress
from twisted.python.failure import Failure

from loopbackd.hostport import joined

if TYPE_CHECKING:
    import socket

    from loopbackd.connections import Connections
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
