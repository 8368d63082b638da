"""Slow close: data comes in time, the end of it late."""

from __future__ import annotations

from loopbackd.faults.kind import Context, Effect, Kind, Milliseconds


class SlowClose(Kind, frozen=True):
    """The end of the direction is passed on C{delay} milliseconds after it came."""

    delay: Milliseconds = 0

    def effect(self, context: Context) -> Effect:
        """See L{Kind.effect}."""
        return _LateEnd(self)


class _LateEnd(Effect):
    def __init__(self, kind: SlowClose) -> None:
        self._kind = kind

    def end(self, arrived: float, now: float) -> float:
        return arrived + self._kind.delay / 1e3

    def changed(self, kind: SlowClose, now: float) -> None:
        self._kind = kind
