"""Whether systemd's units of loopbackd are as they should be."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from typing import Final

from loopbackd.doctor.facts.units import Unit
from loopbackd.doctor.finding import Finding, Severity
from loopbackd.loglines import escape

_STATUSES: Final = {
    200: "CHDIR: its directory is not there",
    203: "EXEC: the program in ExecStart= is not there, or cannot be run",
    217: "USER: its user is not there",
    226: "NAMESPACE: what it wants of its own cannot be made",
    238: "STATE_DIRECTORY: its directory cannot be made",
}
"""What systemd itself ends with before the program runs (systemd.exec(5))."""

_RESOURCES: Final = "an address in ListenStream= is taken, for one: loopbackd port 62893"


def checkUnits(units: Sequence[Unit]) -> Iterator[Finding]:
    """Whether one has failed, is started again and again, or is not what its file says."""
    for unit in units:
        said = (evidenceOf(unit),)
        log = logOf(unit)
        if unit.load not in ("loaded", "masked"):
            yield Finding(
                "unit-unusable",
                Severity.PROBLEM,
                f"systemd cannot use {_named(unit)}: {escape(unit.load)}.",
                said,
                (f"systemctl {unit.option}status {unit.name}", "systemd-analyze verify its file"),
                85,
            )
        elif unit.active == "failed":
            yield Finding(
                "unit-failed",
                Severity.PROBLEM,
                f"systemd's {_named(unit)} has failed: {escape(whyNot(unit))}.",
                said,
                (
                    log,
                    *([_RESOURCES] if unit.result == "resources" else []),
                    f"then systemctl {unit.option}restart {unit.name}",
                ),
                90,
            )
        elif unit.sub == "auto-restart":
            yield Finding(
                "unit-restarting",
                Severity.PROBLEM,
                f"systemd starts {_named(unit)} again and again: {escape(whyNot(unit))}.",
                said,
                (log,),
                88,
            )
        if unit.isChanged:
            yield Finding(
                "unit-changed",
                Severity.WARNING,
                f"The file of {_named(unit)} was changed, and systemd has not read it again.",
                said,
                (f"systemctl {unit.option}daemon-reload", f"then restart {unit.name}"),
            )


def logOf(unit: Unit) -> str:
    """The command that shows what it has said last."""
    return f"journalctl {unit.option}-u {shlex.quote(unit.name)} -n 50"


def _named(unit: Unit) -> str:
    return f"{'user ' if unit.isUsers else ''}unit {escape(unit.name)}"


def whyNot(unit: Unit) -> str:
    """Why it is not active, as systemd says it."""
    if unit.status in _STATUSES:
        return f"{unit.status}/{_STATUSES[unit.status]}"
    ended = f", its program ended with {unit.status}" if unit.status else ""
    return f"{unit.result or 'no reason is told'}{ended}"


def evidenceOf(unit: Unit) -> str:
    """What systemd says of it, on a line."""
    said = f"LoadState={unit.load} ActiveState={unit.active} SubState={unit.sub}"
    said += f" Result={unit.result} ExecMainStatus={unit.status} NRestarts={unit.restarts}"
    return escape(f"systemctl {unit.option}show {unit.name}: {said}")
