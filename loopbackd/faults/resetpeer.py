"""Reset: whoever says something is cut off."""

from __future__ import annotations

from loopbackd.faults.kind import NEVER, Context, Effect, Kind, Mark, Milliseconds, Schedule


class ResetPeer(Kind, frozen=True):
    """
    C{timeout} milliseconds after the first data, or the end, both sides are reset.

    What comes until then is thrown away. A connection on which nothing comes stays as it is.
    """

    timeout: Milliseconds = 0

    def effect(self, context: Context) -> Effect:
        """See L{Kind.effect}."""
        return _Cutting(self)


class _Cutting(Effect):
    def __init__(self, kind: ResetPeer) -> None:
        self._kind = kind
        self._since: float | None = None
        self._isMaimed = False

    def data(self, arrived: float, now: float, chunk: bytes) -> Schedule:
        self._isMaimed = True
        self._trigger(arrived)
        return ()

    def end(self, arrived: float, now: float) -> float:
        self._trigger(arrived)
        return NEVER

    def _trigger(self, arrived: float) -> None:
        if self._since is None:
            self._since = arrived
            self.alarm = (arrived + self._kind.timeout / 1e3, Mark.RESET)

    def changed(self, kind: ResetPeer, now: float) -> None:
        self._kind = kind
        if self._since is not None:
            self.alarm = (self._since + kind.timeout / 1e3, Mark.RESET)

    def removed(self, now: float) -> Mark | None:
        return Mark.RESET if self._isMaimed else None
