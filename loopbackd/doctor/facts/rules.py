"""
The rules of a firewall as values, and what they do to the packets of a connection.

A rule applies, does not, or may: what is not understood is taken for possible, and said to be so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

from loopbackd.doctor.facts.packets import EPHEMERAL, HOOKS, Leg, Packet, Value, Way, packets

_DEEPEST: Final = 16
_MOST_STEPS: Final = 100_000
_ENDING: Final = frozenset({"drop", "reject", "redirect", "queue"})
_PORTS: Final = frozenset({"sport", "dport"})
_WAY_OUT: Final = frozenset({"output", "postrouting"})


@dataclass(frozen=True, slots=True)
class Flags:
    """TCP flags: of those in C{mask}, these and no others are set."""

    mask: frozenset[str]
    wanted: frozenset[str]


Pattern = str | int | range | IPv4Network | IPv6Network | Flags | None
"""What a value can be compared with; text may end in C{*}. L{None} is not understood."""


@dataclass(frozen=True, slots=True)
class Condition:
    """
    Something a rule asks.

    @ivar names: of the facts of a packet; empty where it is not understood.
    @ivar patterns: one of them fits, each with as many parts as there are names.
    @ivar isNot: none of them fits.
    """

    names: tuple[str, ...] = ()
    patterns: tuple[tuple[Pattern, ...], ...] = ()
    isNot: bool = False

    def holds(self, facts: Mapping[str, Value]) -> bool | None:
        """Whether it is so; L{None} where that is not known."""
        if not self.names:
            return None
        values = [(name, facts.get(name)) for name in self.names]
        found: bool | None = False
        for patterns in self.patterns:
            one = _all(
                _fits(name, value, pattern)
                for (name, value), pattern in zip(values, patterns, strict=False)
            )
            if one is True:
                found = True
                break
            found = None if one is None else found
        return found if found is None else found is not self.isNot


UNKNOWN: Final = Condition()
NEVER: Final = Condition(("protocol",), ())


@dataclass(frozen=True, slots=True)
class Rule:
    """
    One rule.

    @ivar text: as people write it.
    @ivar conditions: all of them must hold.
    @ivar verdict: C{accept}, C{drop}, C{reject}, C{return}, C{redirect} to another address or port,
        C{queue} to a program; empty for none of these.
    @ivar target: the chain it leads to; empty for none.
    @ivar isGoto: it does not come back from there.
    """

    text: str
    conditions: tuple[Condition, ...] = ()
    verdict: str = ""
    target: str = ""
    isGoto: bool = False


@dataclass(frozen=True, slots=True)
class Chain:
    """
    A chain of rules.

    @ivar program: that changes it: C{nft}, or of iptables the very one.
    @ivar table: with its family for nft, as C{inet filter}.
    @ivar hook: where packets come to it by themselves; else empty.
    @ivar policy: what becomes of those that no rule decides.
    @ivar priority: of those at one hook, the smallest is asked first.
    @ivar isNat: packets come there only where connections are tracked, and the first of each alone.
    """

    program: str
    table: str
    name: str
    rules: tuple[Rule, ...] = ()
    hook: str = ""
    policy: str = "accept"
    priority: int = 0
    isNat: bool = False

    def __str__(self) -> str:
        """Where it is, in words."""
        return f"table {self.table}, chain {self.name}"


@dataclass(frozen=True, slots=True)
class Block:
    """
    What keeps packets from where they should go.

    @ivar base: the chain where they came in.
    @ivar chain: that of the rule.
    @ivar text: the rule's own, or the policy.
    @ivar does: C{drop}, C{reject}, C{redirect} or C{queue}.
    @ivar isSure: that it applies.
    @ivar isPolicy: it is no rule, but what becomes of all that no rule decides.
    @ivar legs: which packets.
    """

    base: Chain
    chain: Chain
    text: str
    does: str
    isSure: bool = True
    isPolicy: bool = False
    legs: frozenset[Leg] = frozenset()


@dataclass(frozen=True, slots=True)
class Rules:
    """
    What could be read.

    @ivar chains: all of them.
    @ivar inUse: what manages rules here: C{nft}, C{iptables}, C{ip6tables}, C{ufw}, C{firewalld},
        as far as that is known.
    @ivar missing: why there are no chains; empty where they were read.
    @ivar failed: what could not be read, a line each.
    """

    chains: tuple[Chain, ...] = ()
    inUse: frozenset[str] = frozenset()
    missing: str = ""
    failed: tuple[str, ...] = ()


def blocking(chains: Sequence[Chain], way: Way) -> list[Block]:
    """
    What keeps a connection from being made: of each chain that does so one rule, or its policy.

    Where any is sure only these; in the order in which packets come to them.
    """
    byName = {(one.program, one.table, one.name): one for one in chains}
    order = {hook: place for place, hook in enumerate(HOOKS)}
    bases = [one for one in chains if one.hook in order]
    bases.sort(key=lambda one: (order[one.hook], one.priority))
    coming = list(packets(way))
    found = [block for base in bases if (block := _blocked(base, byName, coming))]
    sure = [one for one in found if one.isSure]
    return sure or found


def _blocked(
    base: Chain, byName: Mapping[tuple[str, str, str], Chain], coming: Sequence[Packet]
) -> Block | None:
    blocks: dict[Leg, Block] = {}
    for packet in coming:
        if packet.hook == base.hook and not (base.isNat and not _isFirst(packet)):
            through = _Through(base, byName, packet)
            through.go()
            ofLeg = [one for one in through.blocks if one.does != "redirect" or _isFirst(packet)]
            if ofLeg:
                blocks[packet.leg] = min(ofLeg, key=lambda one: not one.isSure)
    if not blocks:
        return None
    worst = min(blocks.values(), key=lambda one: not one.isSure)
    legs = frozenset(leg for leg, one in blocks.items() if one.isSure == worst.isSure)
    return Block(base, worst.chain, worst.text, worst.does, worst.isSure, worst.isPolicy, legs)


def _isFirst(packet: Packet) -> bool:
    """Addresses are changed for the first packet alone, and within a machine on its way out."""
    return packet.leg == "asking" and packet.hook in _WAY_OUT


@dataclass(slots=True)
class _Through:
    """One packet on its way through the chains of one hook."""

    base: Chain
    byName: Mapping[tuple[str, str, str], Chain]
    packet: Packet
    blocks: list[Block] = field(default_factory=list)
    isOpen: bool = True
    steps: int = 0

    def go(self) -> None:
        decided = self._walk(self.base, True, 0)
        if not decided and self.base.policy in _ENDING:
            self._block(self.base, f"policy {self.base.policy}", self.base.policy, True, True)

    def _walk(self, chain: Chain, isSure: bool, depth: int) -> bool:
        """Whether it is decided there, for sure."""
        mayLeave = False
        for rule in chain.rules if depth < _DEEPEST else ():
            self.steps += 1
            if self.steps > _MOST_STEPS:
                self._block(self.base, f"one of more than {_MOST_STEPS} rules", "drop", False)
                return True
            applies = _all(one.holds(self.packet.facts) for one in rule.conditions)
            if applies is False:
                continue
            sure = isSure and applies is True
            if rule.verdict in _ENDING:
                self._block(chain, rule.text, rule.verdict, sure)
                if sure:
                    return not mayLeave
            elif rule.verdict == "accept" and sure:
                return not mayLeave
            elif rule.verdict == "return" and sure:
                return False
            elif rule.verdict in ("accept", "return") or (rule.isGoto and not sure):
                # Whether anything comes further is not known.
                self.isOpen = False
                mayLeave = mayLeave or rule.verdict != "accept"
            inner = self.byName.get((chain.program, chain.table, rule.target))
            if inner is not None:
                decided = self._walk(inner, sure, depth + 1)
                if sure and (decided or rule.isGoto):
                    return decided and not mayLeave
        return False

    def _block(
        self, chain: Chain, text: str, does: str, sure: bool, isPolicy: bool = False
    ) -> None:
        isSure = sure and self.isOpen and does != "queue"
        if self.base.isNat and does != "redirect":
            isSure = False
        self.blocks.append(Block(self.base, chain, text, does, isSure, isPolicy))


def _all(found: Iterator[bool | None]) -> bool | None:
    isSure = True
    for one in found:
        if one is False:
            return False
        isSure = isSure and one is True
    return True if isSure else None


def _fits(name: str, value: Value | None, pattern: Pattern) -> bool | None:
    if value is None or pattern is None:
        return None
    if isinstance(pattern, Flags):
        return value & pattern.mask == pattern.wanted if isinstance(value, frozenset) else None
    if isinstance(pattern, range):
        if name in _PORTS and value == EPHEMERAL:
            return _hasClients(pattern)
        return value in pattern if isinstance(value, int) else None
    if isinstance(pattern, IPv4Network | IPv6Network):
        return _address(value) in pattern if isinstance(value, str) and value else None
    if isinstance(pattern, str) and pattern.endswith("*") and isinstance(value, str):
        return value.startswith(pattern[:-1])
    return value == pattern if type(value) is type(pattern) else None


def _hasClients(ports: range) -> bool | None:
    """Whether the port of a client is among them."""
    if 1024 in ports and 65535 in ports:
        return True
    return None if len(ports) > 1 and ports[-1] >= 1024 else False


@lru_cache(64)
def _address(text: str) -> IPv4Address | IPv6Address:
    return ip_address(text)
