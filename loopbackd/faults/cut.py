"""Cuts: connections end at a moment, although data flows."""

from __future__ import annotations

import math

from loopbackd.faults.kind import Context, Effect, Kind, Mark, Milliseconds


class Cut(Kind, frozen=True):
    """
    Connections end C{after} milliseconds, whatever passes on them.

    It is counted from when the toxic was put on (or the daemon started with it), and ends all
    connections that were opened before that moment: once, or with C{every} again and again. With
    C{per_connection} it is counted from each connection's own opening. C{reset} ends them with a
    reset instead of a close; what was under way is lost either way.
    """

    after: Milliseconds = 0
    reset: bool = False
    every: bool = False
    per_connection: bool = False

    def __post_init__(self) -> None:
        if self.every and self.per_connection:
            raise ValueError(
                "every counts from when the toxic was put on, per_connection from each connection's"
                " opening; write one of them"
            )
        if self.every and not self.after:
            raise ValueError("every = true needs an after of more than 0 milliseconds")

    def effect(self, context: Context) -> Effect:
        """See L{Kind.effect}."""
        return _Ending(self, context)


class _Ending(Effect):
    def __init__(self, kind: Cut, context: Context) -> None:
        self._kind = kind
        self._context = context

    def begin(self, now: float) -> None:
        self.changed(self._kind, now)

    def changed(self, kind: Cut, now: float) -> None:
        self._kind = kind
        when = self._when(now)
        mark = Mark.RESET if kind.reset else Mark.CLOSE
        self.alarm = None if when is None else (when, mark)

    def _when(self, now: float) -> float | None:
        after = self._kind.after / 1e3
        since, opened = self._context.since, self._context.opened
        if self._kind.per_connection:
            return opened + after
        if self._kind.every:
            return since + after * max(1, math.ceil((now - since) / after))
        # Who came later than that is spared.
        return since + after if opened <= since + after else None
