"""Who has a socket: processes, and what they belong to."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from loopbackd.doctor.facts.cgroups import Belonging, belongingOf, groupOf, groupWith
from loopbackd.peer.process import Process, findHolders, processOf, stateOf, userName
from loopbackd.peer.sockdiag import SocketRow

_NOWHERE: Final = Belonging()
_FORWARDERS: Final = re.compile(
    r"(docker-proxy|rootlesskit|rootlessport|slirp4netns|pasta|wslrelay|conmon|gvproxy)\b"
    r"|ssh\b.* -[A-Za-z]*[LD]|kubectl\b.* port-forward"
)


@dataclass(frozen=True, slots=True)
class Holder:
    """
    Who has a socket open.

    @ivar uid: of whoever made it.
    @ivar user: the name of that user.
    @ivar process: the oldest of the processes that have it, besides systemd; L{None} where none
        can be seen.
    @ivar others: the pids of the rest.
    @ivar state: of the process, as C{ps} shows it: C{T} is stopped, C{t} stopped by a debugger.
    @ivar belonging: of the process, or of the socket where no process can be seen.
    @ivar isSystemds: systemd has the socket open, too: it keeps it for a service.
    @ivar directory: where the process runs, where that is told.
    """

    uid: int
    user: str
    process: Process | None = None
    others: tuple[int, ...] = ()
    state: str = ""
    belonging: Belonging = _NOWHERE
    isSystemds: bool = False
    directory: str = ""

    @property
    def forwards(self) -> bool:
        """Whether it is one of the programs that lead to a server somewhere else."""
        return self.process is not None and bool(_FORWARDERS.search(self.process.command))

    @property
    def stopping(self) -> str:
        """The command that stops what would start it again; empty where nothing would."""
        belonging = self.belonging
        if belonging.container.startswith(("docker ", "podman ")):
            kind, name = belonging.container.split(" ")
            return f"{kind} stop {name}"
        if belonging.unit.endswith(".service"):
            option = "--user " if belonging.isUsers else ""
            return f"systemctl {option}stop {belonging.unit}"
        return ""

    def __str__(self) -> str:
        """In words, on one line."""
        words = self._named()
        if self.others and self.process is not None:
            words += f" and {len(self.others)} more"
        unit, container = self.belonging.unit, self.belonging.container
        if unit:
            words += f", {'user ' if self.belonging.isUsers else ''}unit {unit}"
        return words + (f", container {container}" if container else "")

    def _named(self) -> str:
        if self.process is None:
            return f"a process of user {self.user}"
        one = self.process
        return f"pid {one.pid} ({one.command}), user {one.user}"


def holdersOf(rows: Iterable[SocketRow]) -> dict[int, Holder]:
    """Who has these sockets, by inode. Reads all of C{/proc} once, which takes milliseconds."""
    wanted = {row.inode: row for row in rows if row.inode}
    found = findHolders(wanted)
    return {
        inode: _holder(row.uid, row.cgroup, found.get(inode, [])) for inode, row in wanted.items()
    }


def holderOf(inode: int, uid: int) -> Holder:
    """Who has that socket."""
    return _holder(uid, 0, findHolders((inode,)).get(inode, []))


def _holder(uid: int, group: int, pids: list[int]) -> Holder:
    user = userName(uid)
    described = {pid: one for pid in pids if (one := processOf(pid)) is not None}
    keepers = [pid for pid in described if isSystemd(described[pid])]
    # The oldest of a family of servers is the one that the others came from.
    rest = [pid for pid in described if pid not in keepers] or keepers
    if not rest:
        path = groupWith(group) if group > 1 else ""
        return Holder(uid, user, belonging=belongingOf(path))
    first, *others = sorted(rest, key=lambda pid: (stateOf(pid).began, pid))
    return Holder(
        uid,
        user,
        described[first],
        tuple(others),
        stateOf(first).letter,
        belongingOf(groupOf(first)),
        bool(keepers),
        _directory(first),
    )


def isSystemd(process: Process) -> bool:
    """Whether it is systemd, the system's or a user's."""
    program = os.path.basename(process.command.partition(" ")[0])
    return program == "systemd" or (process.pid == 1 and program == "init")


def _directory(pid: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/cwd")
    except OSError:
        return ""
