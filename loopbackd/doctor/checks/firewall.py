"""
Whether a firewall is in the way, by what becomes of a connection.

On one machine a connection to a port where nobody listens is refused at once, and one to a port
where somebody listens is taken at once: whatever else happens is a rule's doing.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from typing import Final

from loopbackd.doctor.asked import joined
from loopbackd.doctor.facts.attempt import PATIENCE, Attempt
from loopbackd.doctor.facts.interface import Interface
from loopbackd.doctor.facts.rules import Block, Rules, blocking
from loopbackd.doctor.facts.sockets import Sockets
from loopbackd.doctor.finding import Finding, Severity

_PROHIBITED: Final = frozenset(
    {errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EACCES, errno.EPERM, errno.ENOPROTOOPT}
)


def suspects(there: Sockets, attempts: Sequence[Attempt], lo: Interface) -> list[Attempt]:
    """The attempts, at addresses of this machine, that only a rule explains."""
    return [one for one in attempts if lo.isUp is not False and _kind(one, there)]


def checkFirewall(there: Sockets, suspected: Sequence[Attempt], rules: Rules) -> Iterator[Finding]:
    """
    What a rule does to a connection, and which rule it is, where that can be read.

    @param suspected: see L{suspects}.
    """
    for one in suspected:
        kind = _kind(one, there)
        block = blocking(rules.chains)
        yield Finding(
            kind,
            Severity.PROBLEM,
            f"A firewall {DOES[kind]} connections to {joined(one.host, one.port)}.",
            (*_seen(one, there), *_rule(block, rules)),
            tuple(_allowing(one, block, rules)),
            88,
        )
        return


DOES: Final = {
    "firewall-drops": "drops",
    "firewall-rejects": "rejects",
    "firewall-prohibits": "prohibits",
}


def _kind(one: Attempt, there: Sockets) -> str:
    reached = there.reachedAt(one.host)
    isFull = reached is not None and reached.received > reached.unsent
    if one.error == errno.ETIMEDOUT and not isFull:
        return "firewall-drops"
    if one.error == errno.ECONNREFUSED and reached is not None:
        return "firewall-rejects"
    return "firewall-prohibits" if one.error in _PROHIBITED else ""


def _seen(one: Attempt, there: Sockets) -> tuple[str, ...]:
    reached = there.reachedAt(one.host)
    where = joined(one.host, one.port)
    if one.error == errno.ETIMEDOUT:
        what = f"{where}: no answer in {PATIENCE} s; the loopback interface is up"
    else:
        what = f"{where}: {one.reason}"
    if reached is None:
        return what, "nobody listens there, which alone would be a refusal"
    return what, f"{joined(*reached.local)} is listened on, and its queue is not full"


def _rule(block: Block | None, rules: Rules) -> tuple[str, ...]:
    if block is None:
        return (rules.missing or "no rule of nftables or iptables was found that does so",)
    may = "" if block.isSure else ", which may apply"
    where = f"table {block.chain.table}, chain {block.chain.name}"
    return (f"{block.chain.program}: {where}: {block.text}{may}",)


def _allowing(one: Attempt, block: Block | None, rules: Rules) -> Iterator[str]:
    """The rules that would let it through, for what keeps it out."""
    port = one.port
    isIPv6 = ":" in one.host
    table = block.chain.table if block else ""
    if "firewall-cmd" in rules.programs and (not block or table == "inet firewalld"):
        yield f"firewalld: firewall-cmd --add-port={port}/tcp"
    if "ufw" in rules.programs and (not block or block.chain.name.startswith("ufw")):
        yield f"ufw: ufw allow in on lo to any port {port} proto tcp"
    if block is not None and block.chain.program == "nft":
        way = "iifname" if block.chain.hook == "input" else "oifname"
        chain = f"{block.chain.table} {block.chain.name}"
        what = "" if block.isPolicy else f" tcp dport {port}"
        yield f"as root: nft insert rule {chain} {way} lo{what} accept"
    elif block is not None or "iptables" in rules.programs:
        program = "ip6tables" if isIPv6 else "iptables"
        chain, way = ("OUTPUT", "-o") if block and block.chain.hook == "output" else ("INPUT", "-i")
        legacy = f"{program}-legacy" if block else program
        what = "" if block and block.isPolicy else f" -p tcp --dport {port}"
        yield f"as root: {legacy} -I {chain} {way} lo{what} -j ACCEPT"
    elif "nft" in rules.programs:
        yield (
            f"as root: nft list ruleset, and in the chain that does it:"
            f" nft insert rule FAMILY TABLE CHAIN iifname lo tcp dport {port} accept"
        )
    if rules.missing:
        yield "run this as root: it shows the rule itself"
    if block is None:
        yield "or something else that filters: a security module, a service mesh, eBPF"
