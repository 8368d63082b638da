"""Who has a port, and what became of them: in words for people, and as JSON for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from loopbackd.commands.findings import show
from loopbackd.commands.output import say, showJSON
from loopbackd.doctor.endable import Ending
from loopbackd.doctor.ending import Ended
from loopbackd.doctor.facts.holder import Holder
from loopbackd.doctor.facts.occupancy import Occupancy
from loopbackd.doctor.finding import Finding
from loopbackd.hostport import joined
from loopbackd.peer.sockdiag import SocketRow


def showPort(
    seen: Occupancy, findings: Sequence[Finding], asJSON: bool, done: Mapping[str, Any]
) -> None:
    """
    Print all that is to be seen of a port.

    @param done: what was done to free it, for programs; people have been told.
    """
    about = f"port {seen.there.port}"
    if not asJSON:
        show(about, findings, False)
        if not findings:
            say(f"Nobody has {about}.")
        return
    showJSON(
        {
            "about": about,
            "findings": [one.asValue() for one in findings],
            "sockets": [
                socketValue(row, seen.holders[row.inode])
                for row in (*seen.there.listeners, *seen.there.bound)
                if row.inode in seen.holders
            ],
            "next_free": seen.free,
            **done,
        }
    )


def socketValue(row: SocketRow, holder: Holder) -> dict[str, Any]:
    """A socket, and who has it."""
    process, unit = holder.process, holder.socketUnit
    return {
        "address": joined(*row.local),
        "state": row.state.name.lower(),
        "uid": row.uid,
        "user": holder.user,
        "pids": list(holder.pids),
        "command": None if process is None else process.command,
        "unit": holder.belonging.unit or None,
        "socket_unit": None if unit is None else unit.name,
        "container": holder.belonging.container or None,
        "directory": holder.directory or None,
        "seconds": None if holder.seconds is None else round(holder.seconds, 2),
        "process_state": holder.state or None,
    }


def endedInWords(ending: Ending, ended: Ended) -> str:
    """What became of whoever was to be ended, on one line."""
    killed, living = (", ".join(map(str, pids)) for pids in (ended.killed, ended.living))
    how = f"; killed: {killed}" if killed else ""
    rest = f"; still finishing what it does: {living}" if living else ""
    return f"{ending.where}: ended {ending.who}{how}{rest}"


def endedValue(ending: Ending, ended: Ended, free: Sequence[SocketRow]) -> dict[str, Any]:
    """The same for programs, with what is free now."""
    return {
        "ended": sorted(set(ending.sockets) - set(ended.living)),
        "killed": list(ended.killed),
        "finishing": list(ended.living),
        "free": [joined(*row.local) for row in free],
    }
