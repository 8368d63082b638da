"""
The doctor's part on debuggers: which addresses must not be connected to, and projects.

Nothing here connects to anybody.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from loopbackd.doctor.asked import Asked
from loopbackd.doctor.checks.debuggers import checkDebuggers
from loopbackd.doctor.checks.disconnected import (
    checkCrashes,
    checkGone,
    disconnected,
    looksPicked,
)
from loopbackd.doctor.checks.projects import Hosts, checkProject
from loopbackd.doctor.facts.configured import Project
from loopbackd.doctor.facts.crashes import killedForMemory, readCrashes
from loopbackd.doctor.facts.debugging import Debugging, lookAtDebuggers
from loopbackd.doctor.facts.holder import Holder
from loopbackd.doctor.facts.jvms import waitsForDebugger
from loopbackd.doctor.facts.names import isOwn, resolve
from loopbackd.doctor.facts.project import readProject
from loopbackd.doctor.facts.sockets import Sockets
from loopbackd.doctor.finding import Finding, Severity, inOrder
from loopbackd.hostport import joined
from loopbackd.peer.netlink import SocketDiag


def sparedHosts(
    hosts: Sequence[str],
    sockets: Sockets,
    holders: Mapping[int, Holder],
    there: Debugging,
    directory: str,
) -> dict[str, str]:
    """
    Those of an address's hosts that must not be connected to, and why.

    @param hosts: IP addresses.
    @param directory: whose project is asked where nobody can see who listens.
    """
    reached = {host: row for host in hosts if (row := sockets.reachedAt(host)) is not None}
    behind = (holders.get(row.inode) for row in reached.values())
    takers = [one for one in there.debuggers if one.told.takesOne]
    isUnclear = any(one is None or one.process is None or one.forwarder for one in behind)
    configured = readProject(directory, os.environ).javaPorts if isUnclear else frozenset[int]()
    found = {
        host: waitsForDebugger(row, there.jvms, holders.get(row.inode), configured)
        or next((str(one) for one in takers if one.listeners((row,))), "")
        for host, row in reached.items()
    }
    return {host: why for host, why in found.items() if why}


def aboutAddress(asked: Asked, there: Debugging, spared: Mapping[str, str]) -> Iterator[Finding]:
    """What the debuggers have to do with an address, and why it was not connected to."""
    found = list(checkDebuggers(there, asked.port))
    yield from found
    if spared and not any(one.kind == "debugger-waits" for one in found):
        yield Finding(
            "debugger-may-wait",
            Severity.NOTE,
            f"A JVM may wait for its debugger at {asked}, so it was not connected to.",
            tuple(f"{joined(host, asked.port)}: {why}" for host, why in spared.items()),
            ("as root it can be seen who it is",),
        )
    yield from checkGone(there, asked)


def aboutNobody(asked: Asked, there: Debugging, directory: str) -> Iterator[Finding]:
    """
    What an IDE would have meant by an address where nobody listens.

    @param directory: where a JVM may have left word of a crash.
    """
    isLeft = any(one.kind == "debugger-disconnected" for one in checkGone(there, asked))
    if looksPicked(asked.port) and not isLeft:
        whole = _explained(asked, there, directory)
        more = f"what the exit codes mean: loopbackd doctor --debugger {asked}"
        yield replace(whole, remedy=(whole.remedy[0], more))


def _explained(asked: Asked, there: Debugging, directory: str) -> Finding:
    crashes = readCrashes([directory, *(jvm.directory for jvm in there.jvms)])
    return disconnected(asked, there, crashes, killedForMemory())


def examineDebuggers(asked: Asked) -> list[Finding]:
    """Explain an IDE's message about an address, with all that is to be known of debuggers."""
    there = lookAtDebuggers(SocketDiag(), frozenset({asked.port}))
    return inOrder([_explained(asked, there, os.getcwd()), *checkDebuggers(there)])


def examineProject(directory: str) -> list[Finding]:
    """Say what is to be found about the debuggers that a project's directory configures."""
    project = readProject(directory, os.environ)
    ports = {one.port for one in project.configured if one.port is not None}
    ports |= {told.jdwp.port for told in project.told if told.jdwp.port is not None}
    there = lookAtDebuggers(SocketDiag(), frozenset(ports))
    findings = inOrder(
        [
            *checkProject(project, there, hostsOf(project)),
            *checkDebuggers(there),
            *checkCrashes(readCrashes([directory])),
        ]
    )
    return list(dict.fromkeys(findings))


def hostsOf(project: Project) -> Hosts:
    """Where the hosts that a project names lead, those that lead to this machine."""
    names = dict.fromkeys(one.host for one in project.configured if one.port is not None)
    found = {}
    for name in list(names)[:20]:
        own = tuple(host for host in resolve(name).addresses if isOwn(host))
        if own:
            found[name] = own
    return found
