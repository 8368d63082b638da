"""Tests for L{loopbackd.table}."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import IAddress
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from loopbackd.connection import Connection, connectionOf
from loopbackd.connections import Connections
from loopbackd.protocols.classic import Echo
from loopbackd.table import MOST_ROWS, describe

THEIRS = IPv4Address("TCP", "127.0.0.1", 50000)


class Transport(StringTransport):
    """A transport in memory that counts."""

    bytesReceived = 7
    bytesSent = 9
    peerFinished = False

    def __init__(self) -> None:
        super().__init__()
        self.protocol = Echo()


class Table:
    """A table to describe, and a clock that stands at a hundred seconds."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.clock.advance(100)
        self.connections = Connections(lambda _: pytest.fail("asked who"), self.clock.seconds)

    def add(self, service: str = "web", remote: IAddress = THEIRS) -> tuple[Connection, Any]:
        """A connection that was let in, and its transport."""
        connection = self.connections.add(service, remote)
        transport: Any = Transport()
        transport.connection = connection
        connection.carriedBy(transport)
        return connection, transport

    @property
    def lines(self) -> list[str]:
        """What is said of it."""
        return list(describe(self.connections, self.clock.seconds()))


def test_empty() -> None:
    """Where nobody has come there is nothing to say."""
    assert Table().lines == []


def test_aConnection() -> None:
    """A line for its service and one for itself: who, what, for how long, how much."""
    table = Table()
    table.add()
    table.clock.advance(1.25)
    assert table.lines == [
        "web: 1 open, 1 in all, 0 refused, 7 bytes in, 9 bytes out",
        "#1 web Echo from 127.0.0.1:50000: open, 1.2 s, 7 bytes in, 9 bytes out",
    ]


def test_beforeItHasATransport() -> None:
    """A connection that was only just let in can be shown as well."""
    table = Table()
    table.connections.add("web", THEIRS)
    assert table.lines[1].startswith("#1 web - from 127.0.0.1:50000: open, 0.0 s, 0 bytes in")


def test_states() -> None:
    """Half-closed and closing are told apart."""
    table = Table()
    table.add()[1].peerFinished = True
    table.add()[1].loseConnection()
    assert ": half-closed, " in table.lines[1]
    assert ": closing, " in table.lines[2]


def test_ended() -> None:
    """What ended is in the service's counts, and no row of its own."""
    table = Table()
    connection, transport = table.add()
    table.add()
    transport.bytesReceived = 1000
    connection.ended("done")
    table.connections.totals("web").refused = 3
    first, *rows = table.lines
    assert first == "web: 1 open, 2 in all, 3 refused, 1007 bytes in, 18 bytes out"
    assert [row[:3] for row in rows] == ["#2 "]


def test_services() -> None:
    """Each service's counts are its own, in the order of their first connections."""
    table = Table()
    table.add("b")
    table.add("a")
    table.add("b")
    assert [line.partition(",")[0] for line in table.lines[:2]] == ["b: 2 open", "a: 1 open"]
    assert "14 bytes in" in table.lines[0]
    assert [line.split()[1] for line in table.lines[2:]] == ["b", "a", "b"]


def test_many() -> None:
    """The list is bounded, and says how many it leaves out."""
    table = Table()
    for _ in range(MOST_ROWS):
        table.add()
    assert len(table.lines) == MOST_ROWS + 1
    table.add()
    table.add()
    assert len(table.lines) == MOST_ROWS + 2
    assert table.lines[-1] == "... and 2 more"


@pytest.mark.parametrize(
    ("remote", "claimed", "shown"),
    [
        (THEIRS, None, "127.0.0.1:50000"),
        (IPv6Address("TCP", "::1", 5), None, "[::1]:5"),
        (UNIXAddress(None), None, "unix"),
        (UNIXAddress(b"/run/\x1b.sock"), None, "unix"),
        (THEIRS, ("192.0.2.7", 4711), "127.0.0.1:50000 (claims 192.0.2.7 port 4711)"),
    ],
)
def test_shownRemote(remote: IAddress, claimed: Any, shown: str) -> None:
    """Where it comes from, as people write it; what a PROXY header says is marked as a claim."""
    table = Table()
    connection, _ = table.add(remote=remote)
    connection.claimed = claimed
    assert connection.shownRemote == shown
    assert f" from {shown}: " in table.lines[1]
    assert str(connection) == f"web: connection 1 from {shown}"


def test_connectionOf() -> None:
    """The connection of a transport that has one, and None for any other transport."""
    connection, transport = Table().add()
    assert connectionOf(transport) is connection
    assert connectionOf(StringTransport()) is None
    transport.connection = "something else"
    assert connectionOf(transport) is None
