"""The rules of nftables, as C{nft -j list ruleset} tells them (libnftables-json(5))."""

from __future__ import annotations

import json
from dataclasses import replace
from ipaddress import ip_address, ip_network
from typing import Any, Final

from loopbackd.doctor.facts.rules import Chain, Rule, said

_VERDICTS: Final = frozenset({"accept", "drop", "reject", "return"})
_FAMILIES: Final = {4: frozenset({"ip", "inet"}), 6: frozenset({"ip6", "inet"})}
_HOOKS: Final = frozenset({"input", "output"})
_UNKNOWN: Final = (ValueError, LookupError, TypeError, AttributeError, RecursionError)
"""What comes of words of another version's."""


def nftables(host: str, port: int) -> list[Chain]:
    """Read the rules that concern a port of this machine; none where they cannot be read."""
    text = said("nft", "-j", "list", "ruleset")
    if text is None:
        return []
    chains = parseRuleset(text, host, port)
    return [_worded(one) for one in chains]


def parseRuleset(text: str, host: str, port: int) -> list[Chain]:
    """
    Understand a ruleset.

    @param host: the IP address that is connected to, over C{lo}.
    @return: the chains of its family; the texts of their rules are their handles.
    """
    try:
        return _chains(json.loads(text)["nftables"], host, port)
    except _UNKNOWN:
        return []


def _chains(entries: Any, host: str, port: int) -> list[Chain]:
    families = _FAMILIES[ip_address(host).version]
    found: dict[tuple[str, str], Chain] = {}
    for entry in entries:
        chain, rule = entry.get("chain"), entry.get("rule")
        if chain and chain["family"] in families:
            table, name = f"{chain['family']} {chain['table']}", chain["name"]
            hook = chain.get("hook", "")
            inUse = hook if hook in _HOOKS else ""
            found[table, name] = Chain("nft", table, name, (), inUse, chain.get("policy", "accept"))
        if rule and rule["family"] in families:
            key = f"{rule['family']} {rule['table']}", rule["chain"]
            one, handle = found[key], str(rule["handle"])
            try:
                made = _rule(rule.get("expr", []), handle, host, port)
            except _UNKNOWN:
                made = Rule(handle, applies=None)
            found[key] = replace(one, rules=(*one.rules, made))
    return list(found.values())


def _rule(expressions: list[Any], handle: str, host: str, port: int) -> Rule:
    applies: bool | None = True
    verdict = target = ""
    for one in expressions:
        kind: str = next(iter(one), "") if isinstance(one, dict) else ""
        value: Any = one[kind] if kind else None
        if kind in _VERDICTS:
            verdict = kind
        elif kind in ("jump", "goto"):
            target = value["target"]
        elif kind == "match":
            applies = _both(applies, _matches(value, host, port))
        elif kind == "xt" and value and value.get("type") == "target":
            # Of iptables, which keeps its rules there.
            verdict = str(value.get("name", "")).lower()
        elif kind not in ("counter", "log", "comment"):
            applies = _both(applies, None)
    return Rule(handle, verdict, target, applies)


def _both(one: bool | None, other: bool | None) -> bool | None:
    if one is False or other is False:
        return False
    return None if one is None or other is None else True


def _matches(match: dict[str, Any], host: str, port: int) -> bool | None:
    left, right = match.get("left"), match.get("right")
    wanted = _field(left, host, port)
    if wanted is None:
        return None
    found = _has(right, wanted)
    return found if match.get("op") != "!=" or found is None else not found


def _field(left: Any, host: str, port: int) -> str | int | None:
    if not isinstance(left, dict):
        return None
    payload, meta, state = left.get("payload") or {}, left.get("meta") or {}, left.get("ct") or {}
    if payload.get("field") == "dport":
        return port if payload.get("protocol") in ("tcp", "th") else "no tcp"
    if payload.get("field") in ("daddr", "saddr"):
        return host
    if payload.get("field") in ("protocol", "nexthdr"):
        return "tcp"
    if meta.get("key") in ("iifname", "oifname", "iif", "oif"):
        return "lo"
    if meta.get("key") == "l4proto":
        return "tcp"
    return "new" if state.get("key") == "state" else None


def _has(right: Any, wanted: str | int) -> bool | None:
    if isinstance(right, list):
        right = {"set": right}
    if isinstance(right, dict):
        if "set" in right:
            found = [_has(one, wanted) for one in right["set"]]
            return True if True in found else (None if None in found else False)
        if "range" in right:
            low, high = right["range"]
            return (
                low <= wanted <= high if isinstance(low, int) == isinstance(wanted, int) else None
            )
        if "prefix" in right and isinstance(wanted, str):
            network = ip_network(
                f"{right['prefix']['addr']}/{right['prefix']['len']}", strict=False
            )
            return ip_address(wanted) in network
        return None
    if isinstance(right, str) and right.startswith("@"):
        return None
    return bool(right == wanted)


def _worded(chain: Chain) -> Chain:
    """With the texts of the rules, as people write them, in place of their handles."""
    if not chain.rules:
        return chain
    text = said("nft", "-a", "list", "chain", *chain.table.split(" ", 1), chain.name) or ""
    words = {
        handle: words.strip()
        for words, _, handle in (line.rpartition(" # handle ") for line in text.splitlines())
    }
    rules = tuple(replace(one, text=words.get(one.text, one.text)) for one in chain.rules)
    return replace(chain, rules=rules)
