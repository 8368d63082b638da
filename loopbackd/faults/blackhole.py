"""A black hole: new connections are accepted, and nothing comes of them."""

from __future__ import annotations

from loopbackd.faults.kind import NEVER, Context, Kind, Opening


class Blackhole(Kind, frozen=True):
    """
    A new connection is accepted, and then there is silence until the toxic is taken away.

    Then it begins as if nothing had been, with what the client has said.
    """

    def effect(self, context: Context) -> None:
        """None: what is open goes on."""

    def opening(self, context: Context) -> Opening:
        """See L{Kind.opening}."""
        return Opening(NEVER)
