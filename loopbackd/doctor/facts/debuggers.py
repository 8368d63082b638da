"""The programs, other than JVMs, that can be debugged over a port: which, and where."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import dataclass

from loopbackd.debuggers.debugger import Debugger
from loopbackd.debuggers.recognising import VARIABLES, debuggersOf
from loopbackd.doctor.facts.running import Running, running
from loopbackd.peer.proc import socketsOf
from loopbackd.peer.process import Process, processOf
from loopbackd.peer.sockdiag import SocketRow, TCPState


@dataclass(frozen=True, slots=True)
class Debugged:
    """
    A process that can be debugged.

    @ivar told: what it was told of that.
    @ivar sockets: the inodes of those it has open; L{None} where that cannot be seen.
    """

    told: Debugger
    process: Process
    uid: int = -1
    sockets: frozenset[int] | None = None

    def __str__(self) -> str:
        """Name it and its process, on one line."""
        how = shlex.quote(self.told.option) if self.told.option else "opened by a signal"
        return f"{self.told.title} ({how}), pid {self.process.pid} ({self.process.command})"

    def listeners(self, rows: Iterable[SocketRow]) -> list[SocketRow]:
        """Those of the machine's sockets at which it waits; none where the port is not known."""
        return [
            row
            for row in rows
            if self.told.isListening
            and row.state is TCPState.LISTEN
            and row.local[1] == self.told.port
            and (row.uid == self.uid if self.sockets is None else row.inode in self.sockets)
        ]


def findDebuggers(programs: Iterable[Running] | None = None) -> tuple[Debugged, ...]:
    """
    Look for them among all processes, all of Node's among them; never raises.

    @param programs: those that run, where somebody has looked already, at L{VARIABLES} too.
    """
    programs = running(VARIABLES) if programs is None else programs
    found = []
    for one in programs:
        told = [
            debugger
            for debugger in debuggersOf(one.words, one.environ, one.path)
            if debugger.kind != "java"
        ]
        process = processOf(one.pid) if told else None
        if process is not None:
            sockets = socketsOf(one.pid)
            found += [Debugged(debugger, process, one.uid, sockets) for debugger in told]
    return tuple(found)
