"""Ending whoever listens on a port, and nobody else."""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Final

from loopbackd.doctor.checks.holding import Looker
from loopbackd.doctor.checks.taken import checkHolders
from loopbackd.doctor.endable import NotEnded
from loopbackd.doctor.ending import Ended, end
from loopbackd.doctor.facts.binding import bindError
from loopbackd.doctor.facts.cgroups import Belonging, belongingOf, groupOf
from loopbackd.doctor.facts.holder import Holder, holdersOf
from loopbackd.doctor.facts.occupancy import occupancy
from loopbackd.doctor.facts.sockets import isInTheWay, sockets
from loopbackd.hostport import joined
from loopbackd.peer.netlink import SocketDiag
from loopbackd.peer.process import findHolders, stateOf
from loopbackd.peer.sockdiag import SocketRow

STAYS: Final = 0.7
"""Seconds in which a supervisor is seen to start its server again."""

_ROUNDS: Final = 3
_STEP: Final = 0.05


def ancestorsOf(pid: int) -> set[int]:
    """The parent of a process, its parent, and so on."""
    found: set[int] = set()
    while (pid := stateOf(pid).parent) and pid not in found:
        found.add(pid)
    return found


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
            _refuseStranger(pid, youngest, theirs)
    raise NotEnded(f"pid {min(sockets)} and its like are started faster than they are ended")


def _refuseStranger(pid: int, youngest: float, theirs: Collection[Belonging]) -> None:
    """
    Sockets can be passed on to anybody who takes what is sent to it (unix(7)).

    @raise NotEnded: somebody has got one who was not started by those who had it.
    """
    began = stateOf(pid).began
    itsOwn = belongingOf(groupOf(pid))
    if began and began < youngest:
        why = "is older"
    elif began and itsOwn not in theirs:
        why = f"belongs to {itsOwn.container or itsOwn.unit or 'no unit'}"
    else:
        return
    raise NotEnded(
        f"pid {pid} was given the socket by who was ended, and {why}: see what it is, and end it"
        " by hand"
    )


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
