"""
Answers that go out together.

An answer that is sent at once wakes its client, which asks again and sleeps before the next answer
is ready: with many clients that is a wake-up each.  So while several descriptors are served in one
batch (L{loopbackd.net.batch}), whole answers are held and sent one behind the other.
"""

from __future__ import annotations

from typing import Any, Final, Protocol

_MOST_HOLDERS: Final = 32
"""Connections whose answers wait; one more, and all of them go."""

MOST_HELD: Final = 1 << 16
"""Bytes of one connection that wait."""


class Holder(Protocol):
    """A connection that holds answers."""

    def letGo(self) -> None:
        """Send what is held."""


class Holding:
    """
    Who holds answers at the moment.

    @param reactor: what streams are built on; one that knows no batches is told of nobody.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._knowsBatches = hasattr(reactor, "servesMany")
        self._holders: list[Holder] = []

    @property
    def isWorthIt(self) -> bool:
        """Whether others are being served beside the one that asks."""
        return self._knowsBatches and self._reactor.servesMany

    def add(self, holder: Holder) -> None:
        """Have it let go at the end of the batch, or before if there are many."""
        holders = self._holders
        if not holders:
            self._reactor.soon(self.letGo)
        holders.append(holder)
        if len(holders) == _MOST_HOLDERS:
            self.letGo()

    def letGo(self) -> None:
        """Send what is held, in the order it was."""
        holders, self._holders = self._holders, []
        for holder in holders:
            holder.letGo()
