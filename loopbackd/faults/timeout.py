"""Timeout: nothing comes, and after a while the connection is closed."""

from __future__ import annotations

from loopbackd.faults.kind import Context, Effect, Kind, Mark, Milliseconds, Schedule


class Timeout(Kind, frozen=True):
    """
    All data is thrown away, and C{timeout} milliseconds later the connection is closed.

    With 0 it stays open until the toxic is taken away; then it is closed, since parts are missing.
    """

    timeout: Milliseconds = 0

    def effect(self, context: Context) -> Effect:
        """See L{Kind.effect}."""
        return _Nothing(self)


class _Nothing(Effect):
    def __init__(self, kind: Timeout) -> None:
        self._kind = kind

    def begin(self, now: float) -> None:
        self.changed(self._kind, now)

    def data(self, arrived: float, now: float, chunk: bytes) -> Schedule:
        return ()

    def changed(self, kind: Timeout, now: float) -> None:
        self.alarm = (now + kind.timeout / 1e3, Mark.CLOSE) if kind.timeout else None

    def removed(self, now: float) -> Mark | None:
        return Mark.CLOSE
