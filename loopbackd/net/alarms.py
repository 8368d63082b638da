"""
Timers that ring within microseconds of their time, where Twisted's are up to a millisecond late.

Twisted's reactor waits in whole milliseconds, rounded up. Here one timerfd (timerfd_create(2)) is
waited for by all timers together, and it is read as any stream is. Time is the system's monotonic
clock: it does not jump when somebody sets the clock on the wall.
"""

from __future__ import annotations

import ctypes
import heapq
import math
import os
import time
from collections.abc import Callable
from itertools import count
from typing import Any, Final, Protocol

from twisted.internet.error import AlreadyCalled, AlreadyCancelled
from twisted.internet.interfaces import IDelayedCall, IReactorFDSet, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

_log = Logger()

# What is not needed any more is swept away when it is so many, and most of what there is.
_SWEEPING: Final = 64

_CLOEXEC_NONBLOCK: Final = 0o2000000 | 0o4000
_ABSOLUTE: Final = 1


@implementer(IDelayedCall)
class Alarm:
    """
    A timer.

    @ivar when: when it rings.
    @ivar armed: the time it is in the queue for; L{None} where it is not in it any more.
    """

    __slots__ = ("_alarms", "_call", "armed", "when")

    def __init__(self, alarms: Alarms, when: float, call: Callable[[], object]) -> None:
        self._alarms = alarms
        self._call: Callable[[], object] | None = call
        self.when = when
        self.armed: float | None = None

    def getTime(self) -> float:
        """See L{IDelayedCall.getTime}."""
        return self.when

    def active(self) -> bool:
        """See L{IDelayedCall.active}."""
        return self._call is not None

    def cancel(self) -> None:
        """See L{IDelayedCall.cancel}."""
        self._check()
        self._call = None
        self._alarms.forget()

    def reset(self, secondsFromNow: float) -> None:
        """See L{IDelayedCall.reset}."""
        self._check()
        self._move(self._alarms.seconds() + secondsFromNow)

    def delay(self, secondsLater: float) -> None:
        """See L{IDelayedCall.delay}."""
        self._check()
        self._move(self.when + secondsLater)

    def _move(self, when: float) -> None:
        self.when = when
        # What is armed for an earlier time finds out when that has come.
        if self.armed is None or when < self.armed:
            self._alarms.arm(self)
            self._alarms.forget()

    def _check(self) -> None:
        if self._call is None:
            raise AlreadyCalled() if self.armed is None else AlreadyCancelled()

    def ring(self) -> None:
        """Its time has come."""
        call, self._call = self._call, None
        assert call is not None
        call()


class _Waker(Protocol):
    """What has L{Alarms} ring in time."""

    def wake(self, when: float) -> None:
        """Ring then, and not at another time."""

    def close(self) -> None:
        """Ring no more."""


@implementer(IReactorTime)
class Alarms:
    """
    The timers of a daemon.

    @param core: the reactor that the timers' descriptor is read by (see L{loopbackd.net.reactor}).
    """

    def __init__(self, core: Any) -> None:
        self._core = core
        self._queue: list[tuple[float, int, Alarm]] = []
        self._number = count().__next__
        self._stale = 0
        self._awaited = math.inf
        self._ringing = False
        self._waker: _Waker | None = None

    def seconds(self) -> float:
        """See L{IReactorTime.seconds}."""
        return time.monotonic()

    def callLater(
        self, delay: float, callable: Callable[..., object], *args: object, **kw: object
    ) -> Alarm:
        """See L{IReactorTime.callLater}."""
        call = (lambda: callable(*args, **kw)) if args or kw else callable
        alarm = Alarm(self, self.seconds() + delay, call)
        self.arm(alarm)
        return alarm

    def getDelayedCalls(self) -> list[Alarm]:
        """See L{IReactorTime.getDelayedCalls}."""
        return list(dict.fromkeys(alarm for _, _, alarm in sorted(self._queue) if alarm.active()))

    def close(self) -> None:
        """Forget all timers and give back the descriptor."""
        self._queue.clear()
        self._awaited = math.inf
        if self._waker is not None:
            self._waker.close()
            self._waker = None

    def arm(self, alarm: Alarm) -> None:
        """Have a timer ring at its time (called by the timer)."""
        when = alarm.armed = alarm.when
        heapq.heappush(self._queue, (when, self._number(), alarm))
        if when < self._awaited and not self._ringing:
            self._wake(when)

    def forget(self) -> None:
        """An entry of the queue is not needed any more (called by its timer)."""
        self._stale += 1
        if self._stale >= _SWEEPING and self._stale * 2 > len(self._queue):
            self._stale = 0
            self._queue = [entry for entry in self._queue if _isWanted(entry)]
            heapq.heapify(self._queue)

    def ring(self) -> None:
        """Let those ring whose time has come (called when it may have)."""
        self._ringing = True
        now = self.seconds()
        while self._queue and self._queue[0][0] <= now:
            entry = heapq.heappop(self._queue)
            if not _isWanted(entry):
                self._stale -= 1
                continue
            armed, _, alarm = entry
            alarm.armed = None
            if alarm.when > armed:
                self.arm(alarm)
                continue
            try:
                alarm.ring()
            except BaseException:
                # As in Twisted's reactors: not even a SystemExit ends more than what raised it.
                _log.failure("A timer failed: {call}.", call=alarm)
        self._ringing = False
        self._wake(self._queue[0][0] if self._queue else math.inf)

    def _wake(self, when: float) -> None:
        self._awaited = when
        if self._waker is None:
            if when == math.inf:
                return
            self._waker = _waker(self._core, self.ring)
        self._waker.wake(when)


def _isWanted(entry: tuple[float, int, Alarm]) -> bool:
    """Whether an entry of the queue is that of a timer that can ring, and its first."""
    armed, _, alarm = entry
    return alarm.armed == armed and alarm.active()


class _TimerDescriptor:
    """A timerfd(2) that a reactor reads."""

    def __init__(self, core: Any, ring: Callable[[], object]) -> None:
        self._core = core
        self._ring = ring
        self._set = _timerSetter()
        self._fd = _timerDescriptor()
        try:
            core.addReader(self)
        except BaseException:
            os.close(self._fd)
            raise

    def wake(self, when: float) -> None:
        # Setting it takes back that it has run out, so it need not be read. All zeros is never.
        self._set(self._fd, 0.0 if when == math.inf else max(when, 1e-9))

    def close(self) -> None:
        self._core.removeReader(self)
        fd, self._fd = self._fd, -1
        os.close(fd)

    def fileno(self) -> int:
        """See L{twisted.internet.interfaces.IFileDescriptor}."""
        return self._fd

    def doRead(self) -> None:
        """See L{twisted.internet.interfaces.IReadDescriptor}."""
        self._ring()

    def connectionLost(self, reason: Failure) -> None:
        """See L{twisted.internet.interfaces.IFileDescriptor}; the reactor is at its end."""

    def logPrefix(self) -> str:
        """What the reactor names it in its log."""
        return "alarms"


class _Later:
    """Twisted's own timers, where there is no timerfd(2)."""

    def __init__(self, core: Any, ring: Callable[[], object]) -> None:
        self._core = core
        self._ring = ring
        self._call: IDelayedCall | None = None

    def wake(self, when: float) -> None:
        self.close()
        if when < math.inf:
            self._call = self._core.callLater(max(0.0, when - time.monotonic()), self._rang)

    def _rang(self) -> None:
        self._call = None
        self._ring()

    def close(self) -> None:
        call, self._call = self._call, None
        if call is not None:
            call.cancel()


def _waker(core: Any, ring: Callable[[], object]) -> _Waker:
    if IReactorFDSet.providedBy(core):
        try:
            return _TimerDescriptor(core, ring)
        except (AttributeError, OSError) as problem:
            _log.debug("No timerfd(2) ({problem}): timers are up to 1 ms late.", problem=problem)
    return _Later(core, ring)


class _Times(ctypes.Structure):
    """C{struct itimerspec}."""

    _fields_ = (
        ("_everySeconds", ctypes.c_long),
        ("_everyNanoseconds", ctypes.c_long),
        ("seconds", ctypes.c_long),
        ("nanoseconds", ctypes.c_long),
    )


def _timerDescriptor() -> int:
    """
    A new timer.

    @raise OSError: the system has none left.
    @raise AttributeError: it has no such thing.
    """
    if hasattr(os, "timerfd_create"):
        made: int = os.timerfd_create(time.CLOCK_MONOTONIC, flags=_CLOEXEC_NONBLOCK)
        return made
    libc = ctypes.CDLL(None, use_errno=True)
    fd: int = libc.timerfd_create(time.CLOCK_MONOTONIC, _CLOEXEC_NONBLOCK)
    if fd < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return fd


def _timerSetter() -> Callable[[int, float], object]:
    """
    What sets a timer to a time of the monotonic clock.

    @raise AttributeError: the system has no such thing.
    """
    if hasattr(os, "timerfd_settime"):
        setTime = os.timerfd_settime
        return lambda fd, when: setTime(fd, flags=_ABSOLUTE, initial=when)
    settime = ctypes.CDLL(None).timerfd_settime
    times = _Times()
    reference = ctypes.byref(times)

    def setter(fd: int, when: float) -> None:
        times.seconds = int(when)
        times.nanoseconds = int(when % 1 * 1e9)
        settime(fd, _ABSOLUTE, reference, None)

    return setter
