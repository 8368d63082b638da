"""The rules of iptables in its old form, as C{iptables-legacy-save} prints them (iptables(8))."""

from __future__ import annotations

import shlex
from dataclasses import replace
from ipaddress import ip_address, ip_network
from typing import Final

from loopbackd.doctor.facts.rules import Chain, Rule, said

_VERDICTS: Final = {"ACCEPT": "accept", "DROP": "drop", "REJECT": "reject", "RETURN": "return"}
_HOOKS: Final = {"INPUT": "input", "OUTPUT": "output"}
_NEUTRAL: Final = frozenset({"-m", "--comment", "--reject-with", "--ctstate", "--state"})


def iptables(host: str, port: int) -> list[Chain]:
    """
    Read the rules that concern a port of this machine; none where they cannot be read.

    Those that are kept by nftables are read there (see L{loopbackd.doctor.facts.nftables}).
    """
    family = "iptables" if ip_address(host).version == 4 else "ip6tables"
    return parseSaved(said(f"{family}-legacy-save") or "", family, host, port)


def parseSaved(text: str, program: str, host: str, port: int) -> list[Chain]:
    """Understand what was saved of the table C{filter}."""
    found: dict[str, Chain] = {}
    table = ""
    for line in text.splitlines():
        if line.startswith("*"):
            table = line[1:]
        elif table != "filter":
            continue
        elif line.startswith(":") and line[1:].strip():
            name, policy, *_ = [*line[1:].split(), ""]
            hook = _HOOKS.get(name, "")
            found[name] = Chain(program, table, name, (), hook, _VERDICTS.get(policy, "accept"))
        elif line.startswith("-A "):
            name = [*line.split(), ""][1]
            if name in found:
                rule = _rule(line, host, port)
                found[name] = replace(found[name], rules=(*found[name].rules, rule))
    return list(found.values())


def _rule(line: str, host: str, port: int) -> Rule:
    try:
        words = shlex.split(line)
    except ValueError:
        words = line.split()
    applies: bool | None = True
    verdict = target = ""
    isNot = False
    pairs = iter(words[2:])
    for word in pairs:
        if word == "!":
            isNot = True
            continue
        value = next(pairs, "")
        if word in ("-j", "-g"):
            verdict = _VERDICTS.get(value, "")
            target = "" if verdict else value
            continue
        try:
            one = _applies(word, value, host, port)
        except ValueError:
            one = None
        if isNot and one is not None:
            one = not one
        isNot = False
        if one is False or applies is False:
            applies = False
        elif one is None:
            applies = None
    return Rule(line, verdict, target, applies)


def _applies(word: str, value: str, host: str, port: int) -> bool | None:
    if word in ("-p", "--protocol"):
        return value in ("tcp", "all")
    if word in ("--dport", "--dports", "--destination-port"):
        return any(_covers(one, port) for one in value.split(","))
    if word in ("-i", "-o"):
        return value in ("lo", "+")
    if word in ("-d", "-s"):
        return ip_address(host) in ip_network(value, strict=False)
    if word in ("--ctstate", "--state"):
        return "NEW" in value.split(",")
    return True if word in _NEUTRAL else None


def _covers(ports: str, port: int) -> bool:
    low, _, high = ports.partition(":")
    return int(low or 0) <= port <= int(high or (low if ":" not in ports else 65535))
