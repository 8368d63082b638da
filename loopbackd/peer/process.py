"""
From a socket to the process that holds it, by way of C{/proc} (proc(5)).

Everything here reads files and may take milliseconds: call it in a thread.  What it finds is a
label for people to read, **not an authorisation**: any process of that user can run the same
command.  Processes of other users show their sockets to root alone.
"""

from __future__ import annotations

import os
import pwd
import select
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from loopbackd.peer.proc import contentOf, descriptorsOf, linkOf, ownerOf, pids

COMMAND_LIMIT: Final = 200
"""Characters of a command line kept in L{Process.command}."""


@dataclass(frozen=True, slots=True)
class Process:
    """
    A running process.

    @ivar command: its command line, safe to show: one line, at most L{COMMAND_LIMIT} characters,
        everything unprintable escaped.  It is still what the process says of itself.
    @ivar user: the name of its user.
    """

    pid: int
    command: str
    user: str


def findProcess(inode: int, uid: int) -> Process | None:
    """
    Find a process that has a socket open: the owner's before all others, and of several the one
    with the highest pid, which is the newest until pids begin again.

    @param inode: the socket.
    @param uid: its owner.
    @return: L{None} also when the process ended meanwhile or is not ours to look into.
    """
    if not inode:
        return None
    others = []
    for pid in pids():
        if ownerOf(pid) != uid:
            others.append(pid)
        elif (found := _holder(pid, inode)) is not None:
            return found
    for pid in others:
        if (found := _holder(pid, inode)) is not None:
            return found
    return None


def findProcesses(inodes: Collection[int]) -> dict[int, Process]:
    """
    The same for many sockets, whoever owns them, in one walk through the processes.

    @return: the processes that could be found, by inode.
    """
    found: dict[int, Process] = {}
    links = {f"socket:[{inode}]": inode for inode in inodes if inode}
    for pid in pids() if links else ():
        for descriptor, link in descriptorsOf(pid):
            inode = links.get(link or "")
            if link is not None and inode is not None and inode not in found:
                process = _describe(pid, descriptor, link)
                if process is not None:
                    found[inode] = process
        if len(found) == len(links):
            break
    return found


def findHolders(inodes: Collection[int]) -> dict[int, list[int]]:
    """
    All processes that have these sockets open, by inode, in one walk through all there are.

    @return: their pids; nothing for a socket whose processes are not ours to look into.
    """
    found: dict[int, list[int]] = {}
    links = {f"socket:[{inode}]": inode for inode in inodes if inode}
    for pid in pids() if links else ():
        there = {links[link] for _, link in descriptorsOf(pid) if link in links}
        for inode in there:
            found.setdefault(inode, []).append(pid)
    return found


def closedProcesses(uid: int) -> list[int]:
    """
    The processes of a user that do not let us look into them, the highest pid first: they have
    privileges that we have not, or have changed their user (ptrace(2), PTRACE_MODE_READ).
    """
    return [pid for pid in pids() if ownerOf(pid) in (0, uid) and _isClosed(pid, uid)]


def _isClosed(pid: int, uid: int) -> bool:
    try:
        os.readlink(f"/proc/{pid}/exe")
    except PermissionError:
        # All of /proc of such a process may be root's: the user is in its status.
        return f"\nUid:\t{uid}\t".encode() in (contentOf(f"/proc/{pid}/status") or b"")
    except OSError:
        # It is gone, or one of the kernel's own.
        return False
    return False


@dataclass(frozen=True, slots=True)
class State:
    """
    What a process is at.

    @ivar letter: as C{ps} shows it: C{R} running, C{S} sleeping, C{D} waiting for a device, C{T}
        stopped, C{t} stopped by a debugger, C{Z} ended; empty for one that is gone.
    @ivar parent: the pid of its parent.
    @ivar began: when it was started, in clock ticks since the machine was.
    """

    letter: str = ""
    parent: int = 0
    began: int = 0


def stateOf(pid: int) -> State:
    """Look at a process (proc(5), C{/proc/PID/stat})."""
    raw = contentOf(f"/proc/{pid}/stat") or b""
    # The name of the program is in brackets, and may have any in it.
    fields = raw.rpartition(b")")[2].split()
    if len(fields) < 20:
        return State()
    return State(fields[0].decode("ascii", "replace"), int(fields[1]), int(fields[19]))


def processOf(pid: int) -> Process | None:
    """Describe a process; L{None} when there is none (that can be seen)."""
    return _describe(pid, None, "")


def holdsSocket(pid: int, inode: int) -> bool:
    """Tell whether a process has a socket open; False also when it cannot be seen."""
    return _descriptor(pid, f"socket:[{inode}]") is not None


def userName(uid: int) -> str:
    """Name a user for people: C{alice}, or C{uid 1234} when that has no name."""
    try:
        return pwd.getpwuid(uid).pw_name
    except (KeyError, OverflowError):
        return f"uid {uid}"


def _holder(pid: int, inode: int) -> Process | None:
    link = f"socket:[{inode}]"
    descriptor = _descriptor(pid, link)
    return None if descriptor is None else _describe(pid, descriptor, link)


def _descriptor(pid: int, link: str) -> str | None:
    return next((path for path, one in descriptorsOf(pid) if one == link), None)


def _describe(pid: int, descriptor: str | None, link: str) -> Process | None:
    # A pid is reused once its process is gone.  If the process behind the pidfd still lives after
    # everything was read, and still has the socket, then all of it was read from that one.
    pidfd = _openPidfd(pid)
    try:
        if descriptor is not None and linkOf(descriptor) != link:
            return None
        command = _command(pid)
        user = _user(pid)
        if command is None or user is None:
            return None
        if descriptor is not None and linkOf(descriptor) != link:
            return None
        if pidfd is not None and _hasEnded(pidfd):
            return None
        return Process(pid, command, user)
    finally:
        if pidfd is not None:
            os.close(pidfd)


def _openPidfd(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError, OverflowError):  # older kernel, gone, or out of descriptors
        return None


def _hasEnded(pidfd: int) -> bool:
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(0))


def _command(pid: int) -> str | None:
    raw = contentOf(f"/proc/{pid}/cmdline")
    if raw is None:
        return None
    raw = raw.rstrip(b"\0 ").replace(b"\0", b" ") or (contentOf(f"/proc/{pid}/comm") or b"").strip()
    return _printable(raw) or "?"


def _printable(raw: bytes) -> str:
    text = raw[: 4 * COMMAND_LIMIT].decode("utf-8", "backslashreplace")
    safe = "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii")
        for letter in text
    )
    return safe if len(safe) <= COMMAND_LIMIT else safe[: COMMAND_LIMIT - 3] + "..."


def _user(pid: int) -> str | None:
    status = contentOf(f"/proc/{pid}/status")
    if status is None:
        return None
    for line in status.splitlines():
        if line.startswith(b"Uid:"):
            return userName(int(line.split()[2]))  # the effective one
    return None
