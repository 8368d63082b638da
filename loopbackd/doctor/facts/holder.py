"""Who has a socket: processes, and what they belong to."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final

from loopbackd.doctor.facts.cgroups import Belonging, belongingOf, groupOf, groupWith
from loopbackd.doctor.facts.executable import rootsProgram
from loopbackd.doctor.facts.forwarders import Forwarder, forwarderIn
from loopbackd.doctor.facts.socketunits import SocketUnit, unitAt
from loopbackd.doctor.facts.units import Unit
from loopbackd.peer.process import (
    Process,
    closedProcesses,
    findHolders,
    holdsSocket,
    processOf,
    stateOf,
    userName,
)
from loopbackd.peer.sockdiag import SocketRow

_NOWHERE: Final = Belonging()
_MOST_CLOSED: Final = 3
_DAEMON: Final = re.compile(r"\btwistd?\b.* loopbackd\b")
_SYSTEMDS: Final = "/init.scope"
"""
Where systemd itself is, the system's as well as a user's, and where it makes sockets: those of a
socket unit only if the kernel has no BPF programs for control groups, which that unit may need.
"""


@dataclass(frozen=True, slots=True)
class Companion:
    """Another process that has the same socket open, and belongs to something else."""

    process: Process
    belonging: Belonging = _NOWHERE

    def __str__(self) -> str:
        """In words, on one line."""
        return _inWords(self.process) + _of(self.belonging)


@dataclass(frozen=True, slots=True)
class Holder:
    """
    Who has a socket open.

    @ivar uid: of whoever made it.
    @ivar user: the name of that user.
    @ivar process: the oldest of the processes that have it, besides systemd; L{None} where none
        can be seen.
    @ivar others: the pids of the rest.
    @ivar apart: those of the rest that belong to another unit or container, or to another user and
        were started by none of them.
    @ivar program: the file that the process runs, where only root can have put it there
        (L{rootsProgram}).
    @ivar state: of the process, as C{ps} shows it: C{T} is stopped, C{t} stopped by a debugger.
    @ivar belonging: of the process, or of the socket where no process can be seen.
    @ivar isSystemds: systemd has the socket open, too, or has made it: it keeps it for a service.
    @ivar directory: where the process runs, where that is told.
    @ivar seconds: how long the process has been running; L{None} where that is not told.
    @ivar parent: what has started the process, if that is still there, and is not systemd.
    @ivar socketUnit: systemd's, which keeps the socket, where that is known.
    @ivar service: what systemd says of the service of the process, or of the one that the socket
        unit starts; where it was asked.
    @ivar closed: where no process can be seen: those of the user that do not let us look into them
        although we are that user, or root; it may be one of these.
    """

    uid: int
    user: str
    process: Process | None = None
    others: tuple[int, ...] = ()
    state: str = ""
    belonging: Belonging = _NOWHERE
    isSystemds: bool = False
    directory: str = ""
    seconds: float | None = None
    parent: Process | None = None
    socketUnit: SocketUnit | None = None
    service: Unit | None = None
    closed: tuple[Process, ...] = ()
    apart: tuple[Companion, ...] = ()
    program: str = ""

    @property
    def pids(self) -> tuple[int, ...]:
        """All processes that can be seen, the oldest first."""
        return () if self.process is None else (self.process.pid, *self.others)

    @property
    def forwarder(self) -> Forwarder | None:
        """What it is if it is one of the programs that lead to a server somewhere else."""
        if self.process is None:
            return None
        return forwarderIn(self.process.command, self.program)

    @property
    def isDaemon(self) -> bool:
        """Whether it is a daemon of loopbackd's."""
        return self.process is not None and bool(_DAEMON.search(self.process.command))

    @property
    def isKept(self) -> bool:
        """Whether nobody but systemd has the socket, as far as can be seen."""
        return self.isSystemds and (self.process is None or isSystemd(self.process))

    def __str__(self) -> str:
        """In words, on one line."""
        if self.isKept:
            systemd = "systemd" if self.process is None else f"systemd (pid {self.process.pid})"
            return systemd + (f" as {self.socketUnit}" if self.socketUnit else ", for a service")
        if self.process is None:
            return f"a process of user {self.user}{_of(self.belonging)}"
        more = f" and {len(self.others)} more" if self.others else ""
        words = f"{_inWords(self.process)}{more}{_of(self.belonging)}"
        return words + (f", socket unit {self.socketUnit.name}" if self.socketUnit else "")


def _inWords(process: Process) -> str:
    return f"pid {process.pid} ({process.command}), user {process.user}"


def _of(belonging: Belonging) -> str:
    """What somebody belongs to, behind their name."""
    words = ""
    if belonging.unit:
        words = f", {'user ' if belonging.isUsers else ''}unit {belonging.unit}"
    return words + (f", container {belonging.container}" if belonging.container else "")


Holders = Mapping[int, Holder]
"""Whoever has a socket, by its inode."""


def nameOf(row: SocketRow, holders: Holders) -> str:
    """Who has a socket, in words, as far as that can be seen."""
    holder = holders.get(row.inode)
    return f"a process of uid {row.uid}" if holder is None else str(holder)


def holdersOf(rows: Iterable[SocketRow]) -> dict[int, Holder]:
    """Who has these sockets, by inode. Reads all of C{/proc} once, which takes milliseconds."""
    wanted = {row.inode: row for row in rows if row.inode}
    found = findHolders(wanted)
    known: dict[tuple[tuple[int, ...], int, int], Holder] = {}
    holders = {}
    for inode, row in wanted.items():
        # A server with thousands of connections is looked at once.
        key = tuple(found.get(inode, ())), row.uid, row.cgroup
        if key not in known:
            known[key] = _holder(inode, *key)
        holders[inode] = known[key]
    return holders


def holderOf(inode: int, uid: int) -> Holder:
    """Who has that socket."""
    return _holder(inode, tuple(findHolders((inode,)).get(inode, ())), uid, 0)


def withUnits(
    holders: dict[int, Holder], rows: Iterable[SocketRow], units: Iterable[SocketUnit]
) -> dict[int, Holder]:
    """The same holders, those that have their socket from systemd with the unit it is of."""
    listed = list(units)
    found = dict(holders)
    for row in rows:
        holder = found.get(row.inode)
        if holder is not None and holder.isSystemds:
            known = holder.socketUnit
            # The name of its control group is that of its unit, which may have been given other
            # addresses since.
            named = [one for one in listed if known is None or one.name == known.name]
            unit = unitAt(named, row.local) or (known and next(iter(named), known))
            found[row.inode] = replace(holder, socketUnit=unit)
    return found


def isSystemd(process: Process) -> bool:
    """Whether it says that it is systemd, the system's or a user's; see L{Holder.isSystemds}."""
    program = os.path.basename(process.command.partition(" ")[0])
    return program == "systemd" or (process.pid == 1 and program == "init")


def _isReally(process: Process) -> bool:
    """Whether it is systemd indeed: anybody can call a process like that."""
    if not isSystemd(process):
        return False
    return process.pid == 1 or rootsProgram(process.pid) == "systemd"


def _holder(inode: int, pids: tuple[int, ...], uid: int, group: int) -> Holder:
    user = userName(uid)
    path = groupWith(group) if group > 1 else ""
    described = {
        pid: one
        for pid in pids
        # Read after the walk: a pid may have become somebody else's since.
        if (one := processOf(pid)) is not None and holdsSocket(pid, inode)
    }
    keepers = [pid for pid in described if _isReally(described[pid])]
    made = belongingOf(path)
    unit = SocketUnit(made.unit, isUsers=made.isUsers) if made.unit.endswith(".socket") else None
    isSystemds = bool(keepers) or path.endswith(_SYSTEMDS) or unit is not None
    # The oldest of a family of servers is the one that the others came from.
    rest = [pid for pid in described if pid not in keepers] or keepers
    if not rest:
        return Holder(
            uid,
            user,
            belonging=made if unit is None else _NOWHERE,
            isSystemds=isSystemds,
            socketUnit=unit,
            closed=() if isSystemds else _closed(uid),
        )
    first, *others = sorted(rest, key=lambda pid: (stateOf(pid).began, pid))
    state = stateOf(first)
    parent = processOf(state.parent) if state.parent > 1 else None
    belonging = belongingOf(groupOf(first))
    return Holder(
        uid,
        user,
        described[first],
        tuple(others),
        state.letter,
        belonging,
        isSystemds,
        _directory(first),
        _secondsSince(state.began),
        None if parent is None or isSystemd(parent) else parent,
        unit,
        apart=tuple(_apart(described[first], belonging, [described[pid] for pid in others])),
        program=rootsProgram(first),
    )


def _apart(first: Process, belonging: Belonging, others: Sequence[Process]) -> Iterator[Companion]:
    family = {first.pid, *(one.pid for one in others)}
    for one in others:
        itsOwn = belongingOf(groupOf(one.pid))
        # Servers start workers of another user.
        isStranger = one.user != first.user and stateOf(one.pid).parent not in family
        if itsOwn != belonging or isStranger:
            yield Companion(one, itsOwn)


def _closed(uid: int) -> tuple[Process, ...]:
    if os.geteuid() not in (0, uid):
        return ()
    pids = islice(closedProcesses(uid), _MOST_CLOSED)
    return tuple(one for pid in pids if (one := processOf(pid)) is not None)


def _secondsSince(ticks: int) -> float | None:
    """Since that many clock ticks after the machine was started."""
    if not ticks:
        return None
    return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK"))


def _directory(pid: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/cwd")
    except OSError:
        return ""
