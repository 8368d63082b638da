"""Noop: a toxic that does nothing."""

from __future__ import annotations

from loopbackd.faults.kind import Context, Effect, Kind


class Noop(Kind, frozen=True):
    """Everything passes; to try out a client of the control, or to hold a name."""

    def effect(self, context: Context) -> Effect | None:
        """See L{Kind.effect}."""
        return None
