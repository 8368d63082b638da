"""Whether the daemon itself runs, and is as it should be."""

from __future__ import annotations

from collections.abc import Iterator

from loopbackd.doctor.facts.daemon import Daemon
from loopbackd.doctor.facts.holder import Holder
from loopbackd.doctor.finding import Finding, Severity

_NAME = "loopbackd"


def checkPort(where: str, holder: Holder | None, isListening: bool) -> Iterator[Finding]:
    """
    Whether its port is its own.

    @param holder: who listens there, if somebody does.
    @param isListening: whether somebody does.
    """
    if not isListening:
        yield Finding(
            "daemon-not-running",
            Severity.PROBLEM,
            f"No loopbackd runs at {where}.",
            ("nobody listens there",),
            ("start it: twistd -n loopbackd", "or: systemctl start loopbackd.socket"),
            95,
        )
        return
    if holder is None or holder.process is None or holder.isSystemds:
        return
    if _NAME not in holder.process.command:
        yield Finding(
            "daemon-port-taken",
            Severity.PROBLEM,
            f"{where} is not loopbackd's: it is {holder}.",
            (f"the command of pid {holder.process.pid} does not name {_NAME}",),
            (
                "start loopbackd on another port: twistd -n loopbackd --listen"
                " tcp:PORT:interface=127.0.0.1",
                "or end that one: loopbackd port 62893 --free",
            ),
            96,
        )


def checkDaemon(there: Daemon) -> Iterator[Finding]:
    """Whether all that belongs to it is as it should be."""
    yield from _control(there)
    yield from _units(there)
    yield from _leftovers(there)
    yield from _authority(there)


def _control(there: Daemon) -> Iterator[Finding]:
    if there.version and there.version != there.installed:
        yield Finding(
            "daemon-other-version",
            Severity.WARNING,
            f"The loopbackd that runs is {there.version}; this command is of {there.installed}.",
            (f"{there.control}/openapi.json",),
            ("start it again",),
        )
    if there.silence:
        yield Finding(
            "control-unreachable",
            Severity.NOTE,
            "The control API does not answer.",
            (there.silence,),
            ("it may be off (--control off), or somewhere else (LOOPBACKD_CONTROL)",),
        )


def _units(there: Daemon) -> Iterator[Finding]:
    for name, state in there.units.items():
        yield Finding(
            "unit-failed",
            Severity.PROBLEM,
            f"systemd's unit {name} has failed: {state}.",
            (f"systemctl show {name}",),
            (f"journalctl -u {name.split()[-1]} -n 50", f"systemctl reset-failed {name}"),
            90,
        )


def _leftovers(there: Daemon) -> Iterator[Finding]:
    for cache in there.caches:
        if cache.isStale and cache.isFixed:
            yield Finding(
                "plugin-cache-stale",
                Severity.WARNING,
                "twistd remembers plugins from before: it may not know loopbackd.",
                (f"{cache.path} is older than the plugin, or does not name it",),
                (f"as the owner of that directory: rm {cache.path}, and then twistd --help",),
            )
    if there.deadPid:
        yield Finding(
            "pid-file-left",
            Severity.WARNING,
            f"twistd.pid in this directory is of pid {there.deadPid}, which is gone.",
            ("the daemon was killed, or the machine was",),
            ("twistd takes it away at its next start; or: rm twistd.pid",),
        )


def _authority(there: Daemon) -> Iterator[Finding]:
    for path, mode in there.exposed.items():
        yield Finding(
            "authority-exposed",
            Severity.PROBLEM,
            f"Others can get at the local authority: {path} has mode {mode:04o}.",
            ("its key signs certificates for this machine",),
            (
                f"chmod go= {path}",
                "if somebody may have had it: remove that directory, and trust a new authority",
            ),
            60,
        )
