"""The rules of nftables, as C{nft -j list ruleset} tells them (libnftables-json(5))."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from loopbackd.doctor.facts.nftvalues import Sets, condition, conditionOfKey, listed, setOf
from loopbackd.doctor.facts.packets import HOOKS
from loopbackd.doctor.facts.rules import UNKNOWN, Chain, Condition, Rule

_FAMILIES: Final = {4: frozenset({"ip", "inet", "netdev"}), 6: frozenset({"ip6", "inet", "netdev"})}
_HOOKS: Final = frozenset(HOOKS)
_VERDICTS: Final = {
    "accept": "accept",
    "drop": "drop",
    "reject": "reject",
    "return": "return",
    "queue": "queue",
    "redirect": "redirect",
    "dnat": "redirect",
    "tproxy": "redirect",
    "snat": "accept",
    "masquerade": "accept",
}
_NEUTRAL: Final = frozenset(
    {"counter", "log", "comment", "mangle", "notrack", "ct helper", "ct timeout", "set", "map"}
)
_UNKNOWN: Final = (ValueError, LookupError, TypeError, AttributeError, RecursionError)
"""What comes of words of another version's."""

_HANDLE: Final = re.compile(r"(?P<words>.*) # handle (?P<handle>\d+)$")


def parseRuleset(text: str, version: int, hasElements: bool = True) -> list[Chain]:
    """
    Understand a ruleset.

    @param version: of IP: 4 or 6; the tables of the other one are left out.
    @param hasElements: the elements of named sets are told, too; else whatever is asked of one may
        be so.
    @return: its chains; the texts of their rules are their handles (see L{worded}).
    @raise ValueError: it is none.
    """
    try:
        entries = list(json.loads(text)["nftables"])
        return list(_chains(entries, _FAMILIES[version], hasElements).values())
    except _UNKNOWN as error:
        raise ValueError(f"not a ruleset: {error}") from None


def worded(chains: list[Chain], text: str) -> list[Chain]:
    """
    The same with what the text alone tells: the rules in words, and the devices of chains.

    @param text: what C{nft -a list ruleset} prints.
    """
    words, devices = _read(text)
    return [
        replace(
            chain,
            rules=tuple(
                replace(one, text=words.get((chain.table, one.text), f"handle {one.text}"))
                for one in chain.rules
            ),
            # JSON does not always have them.
            hook=chain.hook if '"lo"' in devices.get((chain.table, chain.name), '"lo"') else "",
        )
        for chain in chains
    ]


def _read(text: str) -> tuple[dict[tuple[str, str], str], dict[tuple[str, str], str]]:
    """The rules by table and handle, and the devices by table and chain."""
    words: dict[tuple[str, str], str] = {}
    devices: dict[tuple[str, str], str] = {}
    table = chain = begun = ""
    for line in text.splitlines():
        line = f"{begun} {line.strip()}".strip()
        begun = ""
        found = _HANDLE.fullmatch(line)
        if line.startswith("table "):
            table = line.removeprefix("table ").partition(" {")[0]
        elif line.startswith("chain "):
            chain = line.removeprefix("chain ").partition(" {")[0]
        elif line.startswith("type ") and " device" in line:
            devices[table, chain] = line.partition(" device")[2].partition(" priority ")[0]
        elif found and not found["words"].endswith("{"):
            words[table, found["handle"]] = found["words"]
        elif line.endswith(","):
            begun = line  # the elements of a long set are on several lines
    return words, devices


def _chains(
    entries: list[Any], families: frozenset[str], hasElements: bool
) -> dict[tuple[str, str], Chain]:
    sets: dict[str, Sets] = {}
    otherwise = [] if hasElements else [None]
    for entry in entries:
        for kind in ("set", "map"):
            if entry.get(kind):
                one = entry[kind]
                table = f"{one['family']} {one['table']}"
                sets.setdefault(table, {})[one["name"]] = one.get("elem", otherwise)
    found: dict[tuple[str, str], Chain] = {}
    rules: dict[tuple[str, str], list[Rule]] = {}
    for entry in entries:
        chain, rule = entry.get("chain"), entry.get("rule")
        if chain and chain["family"] in families:
            table = f"{chain['family']} {chain['table']}"
            found[table, chain["name"]] = _chain(chain, table)
        if rule and rule["family"] in families:
            table = f"{rule['family']} {rule['table']}"
            made = _rules(rule.get("expr", []), str(rule["handle"]), sets.get(table, {}))
            rules.setdefault((table, rule["chain"]), []).extend(made)
    return {key: replace(one, rules=tuple(rules.get(key, ()))) for key, one in found.items()}


def _chain(chain: Mapping[str, Any], table: str) -> Chain:
    hook = chain.get("hook", "")
    devices = chain.get("dev", [])
    isHere = not devices or "lo" in (devices if isinstance(devices, list) else [devices])
    return Chain(
        "nft",
        table,
        chain["name"],
        (),
        hook if hook in _HOOKS and isHere else "",
        chain.get("policy", "accept"),
        int(chain.get("prio", 0)),
        chain.get("type") == "nat",
    )


def _rules(expressions: list[Any], handle: str, sets: Sets) -> list[Rule]:
    """One rule; of one with a map of verdicts, one for each of them."""
    rule = Rule(handle)
    try:
        for place, one in enumerate(expressions):
            kind: str = next(iter(one), "") if isinstance(one, dict) else ""
            value: Any = one[kind] if kind else None
            if kind == "vmap":
                return [*_mapped(rule, value, sets), *_after(rule, expressions, place, sets)]
            rule = _with(rule, kind, value, sets)
    except _UNKNOWN:
        return [replace(rule, conditions=(*rule.conditions, UNKNOWN))]
    return [rule]


def _with(rule: Rule, kind: str, value: Any, sets: Sets) -> Rule:
    conditions: tuple[Condition, ...] = rule.conditions
    if kind in _VERDICTS:
        return replace(rule, verdict=_VERDICTS[kind])
    if kind in ("jump", "goto"):
        return replace(rule, target=str(value["target"]), isGoto=kind == "goto")
    if kind == "match":
        found = condition(value["left"], value["right"], value.get("op", "=="), sets)
        return replace(rule, conditions=(*conditions, found))
    if kind == "xt" and value and value.get("type") == "target":
        # Of iptables, which keeps its rules there.
        verdict = {"reject": "reject", "dnat": "redirect", "redirect": "redirect"}
        return replace(rule, verdict=verdict.get(str(value.get("name", "")).lower(), ""))
    if kind in _NEUTRAL:
        return rule
    return replace(rule, conditions=(*conditions, UNKNOWN))


def _mapped(rule: Rule, value: Mapping[str, Any], sets: Sets) -> Iterator[Rule]:
    elements = setOf(value["data"], sets)
    if None in elements:
        # A map that nobody tells may do anything, also nothing.
        yield replace(rule, conditions=(*rule.conditions, UNKNOWN), verdict="drop")
        return
    for key, verdict in elements:
        found = conditionOfKey(value["key"], listed([key]))
        one = replace(rule, conditions=(*rule.conditions, found))
        for kind, target in verdict.items():
            yield _with(one, kind, target, sets)


def _after(rule: Rule, expressions: list[Any], place: int, sets: Sets) -> list[Rule]:
    """What follows a map of verdicts, where none of them was for the packet."""
    rest = expressions[place + 1 :]
    return [] if not rest else _rules([*expressions[:place], *rest], rule.text, sets)
