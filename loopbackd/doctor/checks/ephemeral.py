"""Whether the system's own use of ports is in the way."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from typing import Final

from loopbackd.doctor.facts.attempt import Attempt
from loopbackd.doctor.facts.ephemeral import Clients, Ephemeral
from loopbackd.doctor.facts.sockets import Sockets
from loopbackd.doctor.finding import Finding, Severity
from loopbackd.hostport import joined

_SCARCE: Final = 0.8
_WIDE: Final = (1024, 60999)
_DYNAMIC: Final = range(49152, 65536)
_HIDDEN: Final = "the kernel does not tell how many sockets go there"


def checkPortsLeft(
    there: Ephemeral, attempts: Sequence[Attempt], clients: Sequence[Clients]
) -> Iterator[Finding]:
    """
    Whether there is a port left for one more client.

    @param attempts: at addresses of this machine that are there.
    @param clients: that already go to them, as far as they were counted.
    """
    counted = {one.host: one for one in clients}
    for one in attempts:
        used = counted.get(one.host, Clients(one.host, one.port, {}))
        evidence = (
            f"to {joined(one.host, one.port)}: {used or _HIDDEN}",
            f"ip_local_port_range is {there.first} to {there.last}: {there.size} ports, without"
            " those of ip_local_reserved_ports",
            f"{there.waiting} sockets in all are in TIME_WAIT (sockstat)",
        )
        if one.error == errno.EADDRNOTAVAIL:
            yield Finding(
                "ports-exhausted",
                Severity.PROBLEM,
                f"This system has no port left for one more connection to"
                f" {joined(one.host, one.port)}.",
                (f"connecting: {one.reason}", *evidence),
                tuple(_widening(there, used)),
                96,
            )
            return
        if not one.error and len(used) > _SCARCE * there.size:
            yield Finding(
                "ports-scarce",
                Severity.WARNING,
                f"Of {there.size} ports for clients, {len(used)} are used for connections to"
                f" {joined(one.host, one.port)}.",
                evidence,
                tuple(_widening(there, used)),
                60,
            )
            return


def mayBeScarce(there: Ephemeral, attempts: Sequence[Attempt]) -> bool:
    """Whether it is worth the time to count who goes to where the attempts went."""
    isFailed = any(one.error == errno.EADDRNOTAVAIL for one in attempts)
    return isFailed or there.waiting + there.inUse > _SCARCE * there.size


def checkPort(there: Ephemeral, sockets: Sockets, attempts: Sequence[Attempt]) -> Iterator[Finding]:
    """
    What is special about a number as that of a server's port.

    @param attempts: at addresses of this machine.
    """
    port = sockets.port
    isNowhere = not sockets.missing and not sockets.listeners
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
    elif isNowhere and port in _DYNAMIC:
        yield Finding(
            "port-of-chance",
            Severity.NOTE,
            f"Port {port} is one of those that macOS and Windows, and programs that want just any,"
            " pick for a single run.",
            (f"{_DYNAMIC[0]} to {_DYNAMIC[-1]} are for that (RFC 6335)",),
            ("where a tool has told it, start that again, and take the port that it tells then",),
            20,
        )
    if isNowhere and port < there.unprivileged:
        yield Finding(
            "port-needs-privilege",
            Severity.NOTE,
            f"Only root, or who has CAP_NET_BIND_SERVICE, can listen on port {port}.",
            (f"ip_unprivileged_port_start is {there.unprivileged}",),
            (
                f"give the server a port from {there.unprivileged} on",
                "or have systemd listen for it (a socket unit)",
                f"as root, for everybody: sysctl -w net.ipv4.ip_unprivileged_port_start={port}",
            ),
            30,
        )
    if there.dropped and any(one.error == errno.ETIMEDOUT for one in attempts):
        yield Finding(
            "queues-overflowed",
            Severity.NOTE,
            f"Listeners on this machine have lost {there.dropped} connections; {there.overflows}"
            " times a queue was full.",
            (
                f"ListenOverflows is {there.overflows}, ListenDrops {there.dropped}"
                " (/proc/net/netstat, since the start)",
            ),
        )


def _widening(there: Ephemeral, used: Clients) -> Iterator[str]:
    yield "have clients keep their connections and use them again"
    first, last = min(there.first, _WIDE[0]), max(there.last, _WIDE[1])
    if (first, last) != (there.first, there.last):
        yield f"as root: sysctl -w net.ipv4.ip_local_port_range='{first} {last}'"
    if there.reuses == 0 and used.states.get("TIME_WAIT"):
        yield "as root: sysctl -w net.ipv4.tcp_tw_reuse=1"
    if there.reserved:
        ranges = ",".join(_written(one) for one in there.reserved)
        yield f"see whether all of ip_local_reserved_ports must be kept: {ranges}"


def _reserving(there: Ephemeral, port: int) -> str:
    return ",".join(_written(one) for one in (*there.reserved, (port, port)))


def _written(ports: tuple[int, int]) -> str:
    low, high = ports
    return f"{low}" if low == high else f"{low}-{high}"
