"""Things spread over a duration."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from itertools import pairwise
from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock, deferLater

from loopbackd.protocols.httpbin.pacing import beats, jittered


class Place:
    """A connection, as far as it is about time."""

    def __init__(self, seconds: float = 1_700_000_000.0) -> None:
        self.clock = Clock()
        self.clock.advance(seconds)

    def seconds(self) -> float:
        """Now."""
        return self.clock.seconds()

    def sleep(self, seconds: float) -> Awaitable[None]:
        """Wait."""
        return deferLater(self.clock, seconds, lambda: None)


def collected(place: Place, things: AsyncIterator[int]) -> tuple[list[tuple[float, int]], Any]:
    """Where each comes, with the time since now; and the end of it."""
    found: list[tuple[float, int]] = []
    began = place.seconds()

    async def collect() -> None:
        async for thing in things:
            found.append((round(place.seconds() - began, 3), thing))

    return found, Deferred.fromCoroutine(collect())


def test_things_come_in_their_time() -> None:
    """The first at once, none after the last pause."""
    place = Place()
    found, end = collected(place, beats(place, 4, 0.5))  # type: ignore[arg-type]
    while not end.called:
        place.clock.advance(0.25)
    assert found == [(0, 1), (0.5, 1), (1.0, 1), (1.5, 1)]


def test_without_a_pause_all_come_at_once() -> None:
    """Nothing is waited for."""
    place = Place()
    found, end = collected(place, beats(place, 1000, 0))  # type: ignore[arg-type]
    assert end.called and found == [(0, 1000)]


def test_what_was_late_is_made_up_for() -> None:
    """A clock that stands still for a while does not make the whole longer."""
    place = Place()
    found, end = collected(place, beats(place, 10, 0.1))  # type: ignore[arg-type]
    place.clock.advance(0.55)
    place.clock.advance(0.4)
    assert end.called
    assert found == [(0, 1), (0.55, 5), (0.95, 4)]


@given(st.integers(1, 100), st.floats(1e-9, 5), st.floats(1e-3, 10))
def test_all_of_them_come(count: int, pause: float, step: float) -> None:
    """Whatever the pause and however coarse the clock; and in time."""
    place = Place()
    found, end = collected(place, beats(place, count, pause))  # type: ignore[arg-type]
    steps = 0
    while not end.called:
        place.clock.advance(max(step, pause / 2))
        steps += 1
        assert steps <= 4 * count + 2
    assert sum(due for _, due in found) == count
    assert all(due >= 1 for _, due in found)


@given(st.integers(0, 2**32), st.floats(0, 1))
def test_chance_moves_them_within_its_bounds(seed: int, jitter: float) -> None:
    """Every one comes, in order, no pause shorter or longer than allowed."""
    place = Place()
    found, end = collected(place, jittered(place, 5, 1.0, jitter, Random(seed)))  # type: ignore[arg-type]
    for _ in range(1000):
        place.clock.advance(0.02)
    assert end.called
    assert [number for _, number in found] == list(range(5))
    for (before, _), (after, _) in pairwise(found):
        assert 1 - jitter - 0.05 <= after - before <= 1 + jitter + 0.05
