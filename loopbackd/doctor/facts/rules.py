"""
The rules of the firewall, as far as they concern one port of this machine.

Only root may read them.  A rule applies, does not, or may: what this reader does not know it takes
for possible, and says so.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

_TIMEOUT: Final = 2.0
_DEEPEST: Final = 16
_ENDING: Final = frozenset({"drop", "reject"})


@dataclass(frozen=True, slots=True)
class Rule:
    """
    One rule.

    @ivar verdict: C{accept}, C{drop}, C{reject}, C{return}, or empty for none of these.
    @ivar target: the chain it leads to; empty for none.
    @ivar applies: to the port; L{None} where that is not known.
    """

    text: str
    verdict: str = ""
    target: str = ""
    applies: bool | None = True


@dataclass(frozen=True, slots=True)
class Chain:
    """
    A chain of rules.

    @ivar program: that changes it: C{nft} or C{iptables}, or C{ip6tables}.
    @ivar table: with its family, as C{inet filter}.
    @ivar hook: C{input} or C{output} where packets come to it by themselves; else empty.
    @ivar policy: what becomes of those that no rule decides.
    """

    program: str
    table: str
    name: str
    rules: tuple[Rule, ...] = ()
    hook: str = ""
    policy: str = "accept"


@dataclass(frozen=True, slots=True)
class Block:
    """
    What keeps packets from a port.

    @ivar chain: where they came in.
    @ivar text: the rule's own, or the policy.
    @ivar isSure: that it applies.
    @ivar isPolicy: it is no rule, but what becomes of all that no rule lets in, answers too.
    """

    chain: Chain
    text: str
    isSure: bool
    isPolicy: bool = False


@dataclass(frozen=True, slots=True)
class Rules:
    """
    What could be read.

    @ivar chains: all of them.
    @ivar programs: for firewalls, that are installed.
    @ivar missing: why there are no chains; empty where there are.
    """

    chains: tuple[Chain, ...] = ()
    programs: frozenset[str] = frozenset()
    missing: str = ""


def blocking(chains: Sequence[Chain]) -> Block | None:
    """The first rule that drops or rejects, on the way in or out; a certain one before others."""
    byName = {(one.table, one.name): one for one in chains}
    found = [block for one in chains if one.hook for block in _through(one, byName)]
    return min(found, key=lambda block: not block.isSure, default=None)


def _through(base: Chain, byName: Mapping[tuple[str, str], Chain]) -> list[Block]:
    decided, blocks = _walk(base, base, byName, True, 0)
    if not decided and base.policy in _ENDING:
        blocks.append(Block(base, f"policy {base.policy}", not blocks, True))
    return blocks


def _walk(
    base: Chain,
    chain: Chain,
    byName: Mapping[tuple[str, str], Chain],
    isSure: bool,
    depth: int,
) -> tuple[bool, list[Block]]:
    """Whether it is decided there; and what may block."""
    blocks: list[Block] = []
    for rule in chain.rules if depth < _DEEPEST else ():
        if rule.applies is False:
            continue
        sure = isSure and rule.applies is True
        if rule.verdict in _ENDING:
            blocks.append(Block(base, rule.text, sure))
            if sure:
                return True, blocks
        elif rule.verdict == "accept" and sure:
            return True, blocks
        elif rule.verdict == "return" and sure:
            return False, blocks
        inner = byName.get((chain.table, rule.target))
        if inner is not None:
            decided, more = _walk(base, inner, byName, sure, depth + 1)
            blocks += more
            if decided and sure:
                return True, blocks
    return False, blocks


def said(*command: str) -> str | None:
    """What a program prints; L{None} where it fails, is not there or takes too long."""
    if shutil.which(command[0]) is None:
        return None
    try:
        ran = subprocess.run(
            command, capture_output=True, timeout=_TIMEOUT, check=True, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return ran.stdout.decode("utf-8", "backslashreplace")
