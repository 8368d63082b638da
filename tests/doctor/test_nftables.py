"""Rules of nftables, without nftables."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopbackd.doctor.facts.nftables import parseRuleset, worded
from loopbackd.doctor.facts.packets import Packet, Way, packets
from loopbackd.doctor.facts.rules import Chain


def packet(host: str = "127.0.0.1", leg: str = "asking", hook: str = "input") -> Packet:
    """One that comes in, to port 80."""
    (found,) = [one for one in packets(Way(host, host, 80)) if (one.leg, one.hook) == (leg, hook)]
    return found


def ruleset(*expressions: Any, more: tuple[Any, ...] = ()) -> str:
    """A chain with one rule."""
    chain = {"family": "inet", "table": "t", "name": "in", "hook": "input", "policy": "accept"}
    rule = {"family": "inet", "table": "t", "chain": "in", "handle": 4, "expr": expressions}
    return json.dumps({"nftables": [{"metainfo": {}}, *more, {"chain": chain}, {"rule": rule}]})


def applies(text: str, one: Packet) -> bool | None:
    """Whether all that the first rule asks holds."""
    (chain,) = parseRuleset(text, 6 if one.facts["family"] == "ipv6" else 4)
    held = [condition.holds(one.facts) for condition in chain.rules[0].conditions]
    return False if False in held else (None if None in held else True)


def match(left: Any, right: Any, op: str = "==") -> Any:
    """An expression."""
    return {"match": {"op": op, "left": left, "right": right}}


def payload(protocol: str, field: str) -> Any:
    """A field of a header."""
    return {"payload": {"protocol": protocol, "field": field}}


DPORT = payload("tcp", "dport")
STATE = {"ct": {"key": "state"}}
FLAGS = payload("tcp", "flags")
NETWORK = {"prefix": {"addr": "127.0.0.0", "len": 8}}
NAMED = {"set": {"family": "inet", "table": "t", "name": "ports", "elem": [80, 443]}}
OTHERS = {"set": {"family": "inet", "table": "u", "name": "ports", "elem": [22]}}


@pytest.mark.parametrize(
    ("expression", "wanted"),
    [
        (match(DPORT, 80), True),
        (match(DPORT, 81), False),
        (match(DPORT, 81, "!="), True),
        (match(DPORT, 80, "<"), False),
        (match(DPORT, 80, "<="), True),
        (match(DPORT, 80, ">"), False),
        (match(DPORT, 80, ">="), True),
        (match(DPORT, {"set": [22, {"range": [70, 90]}]}), True),
        (match(DPORT, {"set": [{"elem": {"val": 80, "timeout": 5}}]}), True),
        (match(DPORT, {"range": [81, 90]}), False),
        (match(DPORT, "@ports"), True),
        (match(DPORT, "@nowhere"), None),
        (match(payload("th", "dport"), 80), True),
        (match(payload("udp", "dport"), 80), False),
        (match(payload("udp", "dport"), 81, "!="), False),
        (match(payload("icmp", "type"), "echo-request"), False),
        (match({"meta": {"key": "iifname"}}, "lo"), True),
        (match({"meta": {"key": "iifname"}}, "eth*"), False),
        (match({"meta": {"key": "oifname"}}, "lo"), False),
        (match({"meta": {"key": "iif"}}, "lo"), True),
        (match({"meta": {"key": "l4proto"}}, {"set": ["tcp", "udp"]}), True),
        (match({"meta": {"key": "nfproto"}}, "ipv6"), False),
        (match({"meta": {"key": "mark"}}, 1), None),
        (match({"fib": {"result": "type", "flags": ["daddr"]}}, "local"), True),
        (match(STATE, ["established", "related"], "in"), False),
        (match(STATE, {"set": ["new", "invalid"]}), True),
        (match(payload("ip", "daddr"), NETWORK), True),
        (match(payload("ip", "saddr"), "10.0.0.1"), False),
        (match(payload("ip", "protocol"), "tcp"), True),
        (match(payload("ip6", "saddr"), "::1"), False),
        (match({"concat": [payload("ip", "daddr"), DPORT]}, [{"concat": [NETWORK, 80]}]), True),
        (match({"concat": [payload("ip", "daddr"), DPORT]}, [{"concat": [NETWORK, 9]}]), False),
        (match({"&": [FLAGS, ["syn", "ack"]]}, "syn"), True),
        (match({"&": [FLAGS, {"|": ["syn", {"|": ["ack", "rst"]}]}]}, "syn"), True),
        (match({"&": [FLAGS, ["syn", "ack"]]}, ["syn", "ack"]), False),
        (match({"&": [FLAGS, ["fin", "rst"]]}, 0), True),
        (match({"&": [FLAGS, ["fin", "rst"]]}, 0, "!="), False),
        ({"counter": None}, True),
        ({"log": {"prefix": "x"}}, True),
        ({"limit": {"rate": 1}}, None),
        ({"xt": {"type": "match", "name": "conntrack"}}, None),
        (match({"numgen": {}}, 1), None),
    ],
)
def test_an_expression(expression: Any, wanted: bool | None) -> None:
    """Whether it applies, does not, or may."""
    assert applies(ruleset(expression, more=(NAMED, OTHERS)), packet()) is wanted


def test_sets_that_are_not_told() -> None:
    """What they do may be; what names none is as sure as ever."""
    named = {"set": {"family": "inet", "table": "t", "name": "ports"}}
    for expression, wanted in [(match(DPORT, "@ports"), None), (match(DPORT, 81), False)]:
        text = ruleset(expression, more=(named,))
        (chain,) = parseRuleset(text, 4, hasElements=False)
        assert [one.holds(packet().facts) for one in chain.rules[0].conditions] == [wanted]
    assert applies(ruleset(match(DPORT, "@ports"), more=(named,)), packet()) is False
    text = ruleset({"vmap": {"key": DPORT, "data": "@ports"}}, more=(named,))
    (chain,) = parseRuleset(text, 4, hasElements=False)
    assert [one.holds(packet().facts) for one in chain.rules[0].conditions] == [None]


def test_a_header_of_another_version() -> None:
    """What is asked of IPv4's is not asked of IPv6."""
    assert applies(ruleset(match(payload("ip", "saddr"), "@all")), packet("::1")) is not True
    assert applies(ruleset(match(payload("ip", "daddr"), NETWORK)), packet("::1")) is False
    assert applies(ruleset(match(payload("ip6", "daddr"), "::1")), packet("::1")) is True


@pytest.mark.parametrize(
    ("statement", "verdict"),
    [
        ({"accept": None}, "accept"),
        ({"drop": None}, "drop"),
        ({"reject": {"type": "tcp reset"}}, "reject"),
        ({"redirect": {"port": 9}}, "redirect"),
        ({"dnat": {"addr": "10.0.0.1"}}, "redirect"),
        ({"queue": {"num": 0}}, "queue"),
        ({"xt": {"type": "target", "name": "REJECT"}}, "reject"),
        ({"xt": None}, ""),
    ],
)
def test_a_verdict(statement: Any, verdict: str) -> None:
    """What becomes of a packet."""
    (chain,) = parseRuleset(ruleset(statement), 4)
    assert chain.rules[0].verdict == verdict


def test_a_map_of_verdicts() -> None:
    """Each of them is a rule, and what follows is for the rest."""
    data = {"set": [[22, {"accept": None}], [80, {"jump": {"target": "far"}}]]}
    text = ruleset({"vmap": {"key": DPORT, "data": data}}, {"drop": None})
    (chain,) = parseRuleset(text, 4)
    facts = packet().facts
    held = [all(one.holds(facts) for one in rule.conditions) for rule in chain.rules]
    assert [(one.verdict, one.target) for one in chain.rules] == [
        ("accept", ""),
        ("", "far"),
        ("drop", ""),
    ]
    assert held == [False, True, True]


def test_chains() -> None:
    """Where they are, and which are left out: those of bridges and of the other version."""
    chains = [
        {"family": "ip", "table": "f", "name": "a", "hook": "output", "prio": -5},
        {"family": "ip6", "table": "f", "name": "b", "hook": "input", "policy": "drop"},
        {"family": "netdev", "table": "f", "name": "c", "hook": "ingress", "dev": "eth0"},
        {"family": "bridge", "table": "f", "name": "d", "hook": "input"},
        {"family": "inet", "table": "f", "name": "e", "hook": "forward"},
    ]
    text = json.dumps({"nftables": [{"chain": one} for one in chains]})
    assert parseRuleset(text, 4) == [
        Chain("nft", "ip f", "a", (), "output", "accept", -5),
        Chain("nft", "netdev f", "c", (), ""),
        Chain("nft", "inet f", "e", (), ""),
    ]
    assert [one.policy for one in parseRuleset(text, 6)] == ["drop", "accept", "accept"]


WORDS = """table inet t { # handle 1
\tset s { # handle 2
\t\telements = { 1, 2,
\t\t\t     3 }
\t}

\tchain in { # handle 3
\t\ttype filter hook input priority filter; policy accept;
\t\ttcp dport { 70, 80,
\t\t\t    90 } drop # handle 4
\t}
}
table netdev u { # handle 2
\tchain in { # handle 1
\t\ttype filter hook ingress device "eth0" priority filter; policy accept;
\t\tdrop # handle 4
\t}
}
"""


def test_words() -> None:
    """Rules are told as people write them, and devices are known from there alone."""
    netdev = {"family": "netdev", "table": "u", "name": "in", "hook": "ingress"}
    chains = parseRuleset(ruleset(more=({"chain": netdev},)), 4)
    away, here = worded(chains, WORDS)
    assert here.rules[0].text == "tcp dport { 70, 80, 90 } drop"
    assert (away.hook, here.hook) == ("", "input")
    assert worded([here], "")[0].rules[0].text.startswith("handle ")


@given(
    st.recursive(
        st.none() | st.integers() | st.text(),
        lambda x: (
            st.lists(x)
            | st.dictionaries(
                st.sampled_from(
                    ["match", "left", "right", "set", "range", "payload", "op", "xt", "vmap", "&"]
                ),
                x,
            )
        ),
    )
)
def test_any_ruleset(value: Any) -> None:
    """What nft of another version says is a ValueError, or a rule that may apply."""
    parseRuleset(ruleset(value), 4)
    for text in (json.dumps({"nftables": value}), json.dumps(value), str(value)):
        try:
            parseRuleset(text, 4)
        except ValueError as error:
            assert str(error).startswith("not a ruleset: ")
