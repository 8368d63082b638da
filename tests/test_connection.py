"""What a connection says of itself."""

from __future__ import annotations

from typing import Any

import pytest
from tables import PEER, SOMEBODY, Stream, Watcher, carried, emptyTable
from twisted.internet.address import IPv6Address, UNIXAddress
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from loopbackd.connection import connectionOf, reasonOf
from loopbackd.connections import Connections
from loopbackd.peer.identity import PeerIdentity


@pytest.fixture
def clock() -> Clock:
    """A clock that begins at 100 s."""
    clock = Clock()
    clock.advance(100)
    return clock


@pytest.fixture
def table(clock: Clock) -> Connections:
    """An empty table."""
    return emptyTable(clock)


def test_counts_are_the_transports_and_stay_when_it_is_gone(table: Connections) -> None:
    """They live with the stream and are final afterwards."""
    connection, stream = carried(table)
    stream.bytesReceived, stream.bytesSent = 3, 4
    assert (connection.bytesReceived, connection.bytesSent) == (3, 4)
    connection.ended("done")
    stream.bytesReceived = 99
    assert (connection.bytesReceived, connection.bytesSent) == (3, 4)
    assert connection.reason == "done"


def test_states(table: Connections) -> None:
    """Open, half-closed, closing, closed; closing is said before half-closed."""
    connection = table.add("a", PEER)
    assert connection.state == "open"
    stream = Stream()
    connection.carriedBy(stream)
    assert connection.state == "open"
    stream.peerFinished = True
    assert connection.state == "half-closed"
    stream.disconnecting = True
    assert connection.state == "closing"
    connection.ended("done")
    assert connection.state == "closed"


def test_times(table: Connections, clock: Clock) -> None:
    """Opened and closed, in seconds since the epoch."""
    connection, _stream = carried(table)
    assert (connection.opened, connection.closed) == (100, None)
    clock.advance(10)
    connection.ended("lost")
    assert connection.closed == 110


def test_the_protocol_is_named_while_it_speaks(table: Connections) -> None:
    """By its class, as it is now."""
    connection = table.add("a", PEER)
    assert connection.protocol == ""
    stream = Stream()
    connection.carriedBy(stream)
    stream.protocol = Watcher()
    assert connection.protocol == "Watcher"
    connection.ended("done")
    assert connection.protocol == ""


def test_the_peer_is_asked_for_once_and_told_to_watchers(clock: Clock) -> None:
    """At the first use; an ended connection that nobody asked about has none."""
    asked: list[Any] = []

    def identify(sock: Any) -> PeerIdentity:
        asked.append(sock)
        return SOMEBODY

    table, watcher = Connections(identify, clock.seconds), Watcher()
    table.watch(watcher)
    connection, stream = carried(table)
    assert connection.peer is SOMEBODY and connection.peer is SOMEBODY
    assert asked == [stream]
    assert watcher.told[1:] == [("changed", 1, "peer")]
    connection.ended("done")
    assert connection.peer is SOMEBODY
    other, _ = carried(table)
    other.ended("done")
    assert other.peer is None
    assert len(asked) == 1


def test_requests_go_to_the_transport_while_there_is_one(table: Connections) -> None:
    """Before and after they do nothing."""
    connection = table.add("a", PEER)
    connection.hangUp()
    connection.abort()
    stream = Stream()
    connection.carriedBy(stream)
    connection.hangUp()
    connection.abort()
    assert stream.told == ["lose", "abort"]
    connection.ended("aborted")
    connection.hangUp()
    connection.abort()
    assert stream.told == ["lose", "abort"]


@pytest.mark.parametrize(
    ("remote", "shown"),
    [
        (PEER, "127.0.0.1:4711"),
        (IPv6Address("TCP", "::1", 4711), "[::1]:4711"),
        (UNIXAddress(None), "unix"),
    ],
)
def test_where_it_comes_from(table: Connections, remote: Any, shown: str) -> None:
    """As people write it, in what a log line says of it too."""
    connection = table.add("a", remote)
    assert connection.shownRemote == shown
    assert str(connection) == f"a: connection 1 from {shown}"
    assert repr(connection) == f"<Connection 1 of a from {shown} open>"


def test_a_claim_is_shown_as_one(table: Connections) -> None:
    """A PROXY header's word is kept apart from the address."""
    connection = table.add("a", PEER)
    connection.claimed = ("10.0.0.1", 80)
    assert connection.shownRemote == "127.0.0.1:4711 (claims 10.0.0.1 port 80)"


def test_the_connection_of_a_transport(table: Connections) -> None:
    """Where there is none, as in a unit test, it is None."""
    transport: Any = StringTransport()
    assert connectionOf(transport) is None
    transport.connection = connection = table.add("a", PEER)
    assert connectionOf(transport) is connection
    transport.connection = "something else"
    assert connectionOf(transport) is None


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (ConnectionDone(), "done"),
        (ConnectionLost(), "lost"),
        (ConnectionAborted(), "aborted"),
        (ZeroDivisionError(), "ZeroDivisionError"),
    ],
)
def test_reasons(error: Exception, word: str) -> None:
    """An end, a reset, our own reset, and what was raised."""
    assert reasonOf(Failure(error)) == word
