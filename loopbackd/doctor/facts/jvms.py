"""
The JVMs that are told of a debugger, and what has come of it.

A port where a JVM waits for its debugger is B{never connected to}: it takes one connection at a
time, and whoever comes meanwhile waits or is refused.  L{waitsForDebugger} says which those are.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from loopbackd.debuggers.jdwp import JDWP, VARIABLES, argumentsIn, jdwpsOf
from loopbackd.debuggers.recognising import isJava
from loopbackd.doctor.facts.files import regularFile
from loopbackd.doctor.facts.holder import Holder
from loopbackd.doctor.facts.running import Running, running
from loopbackd.peer.proc import contentOf, directoryOf, socketsOf, threadsOf
from loopbackd.peer.process import Process, processOf
from loopbackd.peer.sockdiag import SocketRow, TCPState

UNSEEN: Final = "what cannot be seen of another user's process"
"""The source of an option that only shows in what the JVM does."""

_BACKLOG: Final = 1
"""What libjdwp asks listen(2) for, in every version; servers ask for more."""

_ARGFILE_LIMIT: Final = 1024 * 1024
_MOST_ARGFILES: Final = 8
_MAPS_LIMIT: Final = 4 * 1024 * 1024
_VERSION: Final = re.compile(r'^JAVA_VERSION="?(?:1\.)?([0-9]+)', re.MULTILINE)


class Phase(Enum):
    """What the agent's threads are at; their names are those of C{libjdwp}."""

    NOTHING = "has not begun, or waits for the other end's first word"
    WAITING = "waits for a debugger"
    ATTACHED = "has a debugger"
    LEFT = "had a debugger, and waits for none"


@dataclass(frozen=True, slots=True)
class JVM:
    """
    A running JVM that was told of a debugger.

    @ivar jdwp: what it was told.
    @ivar sockets: the inodes of those it has open; L{None} where that cannot be seen.
    @ivar isOld: whether its JDK is older than 9; L{None} if unknown.
    @ivar directory: where it runs; empty if unknown.
    """

    process: Process
    uid: int
    jdwp: JDWP
    phase: Phase = Phase.NOTHING
    sockets: frozenset[int] | None = None
    isOld: bool | None = None
    directory: str = ""

    def listeners(self, rows: Iterable[SocketRow]) -> list[SocketRow]:
        """Those of the machine's sockets at which it waits for its debugger."""
        return [row for row in rows if row.state is TCPState.LISTEN and self._waitsAt(row)]

    def connection(self, rows: Iterable[SocketRow]) -> SocketRow | None:
        """Its own end of the connection with its debugger."""
        port = self.jdwp.port
        for row in rows:
            end = row.local if self.jdwp.server else row.remote
            if row.state is TCPState.ESTABLISHED and end[1] == port and self._has(row):
                return row
        return None

    def _waitsAt(self, row: SocketRow) -> bool:
        if not self.jdwp.isListening:
            return False
        if self.jdwp.port is not None:
            return row.local[1] == self.jdwp.port and self._has(row)
        return row.unsent <= _BACKLOG and self._has(row)

    def _has(self, row: SocketRow) -> bool:
        return row.uid == self.uid if self.sockets is None else row.inode in self.sockets


def waitsForDebugger(
    row: SocketRow,
    jvms: Iterable[JVM],
    holder: Holder | None = None,
    configured: Collection[int] = (),
) -> str:
    """
    Whether a JVM waits, or may wait, for its debugger at a listening socket.

    Ask before every connection that is an attempt, and make none where the answer is not empty.

    @param row: of the listener that the connection would get (L{Sockets.reachedAt
        <loopbackd.doctor.facts.sockets.Sockets.reachedAt>}).
    @param jvms: all of this machine's, from L{findJVMs}.
    @param holder: who has the socket; L{None} where nobody has looked.
    @param configured: the ports of this machine that a project tells a Java debugger to attach to
        (L{Project.javaPorts <loopbackd.doctor.facts.project.Project.javaPorts>}); whoever listens
        there and cannot be seen, or leads elsewhere, is taken for a JVM.
    @return: why, in words; empty where none does.
    """
    process = None if holder is None else holder.process
    for jvm in jvms:
        if jvm.listeners((row,)):
            return f"{jvm.process.command.partition(' ')[0]} (pid {jvm.process.pid}) was told so"
        # It may have begun to listen after its sockets were looked at.
        isMaybe = jvm.jdwp.isListening and jvm.jdwp.port == row.local[1] and jvm.uid == row.uid
        if isMaybe and process is None:
            return f"pid {jvm.process.pid} was told to listen on this port"
    if row.local[1] in configured:
        if process is None:
            return "a project attaches its Java debugger here, and who listens cannot be seen"
        if holder is not None and holder.forwarder:
            return "a project attaches its Java debugger here, through a forwarder"
    return ""


def findJVMs(programs: Iterable[Running] | None = None) -> tuple[JVM, ...]:
    """
    Look for them among all processes; never raises.

    @param programs: those that run, where somebody has looked already.
    """
    programs = running(VARIABLES) if programs is None else programs
    return tuple(jvm for one in programs if (jvm := _jvm(one)) is not None)


def _jvm(one: Running) -> JVM | None:
    isCalledJava = any(map(isJava, one.names))
    words = _expanded(one) if isCalledJava else one.words
    told = jdwpsOf(words, one.environ)
    if not told and not isCalledJava:
        return None
    threads = threadsOf(one.pid)
    phase = phaseOf(threads)
    # Other programs have such words among theirs (grep, gradle), or hand the variables on.
    if not isCalledJava and not (phase is not Phase.NOTHING or _isJVM(one.pid)):
        return None
    if not told:
        if phase is Phase.NOTHING:
            return None
        told = (JDWP("", server="JDWP Transport" in threads, source=UNSEEN),)
    process = processOf(one.pid)
    if process is None:
        return None
    path = one.path or (one.words[0] if one.words[0].startswith("/") else "")
    return JVM(
        process,
        one.uid,
        told[-1],
        phase,
        socketsOf(one.pid),
        _isOld(path),
        directoryOf(one.pid),
    )


def phaseOf(threads: Collection[str]) -> Phase:
    """Where a JVM stands with its debugger, by the names of its threads."""
    if "JDWP Command Re" in threads:
        return Phase.ATTACHED
    if "JDWP Transport" in threads:
        return Phase.WAITING
    return Phase.LEFT if "JDWP Event Help" in threads else Phase.NOTHING


def _isJVM(pid: int) -> bool:
    return b"/libjvm.so" in (contentOf(f"/proc/{pid}/maps", _MAPS_LIMIT) or b"")


def _expanded(one: Running) -> Sequence[str]:
    """The command line with its C{@argfiles} put in, those that can be read (java(1))."""
    if not any(word.startswith("@") for word in one.words):
        return one.words
    return list(_withFiles(one))


def _withFiles(one: Running) -> Iterator[str]:
    files = 0
    for index, word in enumerate(one.words):
        if word == "--disable-@files":
            yield from one.words[index:]
            return
        if word.startswith("@") and not word.startswith("@@") and files < _MOST_ARGFILES:
            files += 1
            path = os.path.join(directoryOf(one.pid), word[1:])
            content = regularFile(f"/proc/{one.pid}/root{path}", _ARGFILE_LIMIT)
            yield from argumentsIn((content or b"").decode("utf-8", "replace"))
        else:
            yield word


def _isOld(path: str) -> bool | None:
    """Of an executable: JDKs have a file C{release} beside C{bin}, or above C{jre}."""
    home = os.path.dirname(os.path.dirname(path))
    for directory in (home, os.path.dirname(home)) if path else ():
        release = regularFile(f"{directory}/release", 65536) or b""
        version = javaVersion(release.decode("utf-8", "replace"))
        if version is not None:
            return version < 9
    return None


def javaVersion(release: str) -> int | None:
    """The version that a JDK's C{release} file says: 8 for 1.8.0_402, 17 for 17.0.15."""
    match = _VERSION.search(release)
    return int(match[1]) if match is not None and len(match[1]) < 4 else None
