"""How long a client may take: absolute times, and a rate below which it is too slow."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Final

TICK: Final = 1.0
"""Seconds between two looks at a client that is being waited for."""


@dataclass(frozen=True, slots=True)
class Patience:
    """
    How long a client may take, in seconds.

    @ivar first: before the first byte of the first request; L{None} for as long as C{idle}.
    @ivar head: from the first byte of a request to the end of its head.
    @ivar body: for a body; bytes that came buy more, C{rate} of them a second.
    @ivar request: from the first byte of a request to the last of its body, whatever came; looked
        at while the body is waited for.
    @ivar rate: bytes a second.
    @ivar idle: between two requests.
    @ivar sending: as C{body}, for what we send.
    """

    first: float | None = None
    head: float = 10.0
    body: float = 20.0
    request: float = 3600.0
    sending: float = 20.0
    rate: float = 500.0
    idle: float = 75.0


class Pace:
    """
    Whether something goes on fast enough.

    @param allowance: seconds it has in any case.
    @param rate: how many bytes buy another second.
    @param latest: when it must be over, whatever was bought.
    """

    __slots__ = ("_allowance", "_count", "_latest", "_rate", "_started")

    def __init__(
        self, now: float, count: int, allowance: float, rate: float, latest: float = inf
    ) -> None:
        self._started = now
        self._latest = latest
        self._count = count
        self._allowance = allowance
        self._rate = rate

    def isTooSlow(self, now: float, count: int) -> bool:
        """
        Look at it.

        @param count: how many bytes there were so far, counted as at the beginning.
        """
        bought = (count - self._count) / self._rate
        return now >= min(self._started + self._allowance + bought, self._latest)
