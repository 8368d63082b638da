"""
The words for whoever is in the way of an address, and how to get them out of the way.

Shared by the answers for ports and for paths.
"""

from __future__ import annotations

import os

from loopbackd.peer.process import Process, findProcess, holdsSocket, userName


def describeHolder(inode: int, uid: int, another: str) -> str:
    """
    Name who has a socket open and say what to do, on one line.

    Reads C{/proc}; never raises.

    @param inode: the socket.
    @param uid: its owner.
    @param another: the remedy that leaves the holder alone: which other address to choose, and how.
    """
    process = findProcess(inode, uid)
    if process is None:
        return _unseen(uid, another)
    if process.pid == os.getpid():
        return f"this very process (pid {process.pid}): two services want one address, {another}"
    if _isSystemd(process):
        return f"systemd (pid {process.pid}): {_units(process)}, or {another}"
    if process.pid != 1 and holdsSocket(1, inode):
        # Killing the service is no use: systemd has the socket too and starts it again.
        return f"{nameProcess(process)}, started by systemd for {_units(None)}, or {another}"
    return f"{nameProcess(process)}; stop it: kill {process.pid}, or {another}"


def nameOwner(inode: int, uid: int) -> str:
    """Name the process that has the socket open, or at least its user."""
    process = findProcess(inode, uid)
    return f"user {userName(uid)}" if process is None else nameProcess(process)


def nameProcess(process: Process) -> str:
    """Name a process the way every line of ours does."""
    return f"pid {process.pid} ({process.command}), user {process.user}"


def _unseen(uid: int, another: str) -> str:
    if os.geteuid() not in (0, uid):
        units = ", or see `systemctl list-sockets` for systemd's" if uid == 0 else ""
        return (
            f"another user ({userName(uid)}): run as root to see the process{units}, or {another}"
        )
    return (
        f"a process of user {userName(uid)} that does not show itself"
        f" (it may be in another container, or the kernel itself): {another}"
    )


def _isSystemd(process: Process) -> bool:
    program = os.path.basename(process.command.partition(" ")[0])
    return program == "systemd" or (process.pid == 1 and program == "init")


def _units(process: Process | None) -> str:
    option = "" if process is None or process.pid == 1 else "--user "
    return f"a socket unit; see `systemctl {option}list-sockets` and stop that unit"
