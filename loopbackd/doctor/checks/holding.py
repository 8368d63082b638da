"""The words for whoever has a socket, and how to get them out of the way."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Final

from loopbackd.doctor.facts.cgroups import Belonging
from loopbackd.doctor.facts.holder import Holder

_NOWHERE: Final = Belonging()
_MOST_APART: Final = 8
_STATES: Final = {
    "T": "is stopped (state T), by Ctrl-Z or SIGSTOP: kill -CONT {} lets it go on",
    "t": "is stopped by a debugger (state t)",
    "D": "waits for a device (state D), and cannot be ended meanwhile",
}
_AGAIN: Final = frozenset({"always", "on-success"})
"""With these in C{Restart=} a service comes back when it has ended well (systemd.service(5))."""

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
    if holder.isSystemds:
        return _fromSystemd(holder), [_stopUnit(holder, looker), another]
    if stop := stopping(holder, looker):
        return str(holder), [f"stop what it belongs to{_why(holder, looker)}: {stop}", another]
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


def stoppingUnit(holder: Holder) -> str:
    """
    The command that has systemd keep a socket no more, and ends who has got it; empty where its
    unit is not known.
    """
    unit = holder.socketUnit
    if unit is None:
        return ""
    served = holder.belonging.unit if holder.belonging.unit.endswith(".service") else ""
    names = dict.fromkeys((unit.name, *unit.activates.split(), *served.split()))
    option = "--user " if unit.isUsers else ""
    return f"systemctl {option}stop {' '.join(map(shlex.quote, names))}"


def comingBack(holder: Holder) -> str:
    """Who would start a service again if its process were asked to end; empty for nobody."""
    service = holder.service
    if service is None or service.restart not in _AGAIN or not _isItsService(holder):
        return ""
    return f"systemd would start it again (Restart={service.restart})"


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


def _fromSystemd(holder: Holder) -> str:
    isNamed = holder.isKept or holder.socketUnit is not None
    return str(holder) if isNamed else f"{holder}, started by systemd"


def _stopUnit(holder: Holder, looker: Looker) -> str:
    unit = holder.socketUnit
    if unit is None:
        why = "that it keeps it for" if holder.isKept else "since systemd would start it again"
        process = holder.process
        isUsers = process is not None and "--user" in process.command.split()
        return f"stop the socket unit {why}: systemctl {'--user ' if isUsers else ''}list-sockets"
    asRoot = _asRoot(looker, unit.isUsers)
    if holder.isKept:
        return f"stop {unit.name}{asRoot}: {stoppingUnit(holder)}"
    return f"stop both{asRoot}, since systemd would start it again: {stoppingUnit(holder)}"


def _why(holder: Holder, looker: Looker) -> str:
    """Behind what is to be stopped: who may, and why that."""
    asRoot = _asRoot(looker, holder.belonging.isUsers) if _isItsService(holder) else ""
    again = comingBack(holder)
    return asRoot + (f", since {again}" if again else "")


def _isItsService(holder: Holder) -> bool:
    """Whether it is the service of a process that is to be stopped, and not what it works for."""
    forwarder = holder.forwarder
    isService = holder.belonging.unit.endswith(".service")
    return isService and not (forwarder is not None and forwarder.stopping)


def _asRoot(looker: Looker, isUsers: bool) -> str:
    return ", as root" if looker.uid and not isUsers else ""


def _unseen(holder: Holder, looker: Looker, port: int) -> tuple[str, list[str]]:
    ask = f"loopbackd port {port}" if port else "lsof -U"
    if holder.isSystemds:
        return str(holder), [_stopUnit(holder, looker)]
    if looker.uid not in (0, holder.uid):
        unit = holder.belonging.unit
        of = f", unit {unit}" if unit else ""
        if looker.isBlind:
            see = f"ask from a terminal as root, since this process may not see others: {ask}"
        else:
            see = "run as root to see the process"
        remedy = [see]
        if stop := stopping(holder, looker):
            remedy.append(f"stop what it belongs to{_why(holder, looker)}: {stop}")
        elif holder.uid == 0 and not unit:
            # Root's may be systemd's, which anybody may list.
            remedy.append("see whether systemd keeps it for a service: systemctl list-sockets")
        return f"another user ({holder.user}{of})", remedy
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
