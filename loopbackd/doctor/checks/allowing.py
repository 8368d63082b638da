"""The commands that would let a connection through, for the firewall that keeps it out."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from typing import Final

from loopbackd.doctor.facts.packets import Way
from loopbackd.doctor.facts.rules import Block, Chain, Rules

AS_ROOT: Final = "as root: "
"""What is before a command."""

_WAY_OUT: Final = frozenset({"output", "postrouting", "egress"})
_BOTH: Final = 2


def allowing(way: Way, blocks: Sequence[Block], rules: Rules) -> Iterator[str]:
    """
    What to do, the best first.

    @param blocks: what keeps it out; none where that is not known.
    """
    yield from _byManager(way, blocks, rules)
    if blocks:
        commands = [command for one in blocks for command in _accepting(one, way)]
        yield AS_ROOT + " && ".join(dict.fromkeys(commands))
        yield (
            "to keep it, write it where the rules come from (/etc/nftables.conf,"
            " iptables-save); or take the rule above out of there"
        )
        return
    if rules.missing:
        yield "run this as root: it shows the rule itself"
    if "nft" in rules.inUse:
        rule = f"iifname lo tcp dport {way.port} accept" if way.isWithin else "... accept"
        yield (
            f"{AS_ROOT}nft list ruleset, and in the chain that does it:"
            f" nft insert rule FAMILY TABLE CHAIN {rule}"
        )
    if "iptables" in rules.inUse and way.isWithin:
        program = "ip6tables" if ":" in way.host else "iptables"
        yield f"{AS_ROOT}{program} -I INPUT -i lo -p tcp --dport {way.port} -j ACCEPT"
    yield (
        "or something else keeps it out: IPAddressDeny= of a systemd unit, eBPF, a container's"
        " network, an application firewall"
    )


def _byManager(way: Way, blocks: Sequence[Block], rules: Rules) -> Iterator[str]:
    """With those who write the rules for their users, since they write them again."""
    port = way.port
    if "firewalld" in rules.inUse:
        tables = {one.base.table for one in blocks}
        if any("firewalld_policy_drop" in table for table in tables):
            yield f"{AS_ROOT}firewall-cmd --panic-off"
        elif not blocks or any("firewalld" in table for table in tables):
            yield f"{AS_ROOT}firewall-cmd --add-port={port}/tcp"
    if "ufw" in rules.inUse:
        isUfws = any(one.chain.name.startswith(("ufw-", "ufw6-")) for one in blocks)
        if isUfws and way.isWithin:
            yield f"{AS_ROOT}ufw prepend allow in on lo to any port {port} proto tcp"
        elif isUfws:
            yield f"{AS_ROOT}ufw prepend allow out to {way.host} port {port} proto tcp"
        elif not blocks:
            yield f"{AS_ROOT}ufw allow in on lo to any port {port} proto tcp"
        elif any(one.isPolicy and one.base.program != "nft" for one in blocks):
            # Its policies, without its rules: somebody has flushed them.
            yield f"{AS_ROOT}ufw reload"


def _accepting(block: Block, way: Way) -> Iterator[str]:
    """Rules in front of all others of the chain where packets come in."""
    base = block.base
    if base.program == "nft":
        place = " ".join(shlex.quote(word) for word in (*base.table.split(" ", 1), base.name))
        for words in _ofNft(block, way):
            yield f"nft insert rule {place} {words} accept"
    else:
        table = "" if base.table == "filter" else f" -t {base.table}"
        for words in _ofIptables(block, way):
            yield f"{base.program}{table} -I {shlex.quote(base.name)} {words} -j ACCEPT"


def _ofNft(block: Block, way: Way) -> Iterator[str]:
    side, header = _side(block.base), "ip6" if ":" in way.host else "ip"
    interface = f"{side}ifname {shlex.quote(way.interface)}" if way.interface else ""
    if block.base.hook in ("ingress", "egress"):
        interface = ""
    if way.isWithin and len(block.legs) == _BOTH and interface:
        yield interface
        return
    if "asking" in block.legs:
        to = "" if way.isWithin else f"{header} daddr {way.host}"
        yield _joined(interface, to, f"tcp dport {way.port}")
    if "answering" in block.legs:
        of = "" if way.isWithin else f"{header} saddr {way.host}"
        yield _joined(interface, of, f"tcp sport {way.port}")


def _ofIptables(block: Block, way: Way) -> Iterator[str]:
    option = "-o" if _side(block.base) == "o" else "-i"
    interface = f"{option} {shlex.quote(way.interface)}" if way.interface else ""
    if way.isWithin and len(block.legs) == _BOTH:
        yield interface
        return
    if "asking" in block.legs:
        to = "" if way.isWithin else f"-d {way.host}"
        yield _joined(interface, to, f"-p tcp --dport {way.port}")
    if "answering" in block.legs:
        of = "" if way.isWithin else f"-s {way.host}"
        yield _joined(interface, of, f"-p tcp --sport {way.port}")


def _side(base: Chain) -> str:
    return "o" if base.hook in _WAY_OUT else "i"


def _joined(*words: str) -> str:
    return " ".join(word for word in words if word)
