"""
One direction of a connection that has toxics: what holds bytes until their time has come.

Pieces go through the toxics' effects in order. Each of them has a queue of its own with a bound; a
queue that is full stops the one before it, and the first one stops the source.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import Any, Final, Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from loopbackd.faults.kind import Effect, Mark, Piece
from loopbackd.faults.stage import MICROSECOND, Stage, checkWindow, weight

_log = Logger()

# How much may have come through and wait for an outlet that takes nothing now.
_WINDOW: Final = 1 << 16

# So many seconds a link may take at a time; then everybody else gets a turn before it goes on.
_LONGEST: Final = 0.002


class Outlet(Protocol):
    """Where a link leads, and who feeds it."""

    def passOn(self, chunk: bytes) -> None:
        """These bytes have come through."""

    def ended(self, mark: Mark) -> None:
        """This end has come through, behind all bytes before it."""

    def cut(self, mark: Mark) -> None:
        """A toxic ends the connection now, whatever is held."""

    def holdSource(self) -> None:
        """Feed no more for now."""

    def releaseSource(self) -> None:
        """Feed on."""

    def emptied(self) -> None:
        """Nothing is held any more."""


class Link:
    """
    One direction.

    @param clock: keeps the time.
    @param outlet: where everything goes in the end.
    @ivar whenStuck: called when what is held waits for a toxic to go away (see C{isStuck}).
    """

    whenStuck: Callable[[], object] | None = None

    def __init__(self, clock: IReactorTime, outlet: Outlet) -> None:
        self._clock = clock
        self._outlet = outlet
        self._stages: list[Stage] = []
        self._ready: deque[Piece] = deque()
        self._readyHeld = 0
        self._paused = False
        self._holds = False
        self._delivering = False
        self._closed = False
        self._timer: IDelayedCall | None = None
        self._until = 0.0

    @property
    def isBare(self) -> bool:
        """Whether there is no toxic on it."""
        return all(stage.isLeft for stage in self._stages)

    @property
    def isEmpty(self) -> bool:
        """Whether nothing is held."""
        if self._ready:
            return False
        for stage in self._stages:  # noqa: SIM110 - every chunk asks
            if stage.queue:
                return False
        return True

    @property
    def isStuck(self) -> bool:
        """Whether what is held waits for a toxic to go away."""
        return any(stage.queue and stage.next == math.inf for stage in self._stages)

    @property
    def holdsSource(self) -> bool:
        """Whether the source was asked to stop."""
        return self._holds

    @property
    def isPaused(self) -> bool:
        """Whether the outlet takes nothing now."""
        return self._paused

    # The toxics on it.

    def put(self, effect: Effect, position: int) -> None:
        """Put an effect on; what is held already behind that position does not meet it."""
        present = [at for at, stage in enumerate(self._stages) if not stage.isLeft]
        at = present[position] if position < len(present) else len(self._stages)
        self._stages.insert(at, Stage(effect))
        try:
            effect.begin(self._clock.seconds())
            checkWindow(effect)
        except Exception:
            self._failed()
        self._run()

    def take(self, effect: Effect) -> None:
        """Take an effect away; what waited for it goes on at once."""
        index = next(i for i, stage in enumerate(self._stages) if stage.effect is effect)
        stage = self._stages[index]
        now = self._clock.seconds()
        try:
            mark = effect.removed(now)
            if stage.queue and index + 1 < len(self._stages):
                # The next one may take its time with each piece, and others have their turns.
                stage.leave(now)
            else:
                del self._stages[index]
                for _, _, piece in stage.empty():
                    self._enter(index, piece, now)
        except Exception:
            self._failed()
            return
        if mark is not None:
            self._outlet.cut(mark)
        self._run()

    def change(self, effect: Effect, kind: Any) -> None:
        """An effect's toxic has other attributes; what waits for it is looked at again."""
        now = self._clock.seconds()
        try:
            effect.changed(kind, now)
            checkWindow(effect)
            for stage in self._stages:
                if stage.effect is effect:
                    stage.again(now)
        except Exception:
            self._failed()
        self._run()

    # What passes.

    def feed(self, piece: Piece) -> None:
        """Something comes in."""
        if self._closed:
            return
        first = self._stages[0] if self._stages else None
        # Behind what waits for the timer, nothing can be due; most of what passes comes so.
        isBehind = self._timer is not None and first is not None and len(first.queue) > 0
        isBehind = isBehind and not self._delivering
        try:
            self._enter(0, piece, self._clock.seconds())
        except Exception:
            self._failed()
        if isBehind and first and first.effect.alarm is None and not self._closed:
            self._tellSource()
        else:
            self._run()

    def pause(self) -> None:
        """The outlet takes nothing for now."""
        self._paused = True

    def resume(self) -> None:
        """The outlet takes again."""
        self._paused = False
        self._run()

    def close(self) -> None:
        """Throw away what is held; nothing comes out any more."""
        self._closed = True
        for stage in self._stages:
            stage.clear()
        self._ready.clear()
        self._setTimer(math.inf, 0)

    def _enter(self, index: int, piece: Piece, now: float) -> None:
        if index < len(self._stages):
            self._stages[index].take(piece, now, now)
        else:
            self._ready.append(piece)
            self._readyHeld += weight(piece)

    def _hasRoom(self, index: int) -> bool:
        if index < len(self._stages):
            stage = self._stages[index]
            return stage.held <= stage.effect.window
        return self._readyHeld <= _WINDOW

    def _run(self) -> None:
        """Do what the time and the outlet allow."""
        if self._delivering or self._closed:
            return
        self._delivering = True
        self._until = self._clock.seconds() + _LONGEST
        try:
            self._move()
            while self._ready and not self._paused:
                piece = self._ready.popleft()
                self._readyHeld -= weight(piece)
                if isinstance(piece, Mark):
                    self._outlet.ended(piece)
                else:
                    self._outlet.passOn(piece)
                if self._clock.seconds() > self._until:
                    break
                if not self._ready:
                    self._move()
        finally:
            self._delivering = False
        if not self._closed:
            self._settle()

    def _move(self) -> None:
        try:
            self._moveDue()
        except Exception:
            self._failed()

    def _failed(self) -> None:
        """A toxic raised, which may be the user's: what it holds cannot be relied on any more."""
        _log.failure("A toxic failed; its connection is reset.")
        self._outlet.cut(Mark.RESET)

    def _moveDue(self) -> None:
        """Move everything whose time has come."""
        now = self._clock.seconds()
        stages = self._stages
        moved = True
        while moved:
            moved = False
            for index in range(len(stages) - 1, -1, -1):
                stage = stages[index]
                while stage.queue and self._hasRoom(index + 1) and stage.isDue(now):
                    self._enter(index + 1, stage.pop(), now)
                    moved = len(stages) > 1
                    if self._clock.seconds() > self._until:
                        return
        if any(stage.isLeft for stage in stages):
            self._stages = [stage for stage in stages if stage.queue or not stage.isLeft]

    def _settle(self) -> None:
        """Wait for what comes next, and tell the source whether there is room."""
        now = self._clock.seconds()
        try:
            wanted, mark = self._coming(now)
        except Exception:
            self._failed()
            return
        if mark is not None:
            self._outlet.cut(mark)
            return
        self._setTimer(wanted, now)
        if self.whenStuck is not None and self.isStuck:
            self.whenStuck()
        self._tellSource()
        if not self._closed and self.isEmpty:
            self._outlet.emptied()

    def _coming(self, now: float) -> tuple[float, Mark | None]:
        """When there is something to do again; and how the connection ends, if that is now."""
        wanted = now if self._ready and not self._paused else math.inf
        for index, stage in enumerate(self._stages):
            if stage.effect.alarm is not None:
                when, mark = stage.effect.alarm
                if when <= now + MICROSECOND:
                    return when, mark
                wanted = min(wanted, when)
            if stage.queue and self._hasRoom(index + 1):
                wanted = min(wanted, stage.next)
        return wanted, None

    def _tellSource(self) -> None:
        stages = self._stages
        held, window = self._readyHeld, _WINDOW
        if stages:
            first = stages[0]
            if held > window or len(stages) > 1:
                # What waited for a toxic that was taken away fills that of none of the others.
                everything = held + sum(stage.held for stage in stages)
                room = window + sum(stage.effect.window for stage in stages)
                held, window = first.held, first.effect.window
                if everything > room:
                    held = max(held, window + 1)
            else:
                held, window = first.held, first.effect.window
        if not self._holds and held > window:
            self._holds = True
            self._outlet.holdSource()
        elif self._holds and held <= window // 2:
            self._holds = False
            self._outlet.releaseSource()

    def _setTimer(self, when: float, now: float) -> None:
        timer = self._timer
        if when == math.inf:
            if timer is not None:
                timer.cancel()
                self._timer = None
        elif timer is None:
            self._timer = self._clock.callLater(max(0.0, when - now), self._rang)
        elif abs(timer.getTime() - when) > MICROSECOND:
            timer.reset(max(0.0, when - now))

    def _rang(self) -> None:
        self._timer = None
        self._run()
