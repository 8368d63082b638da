"""How often something may be done that costs time, so that it never costs more than its share."""

from __future__ import annotations


class Pace:
    """
    Keeps what is done again and again within a share of a core.

    @param share: of one core, 0 to 1.
    @param longest: seconds after which it may be done whatever it costs.
    """

    def __init__(self, share: float, longest: float = 60.0) -> None:
        self._share = share
        self._longest = longest
        self._last = self._next = float("-inf")

    def isDue(self, now: float) -> bool:
        """Whether it may be done now; also when the clock was put back."""
        return now >= self._next or now < self._last

    def took(self, cost: float, now: float) -> None:
        """
        It was done.

        @param cost: seconds of processor time.
        """
        self._last = now
        self._next = now + min(cost / self._share, self._longest)
