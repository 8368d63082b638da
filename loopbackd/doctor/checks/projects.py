"""What a project says of debuggers, against what is the case on this machine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from loopbackd.debuggers.debugger import TITLES
from loopbackd.doctor.checks.debuggers import attached, describeJVM, reachable, whoHas
from loopbackd.doctor.checks.jvmoptions import checkOptions
from loopbackd.doctor.facts.configured import Configured, Project, Told
from loopbackd.doctor.facts.debugging import Debugging
from loopbackd.doctor.facts.jvms import JVM, Phase
from loopbackd.doctor.facts.sockets import Sockets
from loopbackd.doctor.finding import Finding, Severity
from loopbackd.hostport import joined
from loopbackd.peer.sockdiag import SocketRow

Hosts = Mapping[str, tuple[str, ...]]
"""The addresses of the hosts that a project names, in the order in which a client tries them; those
that are not this machine's are left out, and so are hosts that have none of it."""

_LANGUAGES: Final = {**TITLES, "java": "Java"}


def checkProject(project: Project, there: Debugging, hosts: Hosts) -> Iterator[Finding]:
    """Whether what a project's debuggers are told would work now, and what JVMs are told."""
    for line in project.missing:
        file = line.partition(":")[0]
        yield Finding(
            "project-unread",
            Severity.WARNING,
            f"{file} cannot be read: an IDE would not understand it either, or leave it out.",
            (line,),
            ("mend the file",),
        )
    if there.missing:
        return
    for one in project.configured:
        if one.port is None:
            yield _unknown(one)
        elif one.isListening:
            yield from _listening(one, project, there)
        elif one.host in hosts:
            yield from _connecting(one, project, there, hosts[one.host])
    yield from _unconfigured(project, there)
    yield from checkOptions(project, there)


def _connecting(
    one: Configured, project: Project, there: Debugging, addresses: tuple[str, ...]
) -> Iterator[Finding]:
    assert one.port is not None
    rows = Sockets(one.port, tuple(there.listening(one.port)))
    reached = next((row for host in addresses if (row := rows.reachedAt(host))), None)
    if reached is not None:
        if one.kind == "java":
            yield from _isJava(one, there, reached)
        return
    if rows.listeners:
        yield _elsewhere(one, there, addresses, rows.listeners)
        return
    jvm = next((jvm for jvm in there.jvms if jvm.jdwp.port == one.port), None)
    if one.kind == "java" and jvm is not None and jvm.phase is Phase.ATTACHED and jvm.jdwp.server:
        yield attached(jvm, there, Severity.PROBLEM)
        return
    told = next(
        (told for told in project.told if told.jdwp.port == one.port and not told.jdwp.server), None
    )
    if one.kind == "java" and (told is not None or (jvm is not None and not jvm.jdwp.server)):
        yield _bothConnect(one, told, jvm)
        return
    others = list(_others(one.kind, project, there))
    yield _otherPort(one, others) if others else _absent(one)


def _isJava(one: Configured, there: Debugging, row: SocketRow) -> Iterator[Finding]:
    """Whether who listens is a JVM; nothing is said of whom nobody sees, or who forwards."""
    holder = there.holders.get(row.inode)
    if holder is None or holder.process is None or holder.forwarder:
        return
    # As anything with such threads is; a JVM of our own would be seen with its sockets.
    if any(jvm.listeners((row,)) for jvm in there.jvms):
        return
    yield Finding(
        "debugger-port-taken",
        Severity.PROBLEM,
        f"The Java debugger of {one.name!r} is to connect to port {one.port}, where something else"
        " listens.",
        (
            f"{one.where}: {joined(one.host, row.local[1])}",
            f"{joined(*row.local)} is {holder}, and was told of no debugger",
            "an IDE says 'handshake failed' or 'connection prematurally closed' to it; a JVM that"
            " is told to listen there says 'bind failed: Address already in use'",
        ),
        (
            "give the JVM and the configuration another port",
            "or start the JVM with -agentlib:jdwp=transport=dt_socket,server=y,suspend=n,"
            f"address=127.0.0.1:{one.port}, when the other is gone",
        ),
        90,
    )


def _elsewhere(
    one: Configured, there: Debugging, addresses: tuple[str, ...], rows: list[SocketRow]
) -> Finding:
    held = [f"{joined(*row.local)} is {whoHas(row, there)}" for row in rows]
    return Finding(
        "debugger-elsewhere",
        Severity.PROBLEM,
        f"The debugger of {one.name!r} connects to {one.host}, which is {' and '.join(addresses)};"
        f" port {one.port} is listened on at {' and '.join(row.local[0] for row in rows)} alone.",
        (f"{one.where}: {joined(one.host, one.port or 0)}", *held),
        (
            f"write {reachable(rows[0])[0]} for the host in {one.where}",
            f"or have the program listen on {addresses[0]}",
        ),
        90,
    )


def _bothConnect(one: Configured, told: Told | None, jvm: JVM | None) -> Finding:
    other = (
        f"{told.where}: {told.jdwp.option}"
        if told is not None
        else describeJVM(jvm)
        if jvm is not None
        else ""
    )
    return Finding(
        "debugger-both-connect",
        Severity.PROBLEM,
        f"The debugger of {one.name!r} and the JVM both connect to port {one.port}, and neither"
        " listens.",
        (f"{one.where}: attaches to {joined(one.host, one.port or 0)}", other),
        (
            f"start the JVM with server=y,suspend=n,address=127.0.0.1:{one.port}",
            "or have the debugger listen ('Listen to remote JVM')",
        ),
        95,
    )


def _otherPort(one: Configured, others: list[tuple[str, SocketRow]]) -> Finding:
    row = others[0][1]
    return Finding(
        "debugger-other-port",
        Severity.PROBLEM,
        f"The debugger of {one.name!r} connects to port {one.port}, where nobody listens;"
        f" at {joined(*row.local)} a program waits that no configuration names.",
        (
            f"{one.where}: {joined(one.host, one.port or 0)}",
            *(f"{joined(*other.local)} is {name}" for name, other in others),
        ),
        (f"write {row.local[1]} for the port in {one.where}",),
        90,
    )


def _absent(one: Configured) -> Finding:
    language = _LANGUAGES[one.kind]
    return Finding(
        "debugger-absent",
        Severity.WARNING,
        f"The debugger of {one.name!r} connects to {joined(one.host, one.port or 0)}, where nobody"
        " listens.",
        (f"{one.where}: {language}, port {one.port}", "of all listeners, none has this port"),
        (
            "start the program first; if it was started, it has ended, or was not told of this"
            " port",
            *_starting(one),
        ),
        60,
    )


def _starting(one: Configured) -> Iterator[str]:
    commands = {
        "java": "java -agentlib:jdwp=transport=dt_socket,server=y,suspend=n,"
        f"address=127.0.0.1:{one.port} ...",
        "node": f"node --inspect=127.0.0.1:{one.port} ...",
        "debugpy": f"python -m debugpy --listen 127.0.0.1:{one.port} ...",
        "delve": f"dlv debug --headless --listen=127.0.0.1:{one.port}",
        "gdbserver": f"gdbserver 127.0.0.1:{one.port} ...",
        "chrome": f"chromium --remote-debugging-port={one.port}",
    }
    yield commands[one.kind]


def _listening(one: Configured, project: Project, there: Debugging) -> Iterator[Finding]:
    """The debugger listens, and so must nobody else."""
    servers = [
        describeJVM(jvm)
        for jvm in there.jvms
        if one.kind == "java" and jvm.jdwp.isListening and jvm.jdwp.port == one.port
    ]
    servers += [
        str(other)
        for other in there.debuggers
        if (other.told.kind, other.told.port) == (one.kind, one.port) and other.told.isListening
    ]
    servers += [
        f"{told.where}: {told.jdwp.option}"
        for told in project.told
        if one.kind == "java" and told.jdwp.isListening and told.jdwp.port == one.port
    ]
    if servers:
        yield Finding(
            "debugger-both-listen",
            Severity.PROBLEM,
            f"The debugger of {one.name!r} and the program both listen on port {one.port}, and"
            " neither connects.",
            (f"{one.where}: listens on {joined(one.host, one.port or 0)}", *servers),
            (
                "have the debugger attach ('Attach to remote JVM')",
                "or have the program connect (Java: server=n)",
            ),
            95,
        )


def _unknown(one: Configured) -> Finding:
    return Finding(
        "debugger-port-unknown",
        Severity.NOTE,
        f"The port of {one.name!r} is not known here: {one.unknown}.",
        (f"{one.where}: {_LANGUAGES[one.kind]}",),
    )


def _others(kind: str, project: Project, there: Debugging) -> Iterator[tuple[str, SocketRow]]:
    """Who waits for a debugger of that kind at a port that no configuration names."""
    named = {one.port for one in project.configured}
    found = (
        [(describeJVM(jvm), row) for jvm in there.jvms for row in jvm.listeners(there.rows)]
        if kind == "java"
        else [
            (str(one), row)
            for one in there.debuggers
            if one.told.kind == kind
            for row in one.listeners(there.rows)
        ]
    )
    yield from ((name, row) for name, row in found if row.local[1] not in named)


def _unconfigured(project: Project, there: Debugging) -> Iterator[Finding]:
    for kind in dict.fromkeys(one.kind for one in project.configured):
        for name, row in _others(kind, project, there):
            yield Finding(
                "debugger-unconfigured",
                Severity.NOTE,
                f"A program waits for a debugger at {joined(*row.local)}, and no configuration of"
                " this project names that port.",
                (name,),
                ("where it is this project's, have a configuration attach to it",),
            )
