"""Ending processes, held by pidfds, until they have let go of their sockets."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Final

from loopbackd.doctor.endable import NotEnded
from loopbackd.peer.process import holdsSocket

_AFTER_KILL: Final = 2.0
_STEP: Final = 0.05

Holds = Callable[[int, int], bool]


@dataclass(frozen=True, slots=True)
class Ended:
    """
    What became of whoever had sockets.

    @ivar killed: who had to be killed.
    @ivar living: who has given the sockets up, and finishes what it was doing.
    """

    killed: tuple[int, ...] = ()
    living: tuple[int, ...] = ()


def end(
    sockets: Mapping[int, Collection[int]], patience: float, holds: Holds = holdsSocket
) -> Ended:
    """
    Ask processes to end (C{SIGTERM}), and kill those that have not let go of their sockets after a
    while. Who has let go, and only finishes what it was doing, is left to that.

    They are held by pidfds (pidfd_open(2)), and looked at again through those: a pid that has
    become another process's meanwhile is left alone.

    @param sockets: the inodes that each of them has open, by pid, in the order to ask them.
    @param patience: seconds until they are killed.
    @raise NotEnded: one may not be ended, or does not end.
    """
    opened: dict[int, int] = {}

    def holding(pid: int) -> bool:
        return any(holds(pid, inode) for inode in sockets[pid])

    try:
        for pid in sockets:
            try:
                opened[pid] = os.pidfd_open(pid)
            except ProcessLookupError:
                continue
            except OSError as error:
                raise NotEnded(f"pid {pid} cannot be taken hold of: {error.strerror}") from None
            if not holding(pid):
                os.close(opened.pop(pid))
        _send(opened, signal.SIGTERM)
        # One that is stopped, by Ctrl-Z say, hears of nothing before it goes on.
        _send(opened, signal.SIGCONT)
        left = _wait(opened, patience, holding)
        _send(left, signal.SIGKILL)
        if still := _wait(left, _AFTER_KILL, holding):
            raise NotEnded(f"pid {min(still)} does not die: it waits for a device (state D)")
        return Ended(tuple(sorted(left)), tuple(sorted(set(_living(opened)) - set(left))))
    finally:
        for descriptor in opened.values():
            os.close(descriptor)


def _send(processes: Mapping[int, int], number: signal.Signals) -> None:
    for pid, descriptor in processes.items():
        try:
            signal.pidfd_send_signal(descriptor, number)
        except ProcessLookupError:
            continue
        except PermissionError:
            raise NotEnded(
                f"pid {pid} is not yours to end: do it as its user, or with sudo"
            ) from None


def _wait(
    processes: Mapping[int, int], seconds: float, holding: Callable[[int], bool]
) -> dict[int, int]:
    """Those that have neither ended nor let go by then."""
    until = time.monotonic() + seconds
    left = dict(processes)
    while left:
        alive = _living(left)
        left = {pid: one for pid, one in left.items() if pid in alive and holding(pid)}
        if not left or (more := until - time.monotonic()) <= 0:
            break
        _poll(left, min(more, _STEP))
    return left


def _living(processes: Mapping[int, int]) -> list[int]:
    ended = _poll(processes, 0)
    return [pid for pid, descriptor in processes.items() if descriptor not in ended]


def _poll(processes: Mapping[int, int], seconds: float) -> set[int]:
    """The descriptors of those that have ended, as soon as there are any."""
    poll = select.poll()
    for descriptor in processes.values():
        poll.register(descriptor, select.POLLIN)
    return {descriptor for descriptor, _ in poll.poll(seconds * 1000)}
