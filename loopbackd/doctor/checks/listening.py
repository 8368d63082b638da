"""Whether a connection gets to somebody: who listens, and where."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from ipaddress import ip_address
from typing import Final

from loopbackd.doctor.asked import Asked
from loopbackd.doctor.facts.attempt import Attempt
from loopbackd.doctor.facts.holder import Holders, nameOf
from loopbackd.doctor.facts.sockets import Sockets
from loopbackd.doctor.finding import Finding, Severity
from loopbackd.hostport import joined
from loopbackd.peer.sockdiag import LOOPBACK_INTERFACE, SocketRow

_LOOPBACK: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}
_FIRST_ONLY: Final = "some clients try the first address alone (Node.js before version 20)"


def checkListening(
    there: Sockets, attempts: Sequence[Attempt], holders: Holders, own: frozenset[str]
) -> Iterator[Finding]:
    """
    Whether anybody listens where the attempts went, and who, and where else.

    @param attempts: in the order in which a client tries the addresses of a name.
    @param own: the addresses of this machine.
    """
    if there.missing:
        yield _unseen(there)
        return
    refused = [one for one in attempts if one.error == errno.ECONNREFUSED]
    nowhere = [one for one in refused if one.host in own and not there.reachedAt(one.host)]
    if attempts and len(nowhere) == len(attempts):
        yield _elsewhere(there, nowhere, holders) if there.listeners else _nobody(there, nowhere)


def checkFamilies(asked: Asked, attempts: Sequence[Attempt], there: Sockets) -> Iterator[Finding]:
    """Whether it depends on the client which address of a name it gets, and so who answers."""
    if len(attempts) < 2 or all(one.error for one in attempts):
        return
    first = attempts[0]
    if first.error:
        works = next(one for one in attempts if not one.error)
        yield Finding(
            "first-address-refused",
            Severity.WARNING,
            f"{asked.host!r} leads to {first.host} first, where connecting fails;"
            f" at {works.host} it works.",
            (
                f"{joined(first.host, first.port)}: {first.reason}",
                f"{joined(works.host, works.port)}: connected",
                _FIRST_ONLY,
            ),
            (
                f"have the client use {joined(works.host, works.port)}",
                f"or have the server listen on {first.host} too",
            ),
        )
    reached = {row.inode: row for one in attempts if (row := there.reachedAt(one.host))}
    if len({row.uid for row in reached.values()}) > 1:
        yield Finding(
            "two-owners",
            Severity.WARNING,
            f"{asked.host!r} leads to servers of different users: which one answers depends on"
            " the client.",
            tuple(f"{joined(*row.local)}: uid {row.uid}" for row in reached.values()),
            ("have one server listen on both 127.0.0.1 and ::1, or use an address",),
        )


def checkShadows(
    there: Sockets, attempts: Sequence[Attempt], holders: Holders
) -> Iterator[Finding]:
    """Whether somebody who listens on all addresses does not get what comes to this one."""
    for one in attempts:
        reached = there.reachedAt(one.host)
        if reached is None or _isEverywhere(reached):
            continue
        for row in there.listeners:
            if row.interface:
                continue
            if _isEverywhere(row) and nameOf(row, holders) != nameOf(reached, holders):
                yield Finding(
                    "listener-shadowed",
                    Severity.WARNING,
                    f"Two servers listen on port {there.port}: at {one.host} you get"
                    f" {nameOf(reached, holders)}, and not {nameOf(row, holders)}.",
                    (
                        f"{joined(*reached.local)} is {nameOf(reached, holders)}",
                        f"{joined(*row.local)} is {nameOf(row, holders)}",
                        "the kernel gives a connection to the most specific address",
                    ),
                    ("stop the one that you do not mean, or give it another port",),
                    70,
                )
                return


def checkReach(
    there: Sockets, attempts: Sequence[Attempt], holders: Holders, own: frozenset[str]
) -> Iterator[Finding]:
    """Who it is that answers; and whether other machines can reach them as well."""
    for one in attempts:
        if one.error:
            continue
        row = there.reachedAt(one.host) if one.host in own else None
        if row is None:
            took = f"connecting took {one.seconds * 1000:.1f} ms"
            where = joined(one.host, one.port)
            yield Finding("answers", Severity.NOTE, f"{where} takes connections.", (took,))
            return
        yield Finding(
            "answers",
            Severity.NOTE,
            f"{joined(one.host, one.port)} is {nameOf(row, holders)}.",
            (f"listens on {joined(*row.local)}",),
        )
        if _isEverywhere(row):
            yield Finding(
                "listens-everywhere",
                Severity.NOTE,
                f"{nameOf(row, holders)} listens on all addresses: other machines may reach it.",
                (f"listens on {joined(*row.local)}",),
                ("where that is not meant, have it listen on 127.0.0.1",),
            )
        return


def _nobody(there: Sockets, refused: Sequence[Attempt]) -> Finding:
    places = " and ".join(joined(one.host, one.port) for one in refused)
    return Finding(
        "nothing-listens",
        Severity.PROBLEM,
        f"Nothing listens on {places}.",
        (
            *(f"{joined(one.host, one.port)}: {one.reason}" for one in refused),
            f"of the sockets with port {there.port} ({len(there.rows)}), none listens"
            if there.rows
            else f"no socket has port {there.port}",
        ),
        (
            "start the server; if it was just started, it may have died: look at its log",
            "or it has another port: loopbackd watch --once lists them all",
        ),
        80,
    )


def _elsewhere(there: Sockets, refused: Sequence[Attempt], holders: Holders) -> Finding:
    wanted = " and ".join(one.host for one in refused)
    rows = there.listeners
    places = " and ".join(dict.fromkeys(joined(*row.local) for row in rows))
    return Finding(
        "listens-elsewhere",
        Severity.PROBLEM,
        f"Port {there.port} is listened on at {places}, not at {wanted}.",
        (
            *(f"{joined(one.host, one.port)}: {one.reason}" for one in refused),
            *(f"{joined(*row.local)} is {nameOf(row, holders)}{_bound(row)}" for row in rows),
        ),
        (
            f"connect to {_connectable(rows[0])}",
            f"or have the server listen on {wanted}{_allAddresses(rows)}",
        ),
        90,
    )


def _bound(row: SocketRow) -> str:
    number = row.interface
    return f", bound to interface {number} (SO_BINDTODEVICE; see ip addr)" if number else ""


def _connectable(row: SocketRow) -> str:
    """Where a client gets that listener."""
    host, port = row.local
    if row.interface not in (0, LOOPBACK_INTERFACE) and _isEverywhere(row):
        return f"port {port} at an address of interface {row.interface}"
    return joined(_LOOPBACK.get(host, host), port)


def _allAddresses(rows: Sequence[SocketRow]) -> str:
    if any(row.local[0] == "::" and row.v6only for row in rows):
        return "; it listens on all of IPv6's addresses, without IPv4 (IPV6_V6ONLY)"
    return ""


def _unseen(there: Sockets) -> Finding:
    return Finding(
        "sockets-unseen",
        Severity.NOTE,
        "The kernel does not tell who listens here.",
        (f"sock_diag: {there.missing}",),
        ("look as root: ss -tlnp, or lsof -nP -iTCP -sTCP:LISTEN",),
    )


def _isEverywhere(row: SocketRow) -> bool:
    isOnlyHere = row.interface == LOOPBACK_INTERFACE
    return ip_address(row.local[0]).is_unspecified and not isOnlyHere
