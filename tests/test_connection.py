"""The live table: what it says of a connection, and whom it tells."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from loopbackd.connection import Connection, connectionOf, reasonOf
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


class Broken(Watcher):
    """Raises in all of it."""

    connectionOpened = connectionChanged = connectionClosed = lambda *_: 1 / 0  # type: ignore[assignment]


@pytest.fixture
def clock() -> Clock:
    """A clock that begins at 100 s."""
    clock = Clock()
    clock.advance(100)
    return clock


@pytest.fixture
def table(clock: Clock) -> Connections:
    """An empty table; everybody is SOMEBODY."""
    return Connections(lambda _: SOMEBODY, clock.seconds)


def carried(table: Connections, service: str = "a") -> tuple[Connection, Stream]:
    """A connection with its transport."""
    connection, stream = table.add(service, PEER), Stream()
    connection.carriedBy(stream)
    return connection, stream


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


def test_ids_are_never_used_again_and_the_table_is_in_their_order(table: Connections) -> None:
    """Also after the first has ended."""
    first, second = table.add("a", PEER), table.add("a", PEER)
    assert list(table) == [first, second] and len(table) == 2
    first.ended("done")
    third = table.add("b", PEER)
    assert [one.id for one in table] == [2, 3]
    assert table.get(1) is None and table.get(3) is third


def test_the_table_can_change_while_it_is_walked(table: Connections) -> None:
    """As draining does."""
    for _ in range(3):
        table.add("a", PEER)
    for connection in table:
        connection.ended("done")
    assert len(table) == 0


def test_ending_twice_counts_once(table: Connections) -> None:
    """The first reason stays."""
    connection, _ = carried(table)
    called: list[Connection] = []
    connection.whenEnded = (called.append, called.append)
    connection.ended("lost")
    connection.ended("done")
    assert connection.reason == "lost"
    assert called == [connection, connection]
    assert table.totals("a").open == 0


def test_totals_of_a_service(table: Connections) -> None:
    """How many, and the bytes of those that ended."""
    one, stream = carried(table)
    carried(table)
    carried(table, "b")
    stream.bytesReceived, stream.bytesSent = 5, 6
    totals = table.totals("a")
    assert (totals.open, totals.opened, totals.bytesReceived) == (2, 2, 0)
    one.ended("done")
    assert (totals.open, totals.opened) == (1, 2)
    assert (totals.bytesReceived, totals.bytesSent) == (5, 6)
    assert table.totals("b").open == 1
    assert table.services() == ["a", "b"]


def test_watchers_are_told_of_open_change_and_close(table: Connections) -> None:
    """In that order, with final counts at the end; and no more when they stop watching."""
    watcher = Watcher()
    table.watch(watcher)
    connection, stream = carried(table)
    stream.bytesReceived, stream.bytesSent = 1, 2
    connection.changed("protocol")
    connection.ended("done")
    assert watcher.told == [
        ("opened", 1, "open"),
        ("changed", 1, "protocol"),
        ("closed", 1, "done", 1, 2),
    ]
    table.unwatch(watcher)
    table.add("a", PEER)
    assert len(watcher.told) == 3


def test_a_failing_watcher_is_logged_and_the_others_are_told(
    table: Connections, loggedFailures: Any
) -> None:
    """One that raises is told again the next time, and harms nobody."""
    watcher = Watcher()
    table.watch(Broken())
    table.watch(watcher)
    connection = table.add("a", PEER)
    connection.changed("protocol")
    connection.ended("done")
    assert [event[0] for event in watcher.told] == ["opened", "changed", "closed"]
    assert len(loggedFailures.flush(ZeroDivisionError)) == 3
    assert len(table) == 0


def test_a_watcher_may_leave_while_it_is_told(table: Connections) -> None:
    """The one after it is not passed over."""

    class Once(Watcher):
        def connectionOpened(self, connection: Connection) -> None:
            super().connectionOpened(connection)
            table.unwatch(self)

    first, second = Once(), Watcher()
    table.watch(first)
    table.watch(second)
    table.add("a", PEER)
    table.add("a", PEER)
    assert (len(first.told), len(second.told)) == (1, 2)


def test_when_empty_is_called_once_after_the_last_one(table: Connections) -> None:
    """At once where there is nobody."""
    called: list[str] = []
    table.whenEmpty(lambda: called.append("now"))
    assert called == ["now"]
    one, two = table.add("a", PEER), table.add("b", PEER)
    table.whenEmpty(lambda: called.append("later"))
    one.ended("done")
    assert called == ["now"]
    two.ended("done")
    assert called == ["now", "later"]
    table.add("a", PEER).ended("done")
    assert called == ["now", "later"]


def test_until_empty_waits_for_the_last_one_a_time_or_a_hurry(
    table: Connections, clock: Clock
) -> None:
    """Whichever is first; nothing is left to be called then."""
    one = table.add("a", PEER)
    empty, late, hurried = (table.untilEmpty(clock, clock, seconds) for seconds in (5, 1, 5))
    clock.advance(1)
    assert (empty.called, late.called, hurried.called) == (False, True, False)
    hurried.callback(None)
    one.ended("done")
    assert not empty.called
    clock.advance(0)
    assert empty.called
    assert clock.getDelayedCalls() == []


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
