"""Duplicates: pieces of data that arrive twice."""

from __future__ import annotations

from loopbackd.faults.kind import Context, Effect, Kind, Probability, Schedule


class Duplicate(Kind, frozen=True):
    """
    Each piece of data, as it was sent or came, comes a second time with a probability of C{rate}.

    TCP would not do that; what keeps messages apart on it should say so, and not take one twice.
    """

    rate: Probability = 0.0

    def effect(self, context: Context) -> Effect:
        """See L{Kind.effect}."""
        return _Doubling(self, context)


class _Doubling(Effect):
    def __init__(self, kind: Duplicate, context: Context) -> None:
        self._kind = kind
        self._chance = context.chance

    def data(self, arrived: float, now: float, chunk: bytes) -> Schedule:
        if self._chance.random() < self._kind.rate:
            return [(now, chunk), (now, chunk)]
        return [(now, chunk)]

    def changed(self, kind: Duplicate, now: float) -> None:
        self._kind = kind
