"""All that is to be known of debuggers on this machine, at one look."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from loopbackd.debuggers.recognising import VARIABLES
from loopbackd.doctor.facts.debuggers import Debugged, findDebuggers
from loopbackd.doctor.facts.holder import Holder, holdersOf
from loopbackd.doctor.facts.jvms import JVM, findJVMs
from loopbackd.doctor.facts.running import running
from loopbackd.peer.netlink import SocketDiag
from loopbackd.peer.sockdiag import SocketRow, TCPState


@dataclass(frozen=True, slots=True)
class Debugging:
    """
    Who waits for a debugger, or has one, and the sockets of all that.

    @ivar rows: the machine's listeners and open connections.
    @ivar holders: who has the sockets of the ports that matter here, by inode.
    @ivar missing: why the kernel could not be asked; empty if it could.
    """

    jvms: tuple[JVM, ...] = ()
    debuggers: tuple[Debugged, ...] = ()
    rows: tuple[SocketRow, ...] = ()
    holders: Mapping[int, Holder] = field(default_factory=dict)
    missing: str = ""

    def listening(self, port: int) -> list[SocketRow]:
        """The listeners of a port."""
        return [row for row in self.rows if row.state is TCPState.LISTEN and row.local[1] == port]

    def otherEnd(self, row: SocketRow) -> SocketRow | None:
        """The socket at the other end of a connection within this machine."""
        ends = row.remote, row.local
        return next((one for one in self.rows if (one.local, one.remote) == ends), None)


def lookAtDebuggers(diag: SocketDiag, ports: frozenset[int] = frozenset()) -> Debugging:
    """
    Look at all processes, and at the sockets; never raises, and connects to nobody.

    Takes some milliseconds, a few more for each JVM.

    @param ports: those whose listeners are to be named besides (a project's).
    """
    programs = running(VARIABLES)
    jvms, debuggers = findJVMs(programs), findDebuggers(programs)
    if not (jvms or debuggers or ports):
        return Debugging()
    try:
        rows = tuple(diag.rows(None, (TCPState.LISTEN, TCPState.ESTABLISHED)))
    except (OSError, ValueError) as error:
        missing = getattr(error, "strerror", None) or str(error)
        debuggers = tuple(one for one in debuggers if one.told.option)
        return Debugging(jvms, debuggers, missing=missing)
    # Every Node can be debugged; who was not told to be is, once it listens.
    debuggers = tuple(one for one in debuggers if one.told.option or one.listeners(rows))
    wanted = ports | {jvm.jdwp.port for jvm in jvms} | {one.told.port for one in debuggers}
    own = frozenset(inode for jvm in jvms for inode in jvm.sockets or ())
    matter = [
        row
        for row in rows
        if row.local[1] in wanted or (row.remote[1] in wanted) or row.inode in own
    ]
    ends = {(row.remote, row.local) for row in matter}
    matter += [row for row in rows if (row.local, row.remote) in ends]
    return Debugging(jvms, debuggers, rows, holdersOf(matter))
