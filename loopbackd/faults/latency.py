"""Latency: everything comes later, in the order it was sent."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Final, Literal

from loopbackd.faults.kind import Context, Effect, Kind, Milliseconds, Schedule

WINDOW: Final = 6 << 20
"""What may be under way on a slow line: what Linux lets a receiver have (tcp_rmem, tcp(7))."""

# The tables that tc-netem(8) draws from end there, and its Pareto distribution has this shape.
_FARTHEST: Final = 4.0
_SHAPE: Final = 3.0

Distribution = Literal["uniform", "normal", "pareto"]


class Latency(Kind, frozen=True):
    """
    Each piece of data goes on C{latency} milliseconds after it came, more or less by C{jitter}.

    How much, the distribution says: C{jitter} times a number that is

      - C{uniform}: from -1 to 1, each as probable as any other;
      - C{normal}: around 0 with a standard deviation of 1, and within 4 of it;
      - C{pareto}: mostly just below 0 and now and then far above: (U^(-1/3) - 3/2) * 4/3 for a U
        between 0 and 1, and at most 4; as tc-netem(8) has it.

    It is never less than nothing, and the order is kept: what would overtake waits.
    """

    latency: Milliseconds = 0
    jitter: Milliseconds = 0
    distribution: Distribution = "uniform"

    def effect(self, context: Context) -> Effect:
        """See L{Kind.effect}."""
        return _Later(self, context.chance)


def _uniform(chance: Random) -> float:
    return chance.uniform(-1, 1)


def _normal(chance: Random) -> float:
    return max(-_FARTHEST, min(chance.gauss(0, 1), _FARTHEST))


def _pareto(chance: Random) -> float:
    # 1 less what is from 0 to below 1 is never 0.
    drawn: float = (1 - chance.random()) ** (-1 / _SHAPE)
    return min((drawn - 1.5) * 4 / 3, _FARTHEST)


_DRAWN: Final[dict[Distribution, Callable[[Random], float]]] = {
    "uniform": _uniform,
    "normal": _normal,
    "pareto": _pareto,
}


class _Later(Effect):
    window = WINDOW

    def __init__(self, kind: Latency, chance: Random) -> None:
        self._chance = chance
        self.changed(kind, 0.0)

    def data(self, arrived: float, now: float, chunk: bytes) -> Schedule:
        delay = self._latency
        if self._jitter:
            delay = max(0.0, delay + self._jitter * self._drawn(self._chance))
        return ((arrived + delay, chunk),)

    def changed(self, kind: Latency, now: float) -> None:
        self._latency, self._jitter = kind.latency / 1e3, kind.jitter / 1e3
        self._drawn = _DRAWN[kind.distribution]
