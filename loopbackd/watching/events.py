"""What the watch tells: one event for each thing that is new, in a form that stays as it is."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from loopbackd.doctor.finding import Finding, Severity
from loopbackd.peer.process import userName
from loopbackd.watching.listeners import Place
from loopbackd.watching.programs import Program
from loopbackd.watchsettings import Kind

NOTES: Final = frozenset({"listener-new", "listener-back", "listener-gone"})
"""What is told in passing; everything else is suspicious."""

_LEARN: Final = (
    "if it is meant to be so: loopbackd watch --once --learn,"
    " or [[watch.allow]] in the configuration"
)
_REMEDIES: Final[dict[str, tuple[str, ...]]] = {
    "all-addresses": ("have it listen on 127.0.0.1 alone",),
    "other-address": ("have it listen on 127.0.0.1 alone",),
    "browser-at-debugger": ("web pages can reach what a browser can: end the debugged program",),
}


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """
    Something that is new.

    @ivar time: seconds since the epoch.
    @ivar kind: what happened.
    @ivar severity: C{warning} for what is suspicious, C{note} for the rest.
    @ivar says: the same in one sentence, safe to show.
    @ivar host: the IP address it is about; C{null} for none, or several.
    @ivar port: the port it is about.
    @ivar uid: whose the socket is; C{null} where nobody knows any more.
    @ivar user: their name.
    @ivar pid: the process that has it open; C{null} where it cannot be seen.
    @ivar command: its command line, at most 200 characters.
    @ivar program: its executable.
    @ivar ports: of a port scan, the ports that were touched.
    """

    time: float
    kind: Kind
    severity: Literal["warning", "note"]
    says: str
    host: str | None = None
    port: int | None = None
    uid: int | None = None
    user: str | None = None
    pid: int | None = None
    command: str | None = None
    program: str | None = None
    ports: tuple[int, ...] = ()

    @property
    def isWarning(self) -> bool:
        """Whether it is suspicious."""
        return self.severity == "warning"


def eventOf(
    kind: Kind,
    says: str,
    now: float,
    *,
    place: Place | None = None,
    uid: int | None = None,
    program: Program | None = None,
    ports: tuple[int, ...] = (),
) -> Event:
    """
    An event.

    @param place: the listener it is about.
    @param uid: the user it is about, if there is no listener.
    @param program: who does it, where that can be seen.
    """
    whose = place.uid if place is not None and uid is None else uid
    return Event(
        time=now,
        kind=kind,
        severity="note" if kind in NOTES else "warning",
        says=says,
        host=None if place is None else place.host,
        port=None if place is None else place.port,
        uid=whose,
        user=None if whose is None else userName(whose),
        pid=None if program is None else program.pid,
        command=None if program is None else program.command,
        program=None if program is None or not program.path else program.path,
        ports=ports,
    )


def named(uid: int | None, program: Program | None) -> str:
    """Who it is, as far as that is known."""
    if program is not None:
        return f"pid {program.pid} ({program.command}), user {program.user}"
    return "somebody whose sockets are closed already" if uid is None else f"user {userName(uid)}"


def asFinding(event: Event) -> Finding:
    """The same as the doctor would say it."""
    facts = (
        ("address", None if event.host is None else f"{event.host} port {event.port}"),
        ("user", None if event.uid is None else f"{event.user} (uid {event.uid})"),
        ("pid", event.pid),
        ("command", event.command),
        ("program", event.program),
        ("ports", ", ".join(map(str, event.ports))),
    )
    evidence = tuple(f"{name}: {value}" for name, value in facts if value not in (None, ""))
    severity = Severity.WARNING if event.isWarning else Severity.NOTE
    remedy = (*_REMEDIES.get(event.kind, ()), _LEARN) if event.isWarning else ()
    return Finding(event.kind, severity, event.says, evidence, remedy)
