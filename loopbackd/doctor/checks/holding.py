"""The words for whoever has a socket, and how to get them out of the way."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Final

from loopbackd.doctor.facts.cgroups import Belonging
from loopbackd.doctor.facts.holder import Holder, isSystemd

_NOWHERE: Final = Belonging()
_MOST_APART: Final = 8
_STATES: Final = {
    "T": "is stopped (state T), by Ctrl-Z or SIGSTOP: kill -CONT {} lets it go on",
    "t": "is stopped by a debugger (state t)",
    "D": "waits for a device (state D), and cannot be ended meanwhile",
}
_CONTAINERS: Final = {
    "docker": "docker stop {}",
    "podman": "podman stop {}",
    "containerd": "crictl stop {}",
    "cri-o": "crictl stop {}",
    "kubernetes": "crictl stop {}",
    "lxc": "lxc-stop -n {}",
    "machine": "machinectl stop {}",
}


@dataclass(frozen=True, slots=True)
class Looker:
    """
    Who looks, for what may be seen and ended.

    @ivar belonging: what the looker belongs to: who belongs to the same is not ended by stopping
        that.
    @ivar isBlind: processes of others do not show at all (C{ProtectProc=} of a unit, C{hidepid=}).
    """

    uid: int
    pid: int
    belonging: Belonging = _NOWHERE
    isBlind: bool = False


def heldBy(holder: Holder, looker: Looker, another: str, port: int = 0) -> tuple[str, list[str]]:
    """
    Who has a socket, behind C{held by}; and what to do about that, the best first.

    @param another: the remedy that leaves them alone; it is the last.
    @param port: which it is; 0 for a socket that has none.
    """
    process = holder.process
    if process is None:
        who, remedy = _unseen(holder, looker, port)
        return who, [*remedy, another]
    if process.pid == looker.pid:
        who = f"this very process (pid {process.pid})"
        return who, [f"two services want one address: {another}"]
    if holder.isSystemds and isSystemd(process):
        return f"systemd (pid {process.pid})", [_stopUnit(holder), another]
    if holder.isSystemds:
        return f"{holder}, started by systemd", [_stopUnit(holder, isServed=True), another]
    if stop := stopping(holder, looker):
        return str(holder), [f"stop what it belongs to: {stop}", another]
    return str(holder), [f"stop it: kill {process.pid}", another]


def stopping(holder: Holder, looker: Looker) -> str:
    """
    The command that stops what a process works for, or what would start it again; empty where
    ending the process is the right thing.
    """
    if holder.forwarder is not None and holder.forwarder.stopping:
        return holder.forwarder.stopping
    return stoppingOf(holder.belonging, looker)


def stoppingOf(belonging: Belonging, looker: Looker) -> str:
    """The command that stops what a process belongs to; empty where that is nothing, or ours."""
    if belonging == looker.belonging:
        # We are in the same container, or run below the same service: a runner of jobs, say.
        return ""
    kind, _, name = belonging.container.partition(" ")
    if kind in _CONTAINERS:
        return _CONTAINERS[kind].format(shlex.quote(name))
    if belonging.unit.endswith(".service"):
        option = "--user " if belonging.isUsers else ""
        return f"systemctl {option}stop {shlex.quote(belonging.unit)}"
    return ""


def details(holder: Holder) -> tuple[str, ...]:
    """What else there is to know of somebody, a line each."""
    process = holder.process
    if process is None:
        return ()
    pid, lines = process.pid, []
    if holder.state in _STATES:
        lines.append(f"pid {pid} {_STATES[holder.state].format(pid)}")
    if holder.directory:
        lines.append(f"pid {pid} runs in {holder.directory}{_since(holder.seconds)}")
    if holder.parent is not None:
        lines.append(f"it was started by pid {holder.parent.pid} ({holder.parent.command})")
    forwarder = holder.forwarder
    if forwarder is not None and forwarder.isSaidOnly:
        lines.append(f"pid {pid} calls itself {forwarder.name}, and does not run this system's")
    elif forwarder is not None:
        where = f" at {forwarder.target}" if forwarder.target else ""
        lines.append(f"{forwarder.name} only forwards: the server is behind it{where}")
    lines += [f"{one} has the socket, too" for one in holder.apart[:_MOST_APART]]
    if len(holder.apart) > _MOST_APART:
        lines.append(f"and {len(holder.apart) - _MOST_APART} more that belong to others")
    if holder.isDaemon:
        lines.append("it is loopbackd itself: loopbackd service list says what it serves")
    return tuple(lines)


def _stopUnit(holder: Holder, isServed: bool = False) -> str:
    why = "since systemd would start it again" if isServed else "that it keeps it for"
    unit = holder.socketUnit
    if unit is not None:
        return f"stop the socket unit {why}: {unit.stopping}"
    process = holder.process
    option = "--user " if process is not None and "--user" in process.command.split() else ""
    return f"stop the socket unit {why}: systemctl {option}list-sockets"


def _unseen(holder: Holder, looker: Looker, port: int) -> tuple[str, list[str]]:
    ask = f"loopbackd port {port}" if port else "lsof -U"
    if holder.isSystemds:
        return "systemd, for a service", [_stopUnit(holder)]
    if looker.uid not in (0, holder.uid):
        unit = holder.belonging.unit
        of = f", unit {unit}" if unit else ""
        if looker.isBlind:
            see = f"ask from a terminal as root, since this process may not see others: {ask}"
        else:
            see = "run as root to see the process"
        # Root's may be systemd's, which anybody may list.
        isListed = holder.uid == 0 and not unit
        units = ["see whether systemd keeps it for a service: systemctl list-sockets"]
        return f"another user ({holder.user}{of})", [see, *(units if isListed else ())]
    if looker.isBlind:
        why = f"ask from a terminal as root, since this process may not see others: {ask}"
    elif holder.closed:
        names = ", ".join(f"pid {one.pid} ({one.command})" for one in holder.closed)
        why = f"see whether it is one that may not be looked into from here: {names}"
    else:
        why = "look in containers, and for what the kernel itself does (NFS)"
    return f"a process of user {holder.user} that does not show itself", [why]


def _since(seconds: float | None) -> str:
    if seconds is None:
        return ""
    for size, name in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f", for {seconds / size:.0f} {name}"
    return f", for {seconds:.0f} seconds"
