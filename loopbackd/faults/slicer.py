"""Slicer: data comes in small pieces, as from who sends it bit by bit."""

from __future__ import annotations

from random import Random
from typing import Annotated

import msgspec

from loopbackd.faults.kind import Context, Effect, Kind

_Size = msgspec.Meta(ge=1, le=1 << 30)
_Variation = msgspec.Meta(ge=0, le=1 << 30)
_ADay = msgspec.Meta(ge=0, le=86_400_000_000)


class Slicer(Kind, frozen=True):
    """
    Data goes on in pieces of C{average_size} bytes, more or less C{size_variation}.

    Between one piece and the next are at least C{delay} microseconds. A piece never has bytes of
    two that arrived apart, so the last of them can be smaller.
    """

    average_size: Annotated[int, _Size]
    size_variation: Annotated[int, _Variation] = 0
    delay: Annotated[int, _ADay] | Annotated[float, _ADay] = 0

    def __post_init__(self) -> None:
        if self.size_variation > self.average_size:
            raise ValueError(
                f"size_variation = {self.size_variation} is more than average_size ="
                f" {self.average_size}; there are no pieces of less than nothing"
            )

    def effect(self, context: Context) -> Effect:
        """See L{Kind.effect}."""
        return _InPieces(self, context.chance)


class _InPieces(Effect):
    takesTurns = True

    def __init__(self, kind: Slicer, chance: Random) -> None:
        self._kind = kind
        self._chance = chance
        self._next = 0.0

    def turn(self, arrived: float, now: float, size: int) -> tuple[int, float]:
        kind = self._kind
        wanted = kind.average_size
        if kind.size_variation:
            wanted += self._chance.randint(-kind.size_variation, kind.size_variation)
        when = max(self._next, now)
        self._next = when + kind.delay / 1e6
        return max(1, wanted), when

    def changed(self, kind: Slicer, now: float) -> None:
        self._kind = kind
        self._next = min(self._next, now + kind.delay / 1e6)
