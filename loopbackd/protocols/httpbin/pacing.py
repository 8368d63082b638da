"""Answers that take their time: a number of things spread over a duration."""

from __future__ import annotations

from collections.abc import AsyncIterator
from random import Random

from loopbackd.http.messages import Surface

_NEARLY = 1e-6
"""By how much of a pause a thing may be early; times are floats."""

_SHORTEST = 1e-3
"""Seconds that are waited at least; shorter pauses are kept by more than one at a time."""


async def beats(on: Surface, count: int, pause: float) -> AsyncIterator[int]:
    """
    So many things, one a pause, the first at once.

    Each has its own time, counted from the beginning: when the client or the clock was slow, those
    that are due come together, and the whole takes no longer than it should.

    @param pause: seconds between two.
    @return: how many are due now, at least one; all of them are C{count}.
    """
    began, done = on.seconds(), 0
    while True:
        due = count
        if pause > 0:
            passed = (on.seconds() - began) / pause
            if passed < count:
                due = min(count, int(passed + _NEARLY) + 1)
        if due > done:
            yield due - done
            done = due
        if done >= count:
            return
        await on.sleep(max(_SHORTEST, began + done * pause - on.seconds()))


async def jittered(
    on: Surface, count: int, pause: float, jitter: float, rng: Random
) -> AsyncIterator[int]:
    """
    Like L{beats}, with pauses that are longer or shorter by chance.

    @param jitter: by how much of a pause at most, 0 to 1.
    @return: the number of each thing, from 0.
    """
    began, due = on.seconds(), 0.0
    for number in range(count):
        if number:
            due += pause * (1 + jitter * rng.uniform(-1, 1))
            wait = began + due - on.seconds()
            if wait > 0:
                await on.sleep(wait)
        yield number
