"""Limit: after so many bytes it is over."""

from __future__ import annotations

from loopbackd.faults.kind import Bytes, Context, Effect, Kind, Mark, Schedule


class LimitData(Kind, frozen=True):
    """
    Exactly C{bytes} bytes come through, then the connection is closed.

    With 0 it is closed at the first data. A change counts from the first byte, too.
    """

    bytes: Bytes = 0

    def effect(self, context: Context) -> Effect:
        """See L{Kind.effect}."""
        return _Limited(self)


class _Limited(Effect):
    def __init__(self, kind: LimitData) -> None:
        self._limit = kind.bytes
        self._passed = 0
        self._isOver = False

    def data(self, arrived: float, now: float, chunk: bytes) -> Schedule:
        if self._isOver:
            return
        part = chunk[: max(0, self._limit - self._passed)]
        if part:
            self._passed += len(part)
            yield now, part
        if self._passed >= self._limit:
            self._isOver = True
            yield now, Mark.CLOSE

    def changed(self, kind: LimitData, now: float) -> None:
        self._limit = kind.bytes
