"""
Whether a firewall is in the way, by what becomes of a connection.

Within one machine a connection to a port where nobody listens is refused at once, and one to a
port where somebody listens is taken at once, at least by the kernel.  Whatever else happens is a
rule's doing; whether somebody may read the rules or not.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from loopbackd.doctor.checks.allowing import allowing
from loopbackd.doctor.facts.attempt import PATIENCE, Attempt
from loopbackd.doctor.facts.interface import Interface
from loopbackd.doctor.facts.packets import Way
from loopbackd.doctor.facts.rules import Block, Rules, blocking
from loopbackd.doctor.facts.sockets import Sockets
from loopbackd.doctor.finding import Finding, Severity
from loopbackd.hostport import joined

_UNREACHABLE: Final = frozenset({errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENOPROTOOPT})
_FORBIDDEN: Final = frozenset({errno.EACCES, errno.EPERM})
_AT_ONCE: Final = 0.5
"""Seconds. IPv6 tells of a rule's refusal with the second packet alone, after one; who forbids
connect(2) itself does so at once."""

_LONGEST: Final = 300
DOES: Final = {
    "firewall-drops": "drops connections to",
    "firewall-rejects": "rejects connections to",
    "firewall-prohibits": "prohibits connections to",
    "firewall-redirects": "leads elsewhere what goes to",
}


def suspects(
    there: Sockets, attempts: Sequence[Attempt], lo: Interface, own: frozenset[str]
) -> list[Attempt]:
    """
    The attempts that a rule may explain; those at addresses of this machine nothing else explains.

    @param own: the addresses of this machine.
    """
    return [
        one
        for one in attempts
        if (lo.has(one.host) and _kind(one, there)) or (one.host not in own and _kindElsewhere(one))
    ]


def checkForbidden(attempts: Sequence[Attempt]) -> Iterator[Finding]:
    """Whether this program may not connect at all, whatever filters packets."""
    for one in attempts:
        if _isForbidden(one):
            yield Finding(
                "connect-forbidden",
                Severity.PROBLEM,
                f"This program may not connect to {joined(one.host, one.port)}.",
                (
                    f"{joined(one.host, one.port)}: {one.reason}, at once",
                    "filters of packets do not answer so: connect(2) itself is forbidden",
                ),
                (
                    "look at what confines it: a sandbox (seccomp, Landlock, bubblewrap), AppArmor"
                    " or SELinux (journalctl -k | grep -i denied), eBPF of a container or unit, a"
                    " route that prohibits (ip route get ADDRESS)",
                    "try the same from a plain terminal",
                ),
                88,
            )
            return


def checkFirewall(
    there: Sockets,
    suspected: Sequence[Attempt],
    ways: Mapping[str, Way],
    rules: Mapping[str, Rules],
) -> Iterator[Finding]:
    """
    What a rule does to a connection, and which rule it is, where that can be read.

    @param suspected: see L{suspects}; the first that a rule explains is told.
    @param ways: of each of their hosts.
    @param rules: for each of their hosts.
    """
    for one in suspected:
        way, read = ways[one.host], rules[one.host]
        blocks = blocking(read.chains, way)
        kind = _kind(one, there) if way.isWithin else _kindElsewhere(one)
        if way.isWithin and blocks and all(block.does == "redirect" for block in blocks):
            kind = "firewall-redirects"
        elif not way.isWithin and not any(block.isSure for block in blocks):
            continue
        yield Finding(
            kind,
            Severity.PROBLEM,
            f"A firewall {DOES[kind]} {joined(one.host, one.port)}.",
            (*_seen(one, there, way), *_read(blocks, read)),
            tuple(allowing(way, blocks, read)),
            88,
        )
        return


def _kind(one: Attempt, there: Sockets) -> str:
    """Of an attempt at an address of this machine."""
    reached = there.reachedAt(one.host)
    isFull = reached is not None and reached.received > reached.unsent
    if one.error == errno.ETIMEDOUT and not isFull:
        return "firewall-drops"
    if one.error == errno.ECONNREFUSED and reached is not None:
        return "firewall-rejects"
    return "firewall-prohibits" if _isProhibited(one) else ""


def _kindElsewhere(one: Attempt) -> str:
    """Of an attempt at another machine, which may have done it itself."""
    if one.error == errno.ETIMEDOUT:
        return "firewall-drops"
    if one.error == errno.ECONNREFUSED:
        return "firewall-rejects"
    return "firewall-prohibits" if _isProhibited(one) else ""


def _isProhibited(one: Attempt) -> bool:
    if one.error in _UNREACHABLE:
        return True
    return one.error == errno.EACCES and not _isForbidden(one)


def _isForbidden(one: Attempt) -> bool:
    isTold = one.error == errno.EACCES and ":" in one.host and one.seconds > _AT_ONCE
    return one.error in _FORBIDDEN and not isTold


def _seen(one: Attempt, there: Sockets, way: Way) -> Iterator[str]:
    where = joined(one.host, one.port)
    if one.error == errno.ETIMEDOUT:
        lo = "; the loopback interface is up" if way.isWithin else ""
        yield f"{where}: no answer in {PATIENCE} s{lo}"
    else:
        yield f"{where}: {one.reason}"
    reached = there.reachedAt(one.host) if way.isWithin else None
    if reached is not None:
        waiting = f"{reached.received} wait, its backlog is {reached.unsent}"
        yield f"{joined(*reached.local)} is listened on, and its queue is not full ({waiting})"
    elif way.isWithin:
        yield "nobody listens there, which alone would be a refusal"


def _read(blocks: Sequence[Block], rules: Rules) -> Iterator[str]:
    for one in blocks:
        text = one.text if len(one.text) <= _LONGEST else f"{one.text[:_LONGEST]}..."
        via = "" if one.chain is one.base else f" (reached from chain {one.base.name})"
        may = "" if one.isSure else ", which may apply"
        yield f"{one.base.program}: {one.chain}{via}: {text}{may}"
    if not blocks and not rules.missing and (rules.chains or not rules.failed):
        yield "no rule of nftables or iptables that was read does so"
    if rules.missing:
        yield rules.missing
    if not blocks:
        yield from rules.failed
