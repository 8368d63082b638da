"""Why a port cannot be listened on: who is in the way (bind(2), C{EADDRINUSE})."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from loopbackd.doctor.asked import joined
from loopbackd.doctor.facts.holder import Holder, isSystemd
from loopbackd.doctor.facts.sockets import Sockets
from loopbackd.doctor.finding import Finding, Severity
from loopbackd.peer.sockdiag import SocketRow, TCPState

_NAMES: Final = {"": "0.0.0.0", "localhost": "127.0.0.1"}
_LIST: Final = "systemctl list-sockets"


@dataclass(frozen=True, slots=True)
class Looker:
    """Who looks, for what may be seen and ended."""

    uid: int
    pid: int


@dataclass(frozen=True, slots=True)
class Taken:
    """
    What is in the way of an address.

    @ivar kind: of the finding.
    @ivar state: what the address is: C{held by ...}, C{closing ...}.
    @ivar remedy: the best first; that of another address is the last.
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
    rows: Sequence[SocketRow],
    host: str,
    holders: Mapping[int, Holder],
    looker: Looker,
    another: str,
) -> Taken:
    """
    Say who is in the way of listening.

    @param rows: the sockets that have the port.
    @param host: where somebody wants to listen: an address, C{localhost}, or empty for everywhere.
    @param another: the remedy that leaves them alone: to choose another port, and how.
    """
    wanted = _address(host)
    there = [row for row in rows if _conflicts(row, wanted)]
    there.sort(key=lambda row: row.local[0] != str(wanted))
    shown = tuple(_shown(row, holders) for row in there)
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


def checkTaken(
    there: Sockets,
    host: str,
    holders: Mapping[int, Holder],
    looker: Looker,
    another: str,
) -> Iterator[Finding]:
    """Whether a port where nobody listens is in somebody's way all the same."""
    if there.rows and not there.listeners:
        found = taken(there.rows, host, holders, looker, another)
        passes = found.kind in ("port-closing", "port-taken-unseen")
        severity = Severity.NOTE if passes else Severity.WARNING
        yield found.finding(joined(host, there.port), severity)


def checkHolders(
    there: Sockets,
    host: str,
    holders: Mapping[int, Holder],
    looker: Looker,
    free: int | None,
) -> Iterator[Finding]:
    """
    Who has a port: each address of it that somebody has, or what else is in the way.

    @param host: the one address that matters; empty for all.
    @param free: the nearest port that nobody has.
    """
    another = f"use another port: {free} is free" if free else "use another port"
    held = [row for row in (*there.listeners, *there.bound) if host in ("", row.local[0])]
    for row in held:
        yield taken([row], row.local[0], holders, looker, another).finding(joined(*row.local))
    if not held and there.rows:
        where = host or "0.0.0.0"
        found = taken(there.rows, where, holders, looker, another)
        if found.kind != "port-taken-unseen":
            yield found.finding(f"port {there.port}", Severity.WARNING)


def heldBy(holder: Holder, looker: Looker, another: str) -> tuple[str, tuple[str, ...]]:
    """Who has a socket, behind C{held by}; and what to do about that."""
    process = holder.process
    if process is None:
        return _unseen(holder, looker, another)
    if process.pid == looker.pid:
        who = f"this very process (pid {process.pid})"
        return who, (f"two services want one address: {another}",)
    if isSystemd(process):
        option = "" if process.pid == 1 else "--user "
        stop = f"stop the socket unit that it keeps it for: systemctl {option}list-sockets"
        return f"systemd (pid {process.pid})", (stop, another)
    if holder.isSystemds:
        stop = f"stop the socket unit, since systemd would start it again: {_LIST}"
        return f"{holder}, started by systemd", (stop, another)
    return str(holder), (*_endings(holder), another)


def _endings(holder: Holder) -> tuple[str, ...]:
    """How to end somebody, the best way first."""
    process = holder.process
    assert process is not None
    if holder.stopping:
        return (f"stop what it belongs to: {holder.stopping}",)
    if holder.forwards:
        return ("end what it forwards to: the server is behind it", f"stop it: kill {process.pid}")
    return (f"stop it: kill {process.pid}",)


def _unseen(holder: Holder, looker: Looker, another: str) -> tuple[str, tuple[str, ...]]:
    unit = holder.belonging.unit
    if looker.uid not in (0, holder.uid):
        of = f", unit {unit}" if unit else ""
        isSystemds = holder.uid == 0 and not unit
        list = (f"see whether systemd keeps it for a service: {_LIST}",) if isSystemds else ()
        see = ("run as root to see the process", *list)
        return f"another user ({holder.user}{of})", (*see, another)
    return (
        f"a process of user {holder.user} that does not show itself",
        ("look in containers, and for what the kernel itself does (NFS)", another),
    )


def _held(
    kind: str,
    before: str,
    row: SocketRow,
    holders: Mapping[int, Holder],
    looker: Looker,
    another: str,
    shown: tuple[str, ...],
) -> Taken:
    who, remedy = heldBy(_holderOf(row, holders), looker, another)
    everywhere = row.local[0] in ("0.0.0.0", "::")
    where = f" on every address ({joined(*row.local)})" if everywhere else ""
    return Taken(kind, f"{before}held{where} by {who}", remedy, shown)


def _holderOf(row: SocketRow, holders: Mapping[int, Holder]) -> Holder:
    """A socket without an inode is no process's: one of the kernel's own."""
    return holders.get(row.inode) or Holder(row.uid, f"uid {row.uid}")


def _shown(row: SocketRow, holders: Mapping[int, Holder]) -> str:
    who = f": {holders[row.inode]}" if row.inode in holders else ""
    left = f", {math.ceil(row.expires)} s left" if row.state is TCPState.TIME_WAIT else ""
    return f"{joined(*row.local)} {row.state.name}{left}{who}"


def _closing(rows: Sequence[SocketRow]) -> str:
    waiting = [row.expires for row in rows if row.state is TCPState.TIME_WAIT]
    if waiting:
        return f"TIME_WAIT, free in {math.ceil(max(waiting))} s"
    return ", ".join(sorted({row.state.name for row in rows}))


def _conflicts(row: SocketRow, wanted: IPv4Address | IPv6Address | None) -> bool:
    held = ip_address(row.local[0])
    if wanted is None or held == wanted:
        return True
    if held.version == wanted.version:
        return held.is_unspecified or wanted.is_unspecified
    if held.version == 6:
        return held.is_unspecified and not row.v6only
    return wanted.is_unspecified  # "::" asks for IPv4 as well


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        found = ip_address(_NAMES.get(host, host))
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return mapped or found
