"""The watch: look after look, what is new is told once."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from loopbackd.debuggers.browsers import isBrowser
from loopbackd.peer.process import userName
from loopbackd.peer.sockdiag import Address, SocketRow
from loopbackd.watching.connections import Connections, Touch, touches
from loopbackd.watching.events import Event, eventOf, named
from loopbackd.watching.judging import closed, debuggerAt, opened
from loopbackd.watching.listeners import Listener, Listeners, Place, difference
from loopbackd.watching.looking import SHARE, Look
from loopbackd.watching.memory import Memory
from loopbackd.watching.pace import Pace
from loopbackd.watching.programs import Program, programsOf
from loopbackd.watching.rules import Rules
from loopbackd.watching.scans import Refusals, Scan, Scans
from loopbackd.watchsettings import WatchSettings

_LONGEST: Final = 5.0
"""Seconds until the programs of new listeners are looked for whatever that costs."""

_DEBUGGED: Final = 256
_TOLD: Final = 1024

FindPrograms = Callable[[Mapping[int, int]], Mapping[int, Program]]


@dataclass(slots=True)
class Watched:
    """
    A listener that is there.

    @ivar user: the name of its user.
    @ivar program: who it is, where that can be seen.
    @ivar since: when it was first seen, in seconds since the epoch.
    @ivar wasThere: at the first look already, so that it may be older.
    @ivar wrong: what is suspicious about it.
    @ivar isTold: that it opened was told.
    """

    listener: Listener
    user: str
    program: Program | None
    since: float
    wasThere: bool
    wrong: tuple[Event, ...] = ()
    isTold: bool = False


class Watch:
    """
    Makes events out of looks.

    @param rules: what is not told, or not as suspicious.
    @param learns: whatever is seen is all right from then on.
    @param find: finds the programs of sockets; see L{programsOf}.
    @param spent: the processor time of this thread, in seconds.
    @ivar watched: the listeners that are there.
    @ivar connections: what connections there are.
    """

    def __init__(
        self,
        settings: WatchSettings,
        rules: Rules,
        memory: Memory,
        learns: bool = False,
        find: FindPrograms = programsOf,
        spent: Callable[[], float] = time.thread_time,
    ) -> None:
        self._rules = rules
        self._memory = memory
        self._learns = learns
        self._find = find
        self._spent = spent
        self._findPace = Pace(SHARE, _LONGEST)
        self._scanPace = Pace(SHARE, _LONGEST)
        self._listeners: Listeners = {}
        self._unnamed: dict[Place, Listener] = {}
        self._isFirst = True
        self.watched: dict[Place, Watched] = {}
        self.connections = Connections()
        self._scans = Scans(settings.scan_ports, settings.scan_seconds)
        self._isScanJudged = True
        self._refusals = Refusals(settings.refused, settings.scan_seconds)
        self._debugged: dict[int, tuple[Place, str]] = {}
        self._hasNewDebugger = False
        self._browsing: dict[tuple[int, int], None] = {}

    def saw(self, look: Look, now: float) -> list[Event]:
        """
        What a look has to tell.

        @param now: seconds since the epoch.
        """
        self._memory.refresh()
        events: list[Event] = []
        if look.listeners is not None:
            events += self._sawListeners(look.listeners, now)
        if look.sockets is not None:
            events += self._sawConnections(look.sockets, now)
        if not self._isScanJudged:
            events += self._judgeScans(now)
        if self._hasNewDebugger and self.connections.rows:
            self._hasNewDebugger = False
            events += self._browsers(self._touches(self.connections.rows.values()), now)
        if look.counted is not None:
            events += self._sawRefusals(look.counted.failed, now)
        return [told for event in events if (told := self._rules.judge(event)) is not None]

    # Listeners.

    def _sawListeners(self, after: Listeners, now: float) -> Iterator[Event]:
        changes = difference(self._listeners, after)
        self._listeners = after
        for listener in changes.closed:
            if self._unnamed.pop(listener.place, None) is not None:
                yield from self._new(listener, None, now)
            yield from self._gone(self.watched.pop(listener.place), now)
        self._unnamed.update((one.place, one) for one in changes.opened)
        if self._unnamed and self._findPace.isDue(now):
            unnamed, self._unnamed = self._unnamed, {}
            programs = self._programs(unnamed.values(), now)
            for place, listener in unnamed.items():
                yield from self._new(listener, programs.get(place), now)
        if self._memory.usual.isFresh:
            # Whatever is there when nothing is known is what is usual.
            for place, one in self.watched.items():
                self._memory.usual.learn(place, one.program, now, self._learns)
            self._memory.usual.isFresh, self._memory.usual.isChanged = False, True
        self._isFirst = False

    def _new(self, listener: Listener, program: Program | None, now: float) -> Iterator[Event]:
        usual, place = self._memory.usual, listener.place
        events = list(opened(listener, program, usual, now, self._isFirst))
        if self._learns:
            events = [event for event in events if not event.isWarning]
        judged = [self._rules.judge(event) for event in events if event.isWarning]
        wrong = tuple(event for event in judged if event is not None and event.isWarning)
        isTold = any(event.kind in ("listener-new", "listener-back") for event in events)
        user = userName(place.uid)
        self.watched[place] = Watched(listener, user, program, now, self._isFirst, wrong, isTold)
        self._debugs(place, program)
        if not usual.isFresh:
            usual.learn(place, program, now, self._learns)
        yield from events

    def _gone(self, one: Watched, now: float) -> Iterator[Event]:
        usual, place = self._memory.usual, one.listener.place
        if one.isTold or usual.isFixed(place):
            yield closed(one.listener, one.program, usual.find(place, one.program), now)

    def _programs(self, listeners: Collection[Listener], now: float) -> dict[Place, Program]:
        inodes = {one.place: min(one.inodes) for one in listeners}
        sockets = {inode: place.uid for place, inode in inodes.items()}
        found = self._found(sockets, now, self._findPace)
        return {place: found[inode] for place, inode in inodes.items() if inode in found}

    def _found(self, sockets: Mapping[int, int], now: float, pace: Pace) -> Mapping[int, Program]:
        if not sockets:
            return {}
        began = self._spent()
        found = self._find(sockets)
        pace.took(self._spent() - began, now)
        return found

    # Connections.

    def _sawConnections(self, rows: Mapping[bytes, SocketRow], now: float) -> Iterator[Event]:
        touched = self._touches(self.connections.become(rows))
        if touched:
            self._scans.saw(touched, now)
            self._isScanJudged = False
        yield from self._browsers(touched, now)

    def _touches(self, rows: Iterable[SocketRow]) -> list[Touch]:
        listening = {place.port for place in self._listeners} | self._debugged.keys()
        return list(touches(rows, listening, self._memory.usual.ephemeral))

    def _judgeScans(self, now: float) -> Iterator[Event]:
        sockets = self._scans.suspects(now)
        if sockets and not self._scanPace.isDue(now):
            return
        self._isScanJudged = not sockets
        programs = self._found(sockets, now, self._scanPace)
        pids = {inode: program.pid for inode, program in programs.items()}
        owners = {
            (place.host, place.port): one.program.pid
            for place, one in (self.watched.items() if pids else ())
            if one.program is not None
        }

        def owner(address: Address) -> int | None:
            hosts = (address[0], "::" if ":" in address[0] else "0.0.0.0", "::")
            return next((owners[h, address[1]] for h in hosts if (h, address[1]) in owners), None)

        for scan in self._scans.found(pids, owner, os.getpid()):
            yield _scanEvent(scan, programs.get(scan.inode), now)

    def _sawRefusals(self, failed: int, now: float) -> Iterator[Event]:
        many = self._refusals.counted(failed, now)
        if many:
            yield eventOf(
                "refused-attempts",
                f"{many} attempts to connect came to nothing in a few seconds; the kernel does not"
                " say whose they were, or to which ports",
                now,
            )

    def _debugs(self, place: Place, program: Program | None) -> None:
        what = debuggerAt(place.port, program)
        if what and len(self._debugged) < _DEBUGGED:
            self._debugged[place.port] = place, what
            self._hasNewDebugger = True
        elif not what:
            self._debugged.pop(place.port, None)

    def _browsers(self, touched: Iterable[Touch], now: float) -> Iterator[Event]:
        there = {
            one.inode: one
            for one in touched
            if one.inode and one.uid is not None and one.server[1] in self._debugged
        }
        sockets = {inode: one.uid for inode, one in there.items() if one.uid is not None}
        for inode, program in (self._find(sockets) if sockets else {}).items():
            port = there[inode].server[1]
            if isBrowser(program.name) and (program.pid, port) not in self._browsing:
                if len(self._browsing) >= _TOLD:
                    self._browsing.clear()
                self._browsing[program.pid, port] = None
                place, what = self._debugged[port]
                yield eventOf(
                    "browser-at-debugger",
                    f"a browser, {named(place.uid, program)}, is connected to {place.address},"
                    f" the port of {what}: whoever gets there can run anything",
                    now,
                    place=place,
                    uid=there[inode].uid,
                    program=program,
                )


def _scanEvent(scan: Scan, program: Program | None, now: float) -> Event:
    first = ", ".join(map(str, scan.ports[:5]))
    says = (
        f"{named(scan.uid, program)} connected to {len(scan.ports)} ports of this machine in a few"
        f" seconds: {first}, ..."
    )
    ports = scan.ports[:256]
    return eventOf("port-scan", says, now, uid=scan.uid, program=program, ports=ports)
