"""Pipes to lead streams through (splice(2)), kept for the next that needs one."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from typing import Final

_SIZE: Final = 1 << 18
_MOST: Final = 32
# The pages of a user's pipes are counted together, those of other programs too (pipe(7)).

_MOST_IDLE: Final = 8

_SPLICES = hasattr(os, "splice")
_SET_SIZE = getattr(fcntl, "F_SETPIPE_SZ", None)

Pipe = tuple[int, int]
"""The descriptors to read from and to write to."""


class Pipes:
    """
    A bounded number of pipes.

    A stream has one only while something is in it, so that a few are enough for many.

    @param most: how many there may be at once; whoever gets none has to do without.
    """

    def __init__(self, most: int = _MOST) -> None:
        self._left = most if _SPLICES else 0
        self._idle: list[Pipe] = []
        self._closed = False

    def take(self) -> Pipe | None:
        """An empty pipe; L{None} where there is none to be had."""
        if self._idle:
            return self._idle.pop()
        if not self._left:
            return None
        try:
            pipe = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError:
            return None
        self._left -= 1
        if _SET_SIZE is not None:
            with suppress(OSError):
                fcntl.fcntl(pipe[0], _SET_SIZE, _SIZE)
        return pipe

    def give(self, pipe: Pipe) -> None:
        """It is empty again."""
        if self._closed or len(self._idle) >= _MOST_IDLE:
            self.drop(pipe)
        else:
            self._idle.append(pipe)

    def drop(self, pipe: Pipe) -> None:
        """What is in it is not wanted any more."""
        self._left += 1
        for descriptor in pipe:
            os.close(descriptor)

    def close(self) -> None:
        """No more are needed; those that are in use are closed when they come back."""
        self._closed = True
        while self._idle:
            self.drop(self._idle.pop())
