"""Latency: everything comes later, in the order it was sent."""

from __future__ import annotations

from random import Random
from typing import Final

from loopbackd.faults.toxic import Context, Effect, Kind, Milliseconds, Schedule

WINDOW: Final = 6 << 20
"""What may be under way on a slow line: what Linux lets a receiver have (tcp_rmem, tcp(7))."""


class Latency(Kind, frozen=True):
    """
    Each piece of data goes on C{latency} milliseconds after it came, more or less C{jitter}.

    The order is kept: what would overtake waits.
    """

    latency: Milliseconds = 0
    jitter: Milliseconds = 0

    def effect(self, context: Context) -> Effect:
        """See L{Kind.effect}."""
        return _Later(self, context.chance)


class _Later(Effect):
    window = WINDOW

    def __init__(self, kind: Latency, chance: Random) -> None:
        self._kind = kind
        self._chance = chance

    def data(self, arrived: float, now: float, chunk: bytes) -> Schedule:
        delay = self._kind.latency / 1e3
        if self._kind.jitter:
            delay += self._chance.uniform(-1, 1) * self._kind.jitter / 1e3
        return [(arrived + max(delay, 0.0), chunk)]

    def changed(self, kind: Latency, now: float) -> None:
        self._kind = kind
