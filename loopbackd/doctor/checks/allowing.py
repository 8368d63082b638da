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
_FIREWALLD: Final = "inet firewalld"
_PANIC: Final = "inet firewalld_policy_drop"
_UFWS: Final = ("ufw-", "ufw6-")


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
            "or with nft, as root: look for the chain that does it (nft list ruleset), and"
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
    if "firewalld" in rules.inUse:
        yield from _byFirewalld(way, blocks)
    if "ufw" in rules.inUse:
        yield from _byUfw(way, blocks)


def _byFirewalld(way: Way, blocks: Sequence[Block]) -> Iterator[str]:
    # By itself it lets through whatever goes over lo, but in its panic mode.
    if not blocks or any(one.base.table == _PANIC for one in blocks):
        yield f"{AS_ROOT}firewall-cmd --panic-off"
    elif all(one.base.table == _FIREWALLD for one in blocks) and way.isWithin:
        yield f"{AS_ROOT}firewall-cmd --reload"
    elif all(_isOfFilter(one.base) for one in blocks):
        version = "ipv6" if ":" in way.host else "ipv4"
        direct = f"firewall-cmd --direct --add-rule {version} filter"
        yield AS_ROOT + " && ".join(
            f"{direct} {shlex.quote(one.base.name)} -1 {words} -j ACCEPT"
            for one in blocks
            for words in _ofIptables(one, way)
        )


def _byUfw(way: Way, blocks: Sequence[Block]) -> Iterator[str]:
    if not all(_isOfFilter(one.base) for one in blocks):
        return
    if any(not _leadsTo(one.base, _UFWS) for one in blocks):
        # Its policies without its rules: they were flushed, and it does not see that.
        yield f"{AS_ROOT}/usr/lib/ufw/ufw-init flush-all && ufw reload"
        return
    ways = dict.fromkeys("out" if _side(one.base) == "o" else "in" for one in blocks) or ("in",)
    to = "any" if way.isWithin else way.host
    interface = f" on {shlex.quote(way.interface)}" if way.interface else ""
    yield AS_ROOT + " && ".join(
        f"ufw prepend allow {one}{interface} to {to} port {way.port} proto tcp" for one in ways
    )


def _isOfFilter(base: Chain) -> bool:
    return base.program != "nft" and base.table == "filter"


def _leadsTo(base: Chain, names: tuple[str, ...]) -> bool:
    return any(rule.target.startswith(names) for rule in base.rules)


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
