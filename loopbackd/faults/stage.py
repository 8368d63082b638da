"""A toxic's effect on one link, and what waits for it there."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from typing import Any, Final

from loopbackd.faults.kind import Effect, Mark, Piece

# What a piece costs besides its bytes, so that many small ones have a bound too.
OVERHEAD: Final = 256

# A timer that rings this much too early is right: floats do not add up.
MICROSECOND: Final = 1e-6


class Stage:
    """
    An effect, and what waits for it.

    @ivar isLeft: whether the effect was taken away, and what waited for it is only on its way.
    @ivar granted: how much of the first piece has been given its turn, and C{turn} when that is.
    """

    __slots__ = ("_begun", "_last", "effect", "granted", "held", "isLeft", "queue", "turn")

    def __init__(self, effect: Effect) -> None:
        self.effect = effect
        self.isLeft = False
        self.clear()

    def clear(self) -> None:
        """Hold nothing."""
        self.queue: deque[tuple[float, float, Piece]] = deque()
        self.held = 0
        self.granted = 0
        self.turn = 0.0
        self._begun = 0
        self._last = -math.inf

    def take(self, piece: Piece, arrived: float, now: float) -> None:
        """Let the effect say when the piece goes on; never before one that came earlier."""
        if isinstance(piece, Mark):
            self._wait(self.effect.end(arrived, now), arrived, piece)
            return
        for when, part in self.effect.data(arrived, now, piece):
            self._wait(when, arrived, part)

    def _wait(self, when: float, arrived: float, piece: Piece) -> None:
        if piece.__class__ is not bytes:
            piece = _checked(piece)
        if not piece:
            # Nothing, of which no part could have its turn.
            return
        if when > self._last:
            self._last = when
        elif when != when:
            raise ValueError("a toxic gave a time that is no number (NaN)")
        self.queue.append((self._last, arrived, piece))
        self.held += weight(piece)

    @property
    def next(self) -> float:
        """When the first goes on, as far as that is known."""
        return self.turn if self.granted else self.queue[0][0]

    def isDue(self, now: float) -> bool:
        """Whether the first, or the next part of it, goes on now."""
        when, arrived, piece = self.queue[0]
        by = now + MICROSECOND
        if when > by or not self.effect.takesTurns or isinstance(piece, Mark):
            return when <= by
        if not self.granted:
            rest = len(piece) - self._begun
            granted, self.turn = self.effect.turn(arrived, now, rest)
            if self.turn != self.turn:
                raise ValueError("a toxic gave a turn at a time that is no number (NaN)")
            self.granted = max(1, min(granted, rest))
        return self.turn <= by

    def pop(self) -> Piece:
        """What goes on now."""
        _, _, piece = self.queue[0]
        if isinstance(piece, Mark) or not self.granted:
            self.queue.popleft()
            self.held -= weight(piece)
            return piece
        begun, self._begun = self._begun, self._begun + self.granted
        self.held -= self.granted
        self.granted = 0
        if self._begun == len(piece):
            self.queue.popleft()
            self.held -= OVERHEAD
            self._begun = 0
            return piece[begun:] if begun else piece
        return piece[begun : self._begun]

    def empty(self) -> Iterator[tuple[float, float, Piece]]:
        """Everything that waits, which does no more."""
        queue, begun = self.queue, self._begun
        self.clear()
        for when, arrived, piece in queue:
            yield when, arrived, piece[begun:] if begun and isinstance(piece, bytes) else piece
            begun = 0

    def leave(self, now: float) -> None:
        """The effect is taken away; what waits goes on as soon as there is room for it."""
        self.effect, self.isLeft = Effect(), True
        for _, arrived, piece in self.empty():
            self._wait(now, arrived, piece)

    def again(self, now: float) -> None:
        """Ask about everything that is not due once more."""
        for when, arrived, piece in self.empty():
            if when <= now:
                self._wait(when, arrived, piece)
            else:
                self.take(piece, arrived, now)


def _checked(piece: Any) -> Piece:
    """
    What is as good as bytes as bytes.

    @raise TypeError: it is not.
    """
    return piece if isinstance(piece, Mark) else bytes(memoryview(piece))


def checkWindow(effect: Effect) -> None:
    """
    Find out whether something can wait for an effect.

    @raise ValueError: nothing can; the connection would stand still.
    """
    if not effect.window > 0:
        raise ValueError(f"window = {effect.window!r} of a toxic must be more than 0")


def weight(piece: Piece) -> int:
    """How much of a bound something takes up."""
    return OVERHEAD if isinstance(piece, Mark) else len(piece) + OVERHEAD
