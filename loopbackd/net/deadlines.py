"""Many deadlines of one length on one timer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

T = TypeVar("T")

_log = Logger()


class Deadlines(Generic[T]):
    """
    Things that are due a fixed time after they were started.

    All have the same length, so they fall due in the order they were started: starting and stopping
    one costs a dictionary entry, and a single timer stands for them all.

    @param clock: an L{IReactorTime}.
    @param length: seconds from start to due.
    @param due: called with each thing whose time has come, after it was taken out.
    """

    def __init__(self, clock: IReactorTime, length: float, due: Callable[[T], object]) -> None:
        self._clock = clock
        self._length = length
        self._due = due
        self._waiting: dict[T, float] = {}
        self._timer: IDelayedCall | None = None
        self._ringing = False

    def __len__(self) -> int:
        return len(self._waiting)

    def start(self, thing: T) -> None:
        """Give a thing its full time, from now; also one that is waiting already."""
        now = self._clock.seconds()
        self._waiting.pop(thing, None)
        if self._timer is not None and self._timer.getTime() > now + self._length:
            self._clockWasSetBack(now)
        self._waiting[thing] = now + self._length
        if self._timer is None and not self._ringing:
            self._timer = self._later(self._length)

    def _clockWasSetBack(self, now: float) -> None:
        """Nobody has more than their full time left; what is known of the order still holds."""
        latest = now + self._length
        for thing, when in self._waiting.items():
            self._waiting[thing] = min(when, latest)
        if self._timer is not None:
            self._timer.reset(self._length)

    def stop(self, thing: T) -> None:
        """Forget a thing; also one that was never started."""
        self._waiting.pop(thing, None)
        if not self._waiting and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def close(self) -> None:
        """Forget everything."""
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _later(self, seconds: float) -> Any:
        return self._clock.callLater(max(0.0, seconds), self._ring)

    def _ring(self) -> None:
        self._timer = None
        self._ringing = True
        now = self._clock.seconds()
        while self._waiting:
            thing, when = next(iter(self._waiting.items()))
            if when > now:
                break
            del self._waiting[thing]
            try:
                self._due(thing)
            except BaseException:
                _log.failure("A deadline of {thing} failed.", thing=thing)
        self._ringing = False
        # For the first that is left, which need not be one that was started just now.
        for when in self._waiting.values():
            self._timer = self._later(when - now)
            break
