"""Why an address cannot be listened on: who is in the way, or what else (bind(2))."""

from __future__ import annotations

import errno
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from loopbackd.doctor.checks.holding import Looker, details, heldBy
from loopbackd.doctor.facts.holder import Holder, Holders
from loopbackd.doctor.facts.occupancy import Occupancy
from loopbackd.doctor.facts.sockets import Sockets, conflicts, isInTheWay, wantedAddress
from loopbackd.doctor.finding import Finding, Severity
from loopbackd.hostport import joined
from loopbackd.peer.sockdiag import SocketRow, TCPState

_MOST_SHOWN: Final = 8
_PASSES: Final = frozenset({"port-closing", "port-taken-unseen"})


@dataclass(frozen=True, slots=True)
class Taken:
    """
    Why an address cannot be listened on.

    @ivar kind: of the finding.
    @ivar state: what the address is: C{held by ...}, C{closing ...}.
    @ivar remedy: the best first.
    """

    kind: str
    state: str
    remedy: tuple[str, ...]
    evidence: tuple[str, ...] = ()

    def __str__(self) -> str:
        """In one line, for who could not listen."""
        return f"{self.state}; {', or '.join(self.remedy)}"

    def finding(self, where: str, severity: Severity = Severity.PROBLEM) -> Finding:
        """As a finding about that address."""
        return Finding(
            self.kind,
            severity,
            f"{where} cannot be listened on: it is {self.state}.",
            self.evidence,
            self.remedy,
            75,
        )


def taken(
    rows: Sequence[SocketRow], host: str, holders: Holders, looker: Looker, another: str
) -> Taken:
    """
    Say who is in the way of listening.

    @param rows: the sockets that have the port.
    @param host: where somebody wants to listen: an address, C{localhost}, or empty for everywhere.
    @param another: the remedy that leaves them alone: to choose another port, and how.
    """
    wanted = wantedAddress(host)
    there = [row for row in rows if conflicts(row, wanted)]
    there.sort(key=lambda row: row.local[0] != str(wanted))
    shown = _evidence(there, holders)
    for row in there:
        if row.state is TCPState.LISTEN:
            return _held("port-taken", "", row, holders, looker, another, shown)
    for row in there:
        if row.state is TCPState.CLOSE:
            before = "bound but not listening: "
            return _held("port-bound", before, row, holders, looker, another, shown)
    for row in there:
        if row.inode:
            holder = _holderOf(row, holders)
            who = str(holder) if holder.process else f"user {holder.user}"
            state = f"in use by an outgoing connection of {who} to {joined(*row.remote)}"
            return Taken("port-outgoing", state, ("wait until it ends", another), shown)
    if there:
        state = f"closing ({_closing(there)})"
        return Taken("port-closing", state, ("wait", another), shown)
    return Taken(
        "port-taken-unseen",
        "held by nobody that can be seen from here",
        (
            "it may be free by now, so try again",
            "look outside: a socket that is only bound (before Linux 6.8) does not show, nor does"
            " one of another system (Windows around WSL)",
            another,
        ),
    )


def refused(number: int, host: str, port: int, unprivileged: int, another: str) -> Taken:
    """
    Say why an address that nobody has cannot be listened on.

    @param number: the C{errno} of bind(2).
    @param unprivileged: the first port that needs no privilege.
    """
    if number == errno.EACCES and port < unprivileged:
        return Taken(
            "port-privileged",
            f"not yours: you may not use port {port}",
            (
                f"take one above {unprivileged - 1}",
                "let systemd open it (etc/loopbackd.socket)",
                f"as root: sysctl -w net.ipv4.ip_unprivileged_port_start={port}",
            ),
            (f"EACCES; ip_unprivileged_port_start is {unprivileged}",),
        )
    if number == errno.EACCES:
        state = f"forbidden: a security module keeps port {port} from this program"
        label = f"as root, where it is SELinux: semanage port -l | grep {port}"
        return Taken("port-forbidden", state, (another, label), ("EACCES",))
    if number == errno.EADDRNOTAVAIL:
        state = f"elsewhere: this machine does not have the address {host}"
        remedy = "choose one that it has: ip address"
        return Taken("address-not-here", state, (remedy,), ("EADDRNOTAVAIL",))
    if number == errno.EAFNOSUPPORT:
        state = "of a family that this system does without"
        return Taken("family-missing", state, ("listen on an IPv4 address",), ("EAFNOSUPPORT",))
    name = errno.errorcode.get(number, str(number))
    return Taken(
        "cannot-bind", f"refused by the kernel: {os.strerror(number)}", (another,), (name,)
    )


def anotherPort(free: int | None) -> str:
    """
    The remedy that leaves whoever has a port alone.

    @param free: one that nobody has, where that is known.
    """
    return f"use another port: {free} is free" if free else "use another port"


def checkTaken(
    there: Sockets, host: str, holders: Holders, looker: Looker, error: int, another: str
) -> Iterator[Finding]:
    """
    What is in the way of whoever wants to listen on a port where nobody does.

    @param there: sockets that have it, none of which listens.
    @param error: what binding said; 0 where it worked.
    """
    if not (error or there.bound):
        yield _lingering(there.port, there.rows, holders)
        return
    found = taken(there.rows, host, holders, looker, another)
    severity = Severity.NOTE if found.kind in _PASSES else Severity.WARNING
    yield found.finding(joined(host, there.port), severity)


def checkHolders(seen: Occupancy, looker: Looker) -> Iterator[Finding]:
    """Who has a port: each address of it that somebody has, or what else is in the way."""
    there, host, holders, another = seen.there, seen.host, seen.holders, anotherPort(seen.free)
    held = [row for row in (*there.listeners, *there.bound) if isInTheWay(row, host)]
    for row in held:
        yield taken([row], row.local[0], holders, looker, another).finding(joined(*row.local))
    if held:
        yield from _connections(there, host, holders)
        return
    kinds = set()
    for address, number in seen.errors.items():
        if number == errno.EADDRINUSE:
            found = taken(there.rows, address, holders, looker, another)
        elif number and (host or number == errno.EACCES):
            found = refused(number, address, there.port, seen.unprivileged, another)
        else:
            continue
        if found.kind not in kinds:
            kinds.add(found.kind)
            yield found.finding(joined(address, there.port), Severity.WARNING)
    rest = [row for row in there.rows if isInTheWay(row, host)]
    if rest and not kinds:
        yield _lingering(there.port, rest, holders)


def _lingering(port: int, rows: Sequence[SocketRow], holders: Holders) -> Finding:
    return Finding(
        "port-lingers",
        Severity.NOTE,
        f"Old connections still have port {port}; a server can listen there all the same if it sets"
        " SO_REUSEADDR, as most do.",
        _evidence(rows, holders),
    )


def _connections(there: Sockets, host: str, holders: Holders) -> Iterator[Finding]:
    open = [row for row in there.connected if isInTheWay(row, host)]
    if open:
        many = "1 connection is" if len(open) == 1 else f"{len(open)} connections are"
        yield Finding(
            "port-connections",
            Severity.NOTE,
            f"{many} open at port {there.port}; --free leaves the other ends alone.",
            _evidence(open, holders, _MOST_SHOWN),
        )


def _held(
    kind: str,
    before: str,
    row: SocketRow,
    holders: Holders,
    looker: Looker,
    another: str,
    shown: tuple[str, ...],
) -> Taken:
    holder = _holderOf(row, holders)
    who, remedy = heldBy(holder, looker, another, row.local[1])
    everywhere = row.local[0] in ("0.0.0.0", "::")
    where = f" on every address ({joined(*row.local)})" if everywhere else ""
    evidence = (*shown, *details(holder))
    return Taken(kind, f"{before}held{where} by {who}", tuple(remedy), evidence)


def _holderOf(row: SocketRow, holders: Holders) -> Holder:
    """A socket without an inode is no process's: one of the kernel's own."""
    return holders.get(row.inode) or Holder(row.uid, f"uid {row.uid}")


def _evidence(
    rows: Sequence[SocketRow], holders: Holders, most: int = _MOST_SHOWN
) -> tuple[str, ...]:
    lines = [_shown(row, holders) for row in rows[:most]]
    more = len(rows) - most
    return (*lines, f"and {more} more") if more > 0 else tuple(lines)


def _shown(row: SocketRow, holders: Holders) -> str:
    isOpen = row.state not in (TCPState.LISTEN, TCPState.CLOSE)
    other = f" with {joined(*row.remote)}" if isOpen else ""
    left = f", {math.ceil(row.expires)} s left" if row.state is TCPState.TIME_WAIT else ""
    who = f": {holders[row.inode]}" if row.inode in holders else ""
    return f"{joined(*row.local)} {row.state.name}{other}{left}{who}"


def _closing(rows: Sequence[SocketRow]) -> str:
    waiting = [row.expires for row in rows if row.state is TCPState.TIME_WAIT]
    if waiting:
        return f"TIME_WAIT, free in {math.ceil(max(waiting))} s"
    return ", ".join(sorted({row.state.name for row in rows}))
