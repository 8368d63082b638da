"""Tables of connections, and streams that only count, for tests."""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock

from loopbackd.connection import Connection
from loopbackd.connections import Connections
from loopbackd.peer.identity import PeerIdentity

PEER = IPv4Address("TCP", "127.0.0.1", 4711)
SOMEBODY = PeerIdentity(1000, 7, None, "ESTABLISHED", "")


class Stream:
    """What the table reads from a transport."""

    def __init__(self) -> None:
        self.bytesReceived = self.bytesSent = 0
        self.peerFinished = self.disconnecting = False
        self.protocol: Any = None
        self.told: list[str] = []

    @property
    def socket(self) -> Any:
        return self

    def loseConnection(self) -> None:
        self.told.append("lose")

    def abortConnection(self) -> None:
        self.told.append("abort")


class Watcher:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def connectionOpened(self, connection: Connection) -> None:
        self.told.append(("opened", connection.id, connection.state))

    def connectionChanged(self, connection: Connection, what: str) -> None:
        self.told.append(("changed", connection.id, what))

    def connectionClosed(self, connection: Connection) -> None:
        counts = (connection.bytesReceived, connection.bytesSent)
        self.told.append(("closed", connection.id, connection.reason, *counts))


def emptyTable(clock: Clock) -> Connections:
    """A table in which everybody is SOMEBODY."""
    return Connections(lambda _: SOMEBODY, clock.seconds)


def carried(table: Connections, service: str = "a") -> tuple[Connection, Stream]:
    """A connection with its transport."""
    connection, stream = table.add(service, PEER), Stream()
    connection.carriedBy(stream)
    return connection, stream
