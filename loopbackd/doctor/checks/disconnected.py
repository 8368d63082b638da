"""What "Disconnected from the target VM" means, and how the JVM may have ended."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from loopbackd.doctor.asked import Asked
from loopbackd.doctor.checks.debuggers import describeJVM
from loopbackd.doctor.facts.crashes import Crash
from loopbackd.doctor.facts.debugging import Debugging
from loopbackd.doctor.facts.jvms import Phase
from loopbackd.doctor.finding import Finding, Severity

_LOWEST: Final = 32768
_RECENT: Final = 3600.0

EXITS: Final = {
    0: "it came to its end, or called System.exit(0): nothing is wrong; keep main() from returning",
    1: "an exception nobody caught, or no such main class: the lines before it say which",
    2: "the debugger's agent could not begin: 'connect failed', 'bind failed', 'handshake failed'",
    130: "somebody pressed Ctrl-C, or the IDE's stop button (SIGINT)",
    134: "the JVM crashed (SIGABRT): see hs_err_pid*.log in the directory where it ran",
    137: "it was killed (SIGKILL): by the kernel for want of memory, by a container, by somebody",
    143: "it was asked to end (SIGTERM): by an IDE, a build tool, a container or somebody",
}
"""The exit codes of JVMs, and what they mean."""


def looksPicked(port: int) -> bool:
    """
    Whether a port is of the kind that an IDE takes for one session with a JVM it starts: any free
    one, which systems take from 49152 to 65535, Linux from 32768 to 60999.
    """
    return port >= _LOWEST


def disconnected(
    asked: Asked,
    there: Debugging,
    crashes: Sequence[Crash] = (),
    killed: int | None = None,
) -> Finding:
    """
    Explain an IDE's "Disconnected from the target VM, address: '127.0.0.1:62893'".

    @param asked: the address in the message.
    @param crashes: files of JVMs that crashed.
    @param killed: how many processes the kernel has ended for want of memory, if it tells.
    """
    evidence = [
        "the IDE picked this port itself and listened on it; the JVM connected to it (server=n)"
        if looksPicked(asked.port)
        else "the JVM listened on this port, or the IDE did",
        "the message looks the same whether the JVM exited with 0, with 3, never found its main"
        " class, or was killed",
    ]
    evidence += [
        f"still running: {describeJVM(jvm)}; it {jvm.phase.value}"
        for jvm in there.jvms
        if jvm.jdwp.port == asked.port
    ]
    evidence += [f"{crash.path}: {crash.says} ({crash.when})" for crash in crashes]
    if killed:
        evidence.append(
            f"the kernel has ended {killed} processes for want of memory since it was started"
            " (/proc/vmstat)"
        )
    exits = [f"exit code {code}: {meaning}" for code, meaning in EXITS.items()]
    return Finding(
        "debugger-disconnected",
        Severity.NOTE,
        f"'Disconnected from the target VM, address: '{asked}'' says that the connection of IDE and"
        " JVM has ended, as it does whenever a program ends: the port is not at fault.",
        tuple(evidence),
        (
            "look at 'Process finished with exit code' in the IDE's console, and at what stands"
            " before it",
            *exits,
            "killed for want of memory? journalctl -k | grep -i 'killed process' (or dmesg)",
        ),
        40,
    )


def checkGone(there: Debugging, asked: Asked) -> Iterator[Finding]:
    """Whether the debugger's session that an address belonged to is over, with its JVM alive."""
    for jvm in there.jvms:
        if jvm.phase is Phase.LEFT and jvm.jdwp.port == asked.port:
            yield disconnected(asked, there)
            return


def checkCrashes(crashes: Sequence[Crash]) -> Iterator[Finding]:
    """Whether a JVM has crashed lately, of which its log tells."""
    for crash in crashes:
        isRecent = crash.age < _RECENT
        yield Finding(
            "jvm-crashed",
            Severity.WARNING if isRecent else Severity.NOTE,
            f"A JVM crashed: {crash.says}.",
            (f"{crash.path}, written {crash.when}", f"its pid was {crash.pid or 'not said'}"),
            (
                f"read its head, and 'Current thread' and 'Problematic frame': {crash.path}",
                "a native library or the JVM itself is at fault: update the JDK, or leave out the"
                " agent or library that the frame names",
            ),
            70,
        )
