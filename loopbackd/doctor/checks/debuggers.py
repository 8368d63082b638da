"""What the debuggers of this machine are at: who waits for one, has one, or has lost it."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from typing import Final

from loopbackd.doctor.facts.debuggers import Debugged
from loopbackd.doctor.facts.debugging import Debugging
from loopbackd.doctor.facts.jvms import JVM, Phase
from loopbackd.doctor.finding import Finding, Severity
from loopbackd.hostport import joined
from loopbackd.peer.sockdiag import SocketRow

NOT_CONNECTED: Final = (
    "it was not connected to: a JVM takes one debugger at a time, and whoever comes meanwhile waits"
)
OTHERS_NOT_CONNECTED: Final = (
    "it was not connected to: whoever comes is taken for the debugger, and some end with it"
)


def checkDebuggers(there: Debugging, port: int | None = None) -> Iterator[Finding]:
    """
    What there is to say of the JVMs and other programs that can be debugged.

    @param port: only of those that this port is about; L{None} for all.
    """
    if there.missing and there.jvms:
        yield Finding(
            "debuggers-unseen",
            Severity.NOTE,
            "The kernel does not tell which sockets the JVMs have.",
            (f"sock_diag: {there.missing}",),
        )
        return
    for jvm in there.jvms:
        rows = _rowsOf(jvm, there)
        ports = {jvm.jdwp.port, *(row.local[1] for row in rows)}
        if port is None or port in ports:
            yield from (
                _aboutServer(jvm, there, port)
                if jvm.jdwp.server
                else _aboutClient(jvm, there, port)
            )
    yield from _aboutOthers(there, port)
    yield from checkEverywhere(there, port)


def checkEverywhere(there: Debugging, port: int | None = None) -> Iterator[Finding]:
    """Whether other machines can reach a debugger, which does whatever it is told."""
    said: set[int] = set()
    for jvm in there.jvms:
        for row in jvm.listeners(there.rows):
            if not _isLoopback(row) and port in (None, row.local[1]):
                said.add(row.inode)
                yield _javaEverywhere(jvm, row)
    for one in there.debuggers:
        for row in one.listeners(there.rows):
            if not _isLoopback(row) and port in (None, row.local[1]) and row.inode not in said:
                said.add(row.inode)
                yield Finding(
                    "debugger-everywhere",
                    Severity.WARNING,
                    f"{_titled(one)} listens on {joined(*row.local)}:"
                    " whoever reaches that port can run any code as its user.",
                    (str(one), f"listens on {joined(*row.local)}"),
                    (
                        f"have it listen on 127.0.0.1:{row.local[1]}",
                        f"from another machine: ssh -L {row.local[1]}:127.0.0.1:{row.local[1]}",
                    ),
                    85,
                )


def _javaEverywhere(jvm: JVM, row: SocketRow) -> Finding:
    evidence = [describeJVM(jvm), f"listens on {joined(*row.local)}"]
    if not jvm.jdwp.host and jvm.isOld:
        evidence.append("its JDK is older than 9, where a port alone means every address")
    isLimited = jvm.jdwp.allow not in ("", "*")
    if isLimited:
        evidence.append(f"it lets in {jvm.jdwp.allow} alone (allow=)")
    return Finding(
        "debugger-everywhere",
        Severity.NOTE if isLimited else Severity.WARNING,
        f"A JVM waits for a debugger on {joined(*row.local)}: whoever reaches that port can run any"
        " code as its user (JDWP asks for no password).",
        tuple(evidence),
        (
            f"start it with address=127.0.0.1:{row.local[1]}",
            f"from another machine: ssh -L {row.local[1]}:127.0.0.1:{row.local[1]}",
        ),
        90,
    )


def describeJVM(jvm: JVM) -> str:
    """Name a JVM and what it was told, on one line."""
    process, jdwp = jvm.process, jvm.jdwp
    told = f"{jdwp.option} ({jdwp.source})" if jdwp.option else jdwp.source
    return f"pid {process.pid} ({process.command}), user {process.user}: {told}"


def nameJVM(jvm: JVM) -> str:
    """Name a JVM in few words."""
    return f"JVM {jvm.process.pid}"


def _rowsOf(jvm: JVM, there: Debugging) -> list[SocketRow]:
    connection = jvm.connection(there.rows)
    return [*jvm.listeners(there.rows), *([connection] if connection is not None else [])]


def _aboutServer(jvm: JVM, there: Debugging, port: int | None) -> Iterator[Finding]:
    listeners = jvm.listeners(there.rows)
    for row in listeners:
        if port not in (None, row.local[1]):
            continue
        yield Finding(
            "debugger-waits",
            Severity.NOTE,
            f"At {joined(*row.local)} {nameJVM(jvm)} waits for a debugger"
            + (", and its program does not begin before one comes." * jvm.jdwp.suspend or "."),
            (describeJVM(jvm), NOT_CONNECTED),
            (f"attach to {joined(*reachable(row))}",),
        )
        yield from _shared(jvm, row, there)
    if jvm.phase is Phase.ATTACHED and not listeners:
        yield attached(jvm, there, Severity.NOTE if port is None else Severity.PROBLEM)


def _shared(jvm: JVM, row: SocketRow, there: Debugging) -> Iterator[Finding]:
    """Somebody else has the same port at another address."""
    own = jvm.listeners(there.rows)
    for other in there.listening(row.local[1]):
        if other not in own and other.inode not in (jvm.sockets or ()):
            yield Finding(
                "debugger-port-shared",
                Severity.WARNING,
                f"Port {row.local[1]} belongs to {nameJVM(jvm)}, which waits for a debugger, at"
                f" {row.local[0]}, and to another program at {other.local[0]}.",
                (describeJVM(jvm), f"{joined(*other.local)} is {whoHas(other, there)}"),
                (
                    f"have the debugger attach to {joined(*reachable(row))}, and not to a name:"
                    " from the other program it hears 'handshake failed'",
                    "or give one of them another port",
                ),
                80,
            )
            return


def _aboutOthers(there: Debugging, port: int | None) -> Iterator[Finding]:
    """Those that whoever connects would be taken for the debugger of."""
    said: set[int] = set()
    for one in there.debuggers:
        for row in one.listeners(there.rows) if one.told.takesOne else ():
            if port in (None, row.local[1]) and row.inode not in said:
                said.add(row.inode)
                yield Finding(
                    "debugger-waits",
                    Severity.NOTE,
                    f"{_titled(one)} waits at {joined(*row.local)}.",
                    (str(one), OTHERS_NOT_CONNECTED),
                    (f"attach to {joined(*reachable(row))}",),
                )


def _titled(one: Debugged) -> str:
    title = one.told.title
    return title[0].upper() + title[1:]


def attached(jvm: JVM, there: Debugging, severity: Severity) -> Finding:
    """One debugger is there, and no other gets in."""
    connection = jvm.connection(there.rows)
    evidence = [describeJVM(jvm), f"it {jvm.phase.value} (the names of its threads)"]
    if connection is not None:
        evidence += _debuggerOf(connection, there)
    port = "" if jvm.jdwp.port is None else f" on port {jvm.jdwp.port}"
    again = "" if jvm.jdwp.port is not None else ", on another port each time (it was given none)"
    return Finding(
        "debugger-attached",
        severity,
        f"{nameJVM(jvm)} has a debugger already{port}, and listens for no other.",
        tuple(evidence),
        (f"disconnect that one; the JVM then listens again{again}",),
        85,
    )


def _debuggerOf(connection: SocketRow, there: Debugging) -> Iterator[str]:
    other = there.otherEnd(connection)
    holder = None if other is None else there.holders.get(other.inode)
    where = joined(*connection.remote)
    yield f"connected with {where}" + (f", which is {holder}" if holder is not None else "")


def _aboutClient(jvm: JVM, there: Debugging, port: int | None) -> Iterator[Finding]:
    address = joined(jvm.jdwp.host or "localhost", jvm.jdwp.port or 0)
    connection = jvm.connection(there.rows)
    if jvm.phase is Phase.LEFT:
        yield Finding(
            "debugger-left",
            Severity.WARNING,
            f"The debugger at {address} is gone; {nameJVM(jvm)} goes on without one, and none can"
            " attach to it any more.",
            (
                describeJVM(jvm),
                "server=n: it connected once, when it started; now its agent has no connection",
            ),
            (
                "start it anew from the IDE",
                "or with server=y,suspend=n,address=127.0.0.1:5005, which lets debuggers come and"
                " go",
                f"what it is at can be seen all the same: jstack {jvm.process.pid}",
            ),
            75,
        )
    elif jvm.phase is Phase.NOTHING and connection is not None:
        yield Finding(
            "debugger-silent",
            Severity.PROBLEM,
            f"{nameJVM(jvm)} has connected to {address}, and no debugger speaks there:"
            " it waits, and its program does not begin.",
            (describeJVM(jvm), *_debuggerOf(connection, there)),
            (
                "have the IDE listen there ('Listen to remote JVM'); what listens now is no"
                " debugger",
                "or change address= to where it listens",
                "where it ends with 'handshake failed - received >HTTP/1.1', that was a web server",
            ),
            95,
        )
    elif jvm.phase is Phase.ATTACHED:
        evidence = [] if connection is None else list(_debuggerOf(connection, there))
        yield Finding(
            "debugger-attached",
            Severity.NOTE,
            f"{nameJVM(jvm)} has its debugger at {address}.",
            (describeJVM(jvm), *evidence),
        )


def reachable(row: SocketRow) -> tuple[str, int]:
    """The address a client on this machine uses for a listener."""
    host = ip_address(row.local[0])
    if not host.is_unspecified:
        return row.local
    return ("127.0.0.1" if host.version == 4 or not row.v6only else "::1", row.local[1])


def whoHas(row: SocketRow, there: Debugging) -> str:
    """Name whoever has a socket."""
    holder = there.holders.get(row.inode)
    return f"a process of uid {row.uid}" if holder is None else str(holder)


def _isLoopback(row: SocketRow) -> bool:
    return ip_address(row.local[0]).is_loopback
