"""Corruption: bits that arrive flipped."""

from __future__ import annotations

import math
from random import Random
from typing import Final

from loopbackd.faults.kind import Context, Effect, Kind, Probability, Schedule

# No stream is long enough for one of these, and floats do not reach so far.
_LEAST: Final = 1e-30


class Corrupt(Kind, frozen=True):
    """
    Each byte has one of its bits flipped with a probability of C{rate}.

    Nothing is added and nothing is missing. With the same seed the same bytes of a stream are hit,
    however it is cut into pieces.
    """

    rate: Probability = 0.0

    def effect(self, context: Context) -> Effect:
        """See L{Kind.effect}."""
        return _Flipping(self, context.chance)


class _Flipping(Effect):
    """
    What flips them.

    The chance is not asked for each byte, but for how many are spared until the next one.
    """

    def __init__(self, kind: Corrupt, chance: Random) -> None:
        self._chance = chance
        self._rate = kind.rate
        self._spared = self._until()

    def data(self, arrived: float, now: float, chunk: bytes) -> Schedule:
        if self._spared >= len(chunk):
            self._spared -= len(chunk)
            return [(now, chunk)]
        flipped = bytearray(chunk)
        at, size = self._spared, len(chunk)
        bits, until = self._chance.getrandbits, self._until
        while at < size:
            flipped[int(at)] ^= 1 << bits(3)
            at += 1 + until()
        self._spared = at - size
        return [(now, bytes(flipped))]

    def changed(self, kind: Corrupt, now: float) -> None:
        self._rate = kind.rate
        self._spared = self._until()

    def _until(self) -> float:
        """How many are spared (geometric distribution)."""
        if self._rate < _LEAST:
            return math.inf
        if self._rate >= 1:
            return 0
        return math.floor(math.log(1 - self._chance.random()) / math.log1p(-self._rate))
