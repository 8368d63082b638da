"""What a project and the environment tell JVMs about debuggers, before these are started."""

from __future__ import annotations

from collections.abc import Iterator

from loopbackd.debuggers.jdwp import VARIABLES
from loopbackd.doctor.checks.debuggers import nameJVM, whoHas
from loopbackd.doctor.facts.configured import Project, Told
from loopbackd.doctor.facts.debugging import Debugging
from loopbackd.doctor.finding import Finding, Severity


def checkOptions(project: Project, there: Debugging) -> Iterator[Finding]:
    """Whether the JVMs that are to be started would start, and meet their debuggers."""
    environment = [told for told in project.told if told.jdwp.source in VARIABLES]
    for told in project.told:
        jdwp = told.jdwp
        evidence = (f"{told.where}: {jdwp.option}",)
        if jdwp.error:
            yield Finding(
                "jdwp-option-wrong",
                Severity.PROBLEM,
                f"No JVM starts with what {told.where} tells {told.by}.",
                (*evidence, f"the JVM says: {jdwp.error}"),
                ("write -agentlib:jdwp=transport=dt_socket,server=y,suspend=n,address=PORT",),
                95,
            )
        elif jdwp.isListening and jdwp.isEverywhere(None):
            yield Finding(
                "debugger-everywhere",
                Severity.WARNING,
                f"What {told.where} tells {told.by} has JVMs wait for debuggers on all addresses:"
                " whoever reaches that port can run any code as you.",
                evidence,
                (f"write address=127.0.0.1:{jdwp.port or 'PORT'}",),
                80,
            )
        yield from _twice(told, environment)
        yield from _portOf(told, there)


def _twice(told: Told, environment: list[Told]) -> Iterator[Finding]:
    others = [one for one in environment if one is not told]
    if told.byIDE or others:
        by = "the IDE that debugs it" if told.byIDE else f"{others[0].where}"
        yield Finding(
            "jdwp-twice",
            Severity.WARNING if told.byIDE else Severity.PROBLEM,
            f"{told.by[0].upper()}{told.by[1:]} is told of a debugger by {told.where} and by {by}"
            " as well: no JVM starts that is told twice.",
            (
                f"{told.where}: {told.jdwp.option}",
                "the JVM says: Cannot load this JVM TI agent twice, check your java command line"
                " for duplicate jdwp options",
            ),
            (f"take -agentlib:jdwp out of {told.where}",),
            85,
        )


def _portOf(told: Told, there: Debugging) -> Iterator[Finding]:
    """Whether a JVM could have the port, or find somebody at it."""
    port = told.jdwp.port
    if port is None or told.jdwp.error or told.jdwp.transport != "dt_socket" or told.jdwp.late:
        return
    rows = there.listening(port)
    isLocal = told.jdwp.host in ("", "localhost", "127.0.0.1", "::1")
    if not told.jdwp.server and not rows and isLocal:
        yield Finding(
            "debugger-not-listening",
            Severity.WARNING,
            f"{told.where} has JVMs connect to a debugger at port {port}, where none listens: they"
            " end as soon as they start.",
            (
                f"{told.where}: {told.jdwp.option}",
                "such a JVM says: transport error 202: connect failed: Connection refused",
            ),
            ("start the debugger first, or write server=y,suspend=n",),
            80,
        )
    if not told.jdwp.server:
        return
    for row in rows:
        jvm = next((jvm for jvm in there.jvms if jvm.listeners((row,))), None)
        if jvm is not None and told.jdwp.source not in VARIABLES:
            continue  # that one was started so
        who = nameJVM(jvm) if jvm is not None else whoHas(row, there)
        yield Finding(
            "jdwp-port-taken",
            Severity.WARNING,
            f"{told.where} has JVMs wait for debuggers on port {port}, which {who} has: no other"
            " starts.",
            (
                f"{told.where}: {told.jdwp.option}",
                "such a JVM says: transport error 202: bind failed: Address already in use",
            ),
            (
                f"let the system choose a port: address=127.0.0.1:0 in {told.where}",
                "or tell only the one JVM that is to be debugged",
            ),
            80,
        )
        return
