"""Refusal: new connections are reset before anybody knows of them."""

from __future__ import annotations

from loopbackd.faults.kind import Context, Kind, Mark, Milliseconds, Opening


class Refuse(Kind, frozen=True):
    """
    A new connection is reset C{delay} milliseconds after it was opened, unseen by its protocol.

    The kernel has accepted it by then, so that clients see a reset and no refusal; for that, a
    service is switched off.
    """

    delay: Milliseconds = 0

    def effect(self, context: Context) -> None:
        """None: what is open stays so."""

    def opening(self, context: Context) -> Opening:
        """See L{Kind.opening}."""
        return Opening(context.opened + self.delay / 1e3, Mark.RESET)
