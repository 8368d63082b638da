"""Whether systemd starts, for whoever connects to a socket unit's port, something that serves."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from loopbackd.doctor.checks.units import evidenceOf, logOf, whyNot
from loopbackd.doctor.facts.attempt import Attempt
from loopbackd.doctor.facts.holder import Holders
from loopbackd.doctor.facts.keepers import Resting
from loopbackd.doctor.facts.sockets import Sockets
from loopbackd.doctor.finding import Finding, Severity
from loopbackd.hostport import joined
from loopbackd.loglines import escape


def checkActivation(
    there: Sockets, attempts: Sequence[Attempt], holders: Holders
) -> Iterator[Finding]:
    """
    Whether an attempt was lost since the service does not run that systemd has started for it.

    @param holders: by inode, as they were after the attempts.
    """
    for one in attempts:
        row = there.reachedAt(one.host)
        holder = None if row is None else holders.get(row.inode)
        if holder is None or not holder.isKept or holder.service is None:
            continue
        service, unit = holder.service, holder.socketUnit
        isLost = bool(one.ended) or one.accepted is False
        if unit is None or not isLost or one.greeting or service.active == "active":
            continue
        where = joined(one.host, one.port)
        yield Finding(
            "activation-fails",
            Severity.PROBLEM,
            f"systemd starts {service.name} for whoever connects to {where}, and it does not"
            f" serve: {escape(whyNot(service))}.",
            (f"{where} is {holder}", evidenceOf(service)),
            (logOf(service), f"then systemctl {service.option}restart {shlex.quote(unit.name)}"),
            92,
        )
        return


def checkResting(resting: Resting | None) -> Iterator[Finding]:
    """Whether an address where nobody listens is a socket unit's, and why that does not."""
    if resting is None or resting.unit.active == "active":
        return
    unit, service = resting.unit, resting.service
    start = f"systemctl {unit.option}start {shlex.quote(unit.name)}"
    if unit.active == "failed":
        state = f"has failed: {escape(whyNot(unit))}"
        remedy: tuple[str, ...] = (logOf(service or unit), f"then {start}")
    else:
        state = f"is not started ({escape(unit.active)})"
        remedy = (start,)
    told = (evidenceOf(unit), *([evidenceOf(service)] if service is not None else []))
    yield Finding(
        "socket-unit-rests",
        Severity.PROBLEM,
        f"{resting.where} is the address of systemd's {resting.socketUnit}, and that {state}.",
        told,
        remedy,
        85,
    )
