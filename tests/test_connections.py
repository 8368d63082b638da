"""The live table: who is in it, what it counts, and whom it tells."""

from __future__ import annotations

from typing import Any

import pytest
from tables import PEER, Watcher, carried, emptyTable
from twisted.internet.task import Clock

from loopbackd.connection import Connection
from loopbackd.connections import Connections


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
    """An empty table."""
    return emptyTable(clock)


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
