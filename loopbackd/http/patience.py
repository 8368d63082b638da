"""How long a client may take: absolute times, and a rate below which it is too slow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

TICK: Final = 1.0
"""Seconds between two looks at a client that is being waited for."""


@dataclass(frozen=True, slots=True)
class Patience:
    """
    How long a client may take, in seconds.

    @ivar head: from the first byte of a request to the end of its head.
    @ivar body: for a body, and to take an answer; bytes that came or went buy more, C{rate} of
        them a second.
    @ivar rate: bytes a second.
    @ivar idle: between two requests, and before the first.
    @ivar sending: as C{body}, for what we send.
    """

    head: float = 10.0
    body: float = 20.0
    sending: float = 20.0
    rate: float = 500.0
    idle: float = 75.0


class Pace:
    """
    Whether something goes on fast enough.

    @param allowance: seconds it has in any case.
    @param rate: how many bytes buy another second.
    """

    __slots__ = ("_allowance", "_count", "_rate", "_started")

    def __init__(self, now: float, count: int, allowance: float, rate: float) -> None:
        self._started = now
        self._count = count
        self._allowance = allowance
        self._rate = rate

    def isTooSlow(self, now: float, count: int) -> bool:
        """
        Look at it.

        @param count: how many bytes there were so far, counted as at the beginning.
        """
        bought = (count - self._count) / self._rate
        return now - self._started >= self._allowance + bought
