"""Ending whoever listens on a port, and nobody else."""

from __future__ import annotations

import math
import os
import select
import signal
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from loopbackd.doctor.checks.holding import Looker
from loopbackd.doctor.checks.taken import checkHolders
from loopbackd.doctor.endable import NotEnded
from loopbackd.doctor.facts.binding import bindError
from loopbackd.doctor.facts.cgroups import belongingOf, groupOf
from loopbackd.doctor.facts.holder import Holder, holdersOf
from loopbackd.doctor.facts.occupancy import occupancy
from loopbackd.doctor.facts.sockets import isInTheWay, sockets
from loopbackd.hostport import joined
from loopbackd.peer.netlink import SocketDiag
from loopbackd.peer.process import findHolders, holdsSocket, stateOf
from loopbackd.peer.sockdiag import SocketRow

STAYS: Final = 0.7
"""Seconds in which a supervisor is seen to start its server again."""

_AFTER_KILL: Final = 2.0
_ROUNDS: Final = 3
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


def ancestorsOf(pid: int) -> set[int]:
    """The parent of a process, its parent, and so on."""
    found: set[int] = set()
    while (pid := stateOf(pid).parent) and pid not in found:
        found.add(pid)
    return found


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


def heirs(inodes: Collection[int], but: Collection[int]) -> dict[int, set[int]]:
    """Whoever has these sockets by now, and is none of those: as L{end} takes it."""
    found: dict[int, set[int]] = {}
    for inode, pids in findHolders(inodes).items():
        for pid in set(pids) - set(but):
            found.setdefault(pid, set()).add(inode)
    return found


def endFamily(sockets: Mapping[int, Collection[int]], patience: float) -> Ended:
    """
    The same as L{end}, with those who get the sockets while their parents are being ended.

    @raise NotEnded: as L{end}, or somebody forks faster than that.
    """
    inodes = {inode for held in sockets.values() for inode in held}
    done = Ended()
    asked: set[int] = set()
    theirs = {belongingOf(groupOf(pid)) for pid in sockets}
    youngest = max((stateOf(pid).began for pid in sockets), default=0) or math.inf
    for _ in range(_ROUNDS):
        asked.update(sockets)
        ended = end(sockets, patience)
        done = Ended(done.killed + ended.killed, done.living + ended.living)
        sockets = heirs(inodes, asked)
        if not sockets:
            return done
        for pid in sockets:
            # Sockets can be passed on to anybody who takes what is sent to it (unix(7)).
            if 0 < stateOf(pid).began < youngest:
                raise NotEnded(
                    f"pid {pid} was given the socket by who was ended, and is older: see what it"
                    " is, and end it by hand"
                )
            if (itsOwn := belongingOf(groupOf(pid))) not in theirs:
                what = itsOwn.container or itsOwn.unit or "no unit"
                raise NotEnded(
                    f"pid {pid} was given the socket by who was ended, and belongs to {what}: see"
                    " what it is, and end it by hand"
                )
    raise NotEnded(f"pid {min(sockets)} and its like are started faster than they are ended")


def comeBack(
    diag: SocketDiag, ended: Sequence[SocketRow], seconds: float = STAYS
) -> SocketRow | None:
    """
    Whoever listens in the way of the ended ones again, looking until that long has passed.

    It only looks, since binding would be in the way of a server that is being started.
    """
    until = time.monotonic() + seconds
    while True:
        there = sockets(diag, ended[0].local[1])
        for row in there.listeners:
            if any(isInTheWay(row, one.local[0]) for one in ended):
                return row
        if time.monotonic() >= until:
            return None
        time.sleep(_STEP)


def whyNotFree(diag: SocketDiag, ended: Sequence[SocketRow], looker: Looker) -> str:
    """Why the addresses of ended sockets are not free, or do not stay so; empty where they are."""
    again = comeBack(diag, ended)
    if again is not None:
        return hasItNow(again, holdersOf((again,)).get(again.inode))
    for row in ended:
        host, port = row.local
        number = bindError(host, port, v6only=row.v6only)
        if number:
            seen = replace(occupancy(diag, port, host), errors={host: number})
            findings = checkHolders(seen, looker)
            return next((one.says for one in findings), f"{joined(host, port)} is not free")
    return ""


def hasItNow(row: SocketRow, holder: Holder | None) -> str:
    """What is said where somebody listens again: who, and what has started that."""
    starter = None if holder is None else holder.parent
    who = "somebody" if holder is None else str(holder)
    what = f"pid {starter.pid} ({starter.command})" if starter else "what starts it"
    return f"{joined(*row.local)} is not free: {who} has it now; stop {what}"


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
