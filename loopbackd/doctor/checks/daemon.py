"""Whether the daemon itself runs where it should, and whether it can be asked."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from loopbackd.doctor.checks.handshake import short, shownBytes
from loopbackd.doctor.facts.answer import Heard
from loopbackd.doctor.facts.control import ControlSeen
from loopbackd.doctor.facts.daemon import Daemon, PidFile
from loopbackd.doctor.facts.holder import Holder, isSystemd
from loopbackd.doctor.finding import Finding, Severity


def checkItsPort(
    there: Daemon, where: str, port: int, holder: Holder | None, isListening: bool
) -> Iterator[Finding]:
    """
    Whether its port is its own.

    @param holder: who listens there, if somebody does.
    @param isListening: whether somebody does.
    """
    isServed = there.control.serves(port)
    if not isListening:
        yield Finding(
            "daemon-not-running",
            Severity.PROBLEM,
            f"No loopbackd runs at {where}.",
            ("nobody listens there", *_others(there)),
            tuple(_starting(there, port)),
            95,
        )
    elif not isServed and _isStranger(there, holder):
        assert holder is not None and holder.process is not None
        yield Finding(
            "daemon-port-taken",
            Severity.PROBLEM,
            f"{where} is not loopbackd's: it is {holder}.",
            (f"pid {holder.process.pid} is no twistd that runs loopbackd", *_others(there)),
            (
                "start loopbackd on another port: twistd -n loopbackd --listen"
                " tcp:PORT:interface=127.0.0.1",
                f"or end that one: loopbackd port {port} --free",
            ),
            96,
        )
    elif there.control.services and not isServed:
        yield Finding(
            "control-of-another-daemon",
            Severity.WARNING,
            f"The control API at {there.control.where} is that of another loopbackd than the one"
            f" at {where}.",
            (f"it serves {_services(there.control)}", *_others(there)),
            (
                "ask the right one: --control (or LOOPBACKD_CONTROL)",
                "or stop the one that you do not mean",
            ),
        )


def _starting(there: Daemon, port: int) -> Iterator[str]:
    """How to have a daemon there; one that runs already has the control API's port."""
    if there.control.services:
        names = {one.name for one in there.control.services}
        name = next(one for one in ("auto", "here", f"port-{port}") if one not in names)
        yield f"have the one that runs listen there, too: loopbackd service add {name} -l {port}"
    if there.control.version:
        yield "start another beside it: twistd -n --pidfile= loopbackd --control off"
    else:
        yield "start it: twistd -n loopbackd"
    for unit in there.units:
        if unit.name == "loopbackd.socket":
            yield f"or: systemctl {unit.option}start {unit.name}"


def checkDaemon(there: Daemon) -> Iterator[Finding]:
    """Whether it can be asked, is of this version, and left nothing in the way."""
    yield from _control(there)
    if there.pidFile is not None:
        yield from _pidFile(there.pidFile)
    if len(there.running) > 1:
        yield Finding(
            "daemons-several",
            Severity.NOTE,
            f"{len(there.running)} daemons of loopbackd run on this machine.",
            tuple(f"pid {one.pid} ({one.command}), user {one.user}" for one in there.running),
        )


def _control(there: Daemon) -> Iterator[Finding]:
    seen = there.control
    found = seen.answer
    if seen.version and seen.version != there.installed:
        yield Finding(
            "daemon-other-version",
            Severity.WARNING,
            f"The loopbackd that runs is {short(seen.version)}; this command is of"
            f" {there.installed}.",
            (f"{seen.where}: Loopbackd-Version: {short(seen.version)}",),
            ("start it again",),
        )
    if seen.isRefused or (found is not None and seen.version and found.status == 403):
        why = seen.error if found is None else f"403: {shownBytes(found.body.strip(), 300)}"
        yield Finding(
            "control-forbidden",
            Severity.WARNING,
            f"The control API at {seen.where} is not for who asks.",
            (why,),
            (
                "ask as the daemon's own user, or as root",
                "or name yourself in the daemon's configuration: uids = [...] in [control]",
            ),
        )
    elif found is None:
        yield Finding(
            "control-unreachable",
            Severity.NOTE,
            "The control API does not answer.",
            (f"{seen.where}: {seen.error}",),
            ("it may be off (--control off), or somewhere else (LOOPBACKD_CONTROL)",),
        )
    elif found.heard in (Heard.NOTHING, Heard.PART):
        yield Finding(
            "control-silent",
            Severity.WARNING,
            f"Whoever listens at {seen.where} takes the connection and does not answer.",
            (f"GET /services: {found.seconds:.1f} s without an answer",),
            ("where that is loopbackd: it is stuck, see its log; or another program has the port",),
        )
    elif not seen.version:
        said = shownBytes(found.first, 100) if found.first else found.heard.name.lower()
        server = found.fields.get("server", "")
        yield Finding(
            "control-port-taken",
            Severity.WARNING,
            f"Whoever answers at {seen.where} is not loopbackd" + _orToxiproxy(found.body) + ".",
            (
                f"GET /services: {said}",
                *([f"Server: {short(server)}"] if server else []),
                "it has no Loopbackd-Version",
            ),
            (
                "stop that one, or have loopbackd's somewhere else: --control PORT",
                "say where it is: --control (or LOOPBACKD_CONTROL)",
            ),
        )


def _orToxiproxy(body: bytes) -> str:
    return ", but may be Toxiproxy" if body.startswith(b"404 page not found") else ""


def _pidFile(file: PidFile) -> Iterator[Finding]:
    remove = f"rm {shlex.quote(file.path)}"
    elsewhere = "or run twistd in another directory, or with --pidfile="
    if not file.pid and not file.isAlive:
        yield Finding(
            "pid-file-broken",
            Severity.PROBLEM,
            f"{file.path} has no number in it: twistd does not start in this directory.",
            ("twistd says: contains non-numeric value",),
            (remove, elsewhere),
            87,
        )
    elif not file.isAlive:
        yield Finding(
            "pid-file-left",
            Severity.WARNING,
            f"twistd.pid in this directory is of pid {file.pid}, which is gone.",
            ("the daemon was killed, or the machine was",),
            (f"twistd takes it away at its next start; or: {remove}",),
        )
    elif file.process is None or "twistd" not in file.process.command:
        who = "another user's process"
        if file.process is not None:
            who = f"{file.process.command}, of user {file.process.user}"
        yield Finding(
            "pid-file-of-another",
            Severity.PROBLEM,
            f"{file.path} is of pid {file.pid}, which is another program now: twistd does not start"
            " in this directory.",
            (f"pid {file.pid} is {who}", "twistd says: Another twistd server is running"),
            (remove, elsewhere),
            87,
        )


def _isStranger(there: Daemon, holder: Holder | None) -> bool:
    """Whether it is known that the port's holder is no daemon of ours, nor systemd for one."""
    if holder is None or holder.process is None:
        return False
    if holder.isSystemds or isSystemd(holder.process):
        return False
    known = {one.pid for one in there.running}
    return not known & {holder.process.pid, *holder.others}


def _others(there: Daemon) -> tuple[str, ...]:
    """Where there is a loopbackd all the same."""
    if not there.control.services:
        return ()
    return (f"one that runs ({there.control.where}) serves {_services(there.control)}",)


def _services(seen: ControlSeen) -> str:
    words = [
        f"{one.name} ({one.protocol}) on {', '.join(one.listening) or 'nothing'}"
        for one in seen.services
    ]
    return short("; ".join(words), 400)
