"""Bodies that take their time: pieces that are sent when they are due."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from random import Random
from typing import Annotated, Final

from msgspec import Meta

from loopbackd.http.messages import Request

LONGEST: Final = 600.0
"""Seconds that an answer may be stretched to."""

Seconds = Annotated[float, Meta(ge=0, le=LONGEST, description="seconds")]

_SHORTEST_PAUSE: Final = 0.001
_LARGEST_PIECE: Final = 1 << 16


async def paced(
    request: Request, size: int, step: int, pause: float, piece: Callable[[int, int], bytes]
) -> AsyncIterator[bytes]:
    """
    A body of which some bytes are due at once, and as many again after each pause.

    The times are counted from the beginning: whoever was late sends what is due by then at once.

    @param size: bytes in all.
    @param step: bytes that are due together.
    @param pause: seconds until the next of them.
    @param piece: makes the bytes from one place up to another.
    """
    start = request.on.seconds()
    sent = 0
    while sent < size:
        passed = request.on.seconds() - start
        due = size if pause <= 0 else min(size, (int(passed / pause) + 1) * step)
        if due <= sent:
            await request.on.sleep(max(_SHORTEST_PAUSE, sent / step * pause - passed))
        while sent < due:
            end = min(due, sent + _LARGEST_PIECE)
            yield piece(sent, end)
            sent = end


async def jittered(
    request: Request, count: int, pause: float, jitter: float, rng: Random
) -> AsyncIterator[int]:
    """
    The numbers of so many things, from 0, each when it is due; the first is at once.

    @param pause: seconds from one to the next.
    @param jitter: by how much of a pause it may be longer or shorter by chance, 0 to 1.
    """
    start, due = request.on.seconds(), 0.0
    for number in range(count):
        if number and pause > 0:
            due += pause * (1 + jitter * rng.uniform(-1, 1))
            wait = start + due - request.on.seconds()
            if wait > 0:
                await request.on.sleep(max(_SHORTEST_PAUSE, wait))
        yield number
