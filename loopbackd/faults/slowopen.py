"""A slow opening: the connection is there, and its protocol does not know it yet."""

from __future__ import annotations

from loopbackd.faults.kind import Context, Kind, Milliseconds, Opening


class SlowOpen(Kind, frozen=True):
    """
    A new connection begins C{delay} milliseconds after it was opened, more or less C{jitter}.

    Until then nothing is dialled and nobody is greeted; what the client says meanwhile is kept.
    """

    delay: Milliseconds = 0
    jitter: Milliseconds = 0

    def effect(self, context: Context) -> None:
        """None: once it has begun it is as any other."""

    def opening(self, context: Context) -> Opening:
        """See L{Kind.opening}."""
        delay = float(self.delay)
        if self.jitter:
            delay += context.chance.uniform(-1, 1) * self.jitter
        return Opening(context.opened + max(delay, 0.0) / 1e3)
