"""Whether the system's own use of ports is in the way."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence

from loopbackd.doctor.facts.attempt import Attempt
from loopbackd.doctor.facts.ephemeral import Ephemeral
from loopbackd.doctor.finding import Finding, Severity


def checkEphemeral(there: Ephemeral, port: int, attempts: Sequence[Attempt]) -> Iterator[Finding]:
    """Whether clients may get a server's port, and whether there are any left for them."""
    size = there.last - there.first + 1
    if any(one.error == errno.EADDRNOTAVAIL for one in attempts):
        yield Finding(
            "ports-exhausted",
            Severity.PROBLEM,
            "This system has no port left for one more connection to there.",
            (
                f"connecting: {errno.errorcode[errno.EADDRNOTAVAIL]}",
                f"ip_local_port_range is {there.first} to {there.last}: {size} ports",
                f"{there.waiting} sockets are in TIME_WAIT (sockstat)",
            ),
            (
                "have clients keep their connections and use them again",
                f"as root: sysctl -w net.ipv4.ip_local_port_range='1024 {there.last}'",
            ),
            96,
        )
    if there.handsOut(port):
        yield Finding(
            "port-in-ephemeral-range",
            Severity.NOTE,
            f"This system hands port {port} out to clients: a server may find it taken.",
            (f"ip_local_port_range is {there.first} to {there.last}",),
            (
                f"as root: sysctl -w net.ipv4.ip_local_reserved_ports={_reserving(there, port)}",
                f"or give the server a port below {there.first}",
            ),
        )
    if there.overflows and any(one.error == errno.ETIMEDOUT for one in attempts):
        yield Finding(
            "queues-overflowed",
            Severity.NOTE,
            f"Queues of listeners were full {there.overflows} times since the machine was started.",
            ("ListenOverflows of TcpExt (netstat)",),
        )


def _reserving(there: Ephemeral, port: int) -> str:
    ranges = [*there.reserved, (port, port)]
    return ",".join(f"{low}" if low == high else f"{low}-{high}" for low, high in ranges)
