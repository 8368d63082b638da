"""
Which program has a socket: its process, its command line and its executable.

Everything here may take milliseconds: call it in a thread.  Processes of other users show
themselves to root alone; whoever cannot be seen is left out.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from loopbackd.debuggers.recognising import VARIABLES
from loopbackd.loglines import escape
from loopbackd.peer.proc import DELETED, executableOf, variablesOf, wordsOf
from loopbackd.peer.process import Process, findProcess, findProcesses, stateOf

_FEW: Final = 3
_SCRIPT: Final = 200
_VALUED: Final = frozenset({"-X", "-W", "-r", "-cp", "-classpath", "--class-path"})
"""Options of interpreters that a value follows."""

_INTERPRETERS: Final = re.compile(
    "(?:python|pypy|node|nodejs|ruby|perl|php|lua|java|bun|deno|bash|dash|sh|tclsh)[0-9.]*"
)
_TEMPORARY: Final = ("/tmp/", "/var/tmp/", "/dev/shm/")


@dataclass(frozen=True, slots=True)
class Program:
    """
    What runs in a process.

    @ivar user: the name of its user.
    @ivar command: its command line, as L{Process} has it.
    @ivar words: the same as it is, word by word; never to be shown.
    @ivar path: its executable, safe to show; empty where that cannot be seen.
    @ivar isDeleted: there is no such file any more; where another one is there now, it was only
        upgraded.
    @ivar started: seconds between the start of this machine and its own; L{None} if unknown.
    @ivar variables: those of its environment that say something of debuggers; never to be shown.
    """

    pid: int
    user: str
    command: str
    words: tuple[str, ...] = field(default=(), repr=False)
    path: str = ""
    isDeleted: bool = False
    started: float | None = None
    variables: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)

    @property
    def name(self) -> str:
        """The last part of its executable's path, or of its command's first word."""
        path = self.path or (self.words[0] if self.words else self.command.partition(" ")[0])
        return path.rpartition("/")[2]

    @property
    def identity(self) -> str:
        """
        What tells it from other programs, safe to show: its executable, and of an interpreter what
        it runs; empty where its executable cannot be seen.
        """
        if not self.path or not _INTERPRETERS.fullmatch(self.name):
            return self.path
        words = iter(self.words[1:])
        for word in words:
            if word in ("-m", "-jar"):
                return f"{self.path} {escape((word + ' ' + next(words, ''))[:_SCRIPT])}"
            if not word.startswith("-") or word in ("-c", "-e"):
                return f"{self.path} {escape(word[:_SCRIPT])}"
            if word in _VALUED:
                next(words, None)
        return self.path

    @property
    def isTemporary(self) -> bool:
        """Whether its executable is where anybody can write and nobody installs."""
        return self.path.startswith(_TEMPORARY)


def programsOf(sockets: Mapping[int, int]) -> dict[int, Program]:
    """
    Find the programs that have these sockets open.

    @param sockets: the owner's uid for each inode.
    @return: those that can be seen, by inode.
    """
    found: dict[int, Process] = {}
    if len(sockets) <= _FEW:
        for inode, uid in sockets.items():
            process = findProcess(inode, uid) if _mayBeSeen(uid) else None
            if process is not None:
                found[inode] = process
    else:
        found = findProcesses([inode for inode, uid in sockets.items() if _mayBeSeen(uid)])
    known = {process.pid: read(process) for process in found.values()}
    return {inode: known[process.pid] for inode, process in found.items()}


def read(process: Process) -> Program:
    """What else there is to know of a process; what cannot be read is left out."""
    link, began = executableOf(process.pid), stateOf(process.pid).began
    path = link.removesuffix(DELETED)
    return Program(
        process.pid,
        process.user,
        process.command,
        wordsOf(process.pid),
        escape(path),
        link != path and not os.path.lexists(path),
        began / os.sysconf("SC_CLK_TCK") if began else None,
        variablesOf(process.pid, VARIABLES),
    )


def _mayBeSeen(uid: int) -> bool:
    """A walk through all processes is not worth it for a socket of somebody else's."""
    return os.geteuid() in (0, uid)
