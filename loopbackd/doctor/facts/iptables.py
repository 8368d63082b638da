"""The rules of iptables, as C{iptables-save} prints them (iptables(8), iptables-extensions(8))."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import replace
from ipaddress import ip_network
from typing import Final

from loopbackd.doctor.facts.rules import UNKNOWN, Chain, Condition, Flags, Pattern, Rule

_VERDICTS: Final = {
    "ACCEPT": "accept",
    "DROP": "drop",
    "REJECT": "reject",
    "RETURN": "return",
    "NFQUEUE": "queue",
    "REDIRECT": "redirect",
    "DNAT": "redirect",
    "SNAT": "accept",
    "MASQUERADE": "accept",
}
_HOOKS: Final = {
    "PREROUTING": "prerouting",
    "INPUT": "input",
    "OUTPUT": "output",
    "POSTROUTING": "postrouting",
}
_PRIORITIES: Final = {"raw": -300, "mangle": -150, "nat": -100, "filter": 0, "security": 50}
_FIELDS: Final = {
    "-p": "protocol",
    "-s": "saddr",
    "-d": "daddr",
    "-i": "iif",
    "-o": "oif",
    "--dport": "dport",
    "--dports": "dport",
    "--sport": "sport",
    "--sports": "sport",
    "--ctstate": "state",
    "--state": "state",
    "--uid-owner": "uid",
    "--src-type": "stype",
    "--dst-type": "dtype",
    "--tcp-flags": "flags",
}
_NEUTRAL: Final = frozenset({"-m", "--comment"})
_OFTARGETS: Final = frozenset({"-j", "-g"})
_COUNTERS: Final = re.compile(r"^\[\d+:\d+\] ")


def parseSaved(text: str, program: str) -> list[Chain]:
    """
    Understand what was saved.

    @param program: the one that changes these rules.
    """
    found: dict[tuple[str, str], Chain] = {}
    rules: dict[tuple[str, str], list[Rule]] = {}
    table = ""
    for line in text.splitlines():
        line = _COUNTERS.sub("", line)
        if line.startswith("*"):
            table = line[1:]
        elif line.startswith(":") and line[1:].strip():
            name, policy, *_ = [*line[1:].split(), ""]
            found[table, name] = Chain(
                program,
                table,
                name,
                (),
                _HOOKS.get(name, ""),
                _VERDICTS.get(policy, "accept"),
                _PRIORITIES.get(table, 0),
                table == "nat",
            )
        elif line.startswith("-A ") and len(line.split()) > 1:
            rules.setdefault((table, line.split()[1]), []).append(_rule(line))
    return [replace(one, rules=tuple(rules.get(key, ()))) for key, one in found.items()]


def _rule(line: str) -> Rule:
    try:
        words = shlex.split(line)
    except ValueError:
        words = line.split()
    rule = Rule(line)
    for option, values, isNot in _options(words[2:]):
        if option in _OFTARGETS:
            value = "".join(values[:1])
            verdict = _VERDICTS.get(value, "")
            rule = replace(
                rule, verdict=verdict, target="" if verdict else value, isGoto=option == "-g"
            )
            # What follows is of the target, and asks nothing.
            break
        if option not in _NEUTRAL:
            rule = replace(rule, conditions=(*rule.conditions, _condition(option, values, isNot)))
    return rule


def _options(words: Sequence[str]) -> Iterator[tuple[str, list[str], bool]]:
    option, values, isNot, isNext = "", list[str](), False, False
    for word in words:
        if word == "!":
            isNext = True
        elif word.startswith("-") and not word.lstrip("-").isdigit():
            if option:
                yield option, values, isNot
            option, values, isNot, isNext = word, [], isNext, False
        else:
            values.append(word)
    if option:
        yield option, values, isNot


def _condition(option: str, values: Sequence[str], isNot: bool) -> Condition:
    name = _FIELDS.get(option, "")
    try:
        if not name or not values:
            return UNKNOWN
        if name == "flags":
            mask, wanted = (_flags(one) for one in values)
            return Condition(("flags",), ((Flags(mask, wanted),),), isNot)
        return Condition((name,), tuple(_patterns(name, values[0])), isNot)
    except ValueError:
        return UNKNOWN


def _patterns(name: str, value: str) -> Iterator[tuple[Pattern, ...]]:
    for one in value.split(","):
        if name in ("dport", "sport"):
            low, colon, high = one.partition(":")
            last = int(high or 65535) if colon else int(low)
            yield (range(int(low or 0), last + 1),)
        elif name in ("saddr", "daddr"):
            yield (ip_network(one, strict=False),)
        elif name == "uid":
            first, _, end = one.partition("-")
            yield (range(int(first), int(end or first) + 1),)
        elif name == "protocol":
            yield ("tcp" if one in ("all", "6") else one.lower(),)
        elif name in ("iif", "oif"):
            yield (f"{one[:-1]}*" if one.endswith("+") else one,)
        else:
            yield (one.lower(),)


def _flags(value: str) -> frozenset[str]:
    return frozenset() if value == "NONE" else frozenset(value.lower().split(","))
