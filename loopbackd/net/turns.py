"""Those with much to do take turns, so that nobody else waits for all of them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

LONGEST: Final = 0.002
"""Seconds of turns, before whatever else the reactor has to do."""

# The same, for a clock that stands still.
_MOST: Final = 32

_log = Logger()


class Turns:
    """
    A queue for what would take the reactor's thread for long, cut in short pieces.

    However many wait in it, they have it for L{LONGEST} at a time, all together.

    @param clock: an L{IReactorTime}.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        # A dictionary, so that who gives up its turn need not be looked for.
        self._waiting: OrderedDict[Turn, None] = OrderedDict()
        self._timer: IDelayedCall | None = None
        self._isGoing = False

    def __len__(self) -> int:
        return len(self._waiting)

    def take(self, call: Callable[[], object]) -> Turn:
        """Call that when its turn has come: soon, but never at once."""
        turn = Turn(self, call)
        self._waiting[turn] = None
        if self._timer is None and not self._isGoing:
            self._timer = self._clock.callLater(0, self._go)
        return turn

    def _go(self) -> None:
        self._timer = None
        self._isGoing = True
        began = self._clock.seconds()
        for _ in range(_MOST):
            turn, _none = self._waiting.popitem(last=False)
            try:
                turn.call()
            except BaseException:
                _log.failure("The turn of {call} failed.", call=turn.call)
            # A clock that is set back must not keep us here either.
            if not self._waiting or not 0 <= self._clock.seconds() - began < LONGEST:
                break
        self._isGoing = False
        if self._waiting:
            self._timer = self._clock.callLater(0, self._go)

    def _giveUp(self, turn: Turn) -> None:
        self._waiting.pop(turn, None)
        if not self._waiting and self._timer is not None:
            self._timer.cancel()
            self._timer = None


class Turn:
    """One that waits for its turn."""

    __slots__ = ("_turns", "call")

    def __init__(self, turns: Turns, call: Callable[[], object]) -> None:
        self._turns = turns
        self.call = call

    def cancel(self) -> None:
        """Give it up; does nothing where it has been."""
        self._turns._giveUp(self)
