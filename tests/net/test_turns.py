"""Tests for L{loopbackd.net.turns}."""

from __future__ import annotations

from typing import Any

from iterated import Iterated
from twisted.internet.task import Clock

from loopbackd.net.turns import LONGEST, Turns


def test_turns_are_taken_in_order() -> None:
    """Never at once, and who asks again comes behind the others."""
    clock = Clock()
    turns = Turns(clock)
    taken: list[str] = []

    def twice() -> None:
        taken.append("a")
        if taken.count("a") < 2:
            turns.take(twice)

    turns.take(twice)
    turns.take(lambda: taken.append("b"))
    assert taken == []
    clock.advance(0)
    assert taken == ["a", "b", "a"]
    assert len(turns) == 0
    assert clock.getDelayedCalls() == []


def test_all_together_have_a_moment() -> None:
    """However many wait: what else the reactor has to do comes between."""
    clock = Iterated()
    turns = Turns(clock)
    taken: list[int] = []

    def slow(number: int) -> None:
        clock.rightNow += LONGEST * 0.6
        taken.append(number)

    for number in range(5):
        turns.take(lambda number=number: slow(number))  # type: ignore[misc]
    counts = []
    while clock.getDelayedCalls():
        clock.iterate()
        counts.append(len(taken))
    assert counts == [2, 4, 5]
    assert taken == [0, 1, 2, 3, 4]


def test_where_the_clock_stands_still() -> None:
    """Who always asks again does not keep the reactor for ever."""
    clock = Iterated()
    turns = Turns(clock)
    taken: list[None] = []

    def again() -> None:
        taken.append(None)
        turns.take(again)

    turns.take(again)
    clock.iterate()
    assert 1 <= len(taken) < 1000
    assert len(turns) == 1


def test_given_up() -> None:
    """It is not called, and the last leaves no timer behind; a second time does nothing."""
    clock = Clock()
    turns = Turns(clock)
    taken: list[str] = []
    first = turns.take(lambda: taken.append("first"))
    second = turns.take(lambda: (first.cancel(), last.cancel(), taken.append("second")))
    last = turns.take(lambda: taken.append("last"))
    first.cancel()
    clock.advance(0)
    second.cancel()
    assert taken == ["second"]
    turns.take(lambda: taken.append("late")).cancel()
    assert clock.getDelayedCalls() == []


def test_one_that_fails(loggedFailures: Any) -> None:
    """Does not take the turn of the others."""
    clock = Clock()
    turns = Turns(clock)
    taken: list[str] = []
    turns.take(lambda: 1 // 0)
    turns.take(lambda: taken.append("next"))
    clock.advance(0)
    assert taken == ["next"]
    assert len(loggedFailures.flush(ZeroDivisionError)) == 1
