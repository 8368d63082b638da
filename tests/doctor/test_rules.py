"""Rules of firewalls, without a firewall."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopbackd.doctor.facts.ephemeral import Ephemeral, parseCounters, parseRanges, parseSockets
from loopbackd.doctor.facts.iptables import parseSaved
from loopbackd.doctor.facts.nftables import parseRuleset
from loopbackd.doctor.facts.rules import Chain, Rule, blocking

DROP = Rule("drop it", "drop")
ACCEPT = Rule("accept it", "accept")


def base(*rules: Rule, policy: str = "accept") -> Chain:
    """The chain where packets come in."""
    return Chain("nft", "inet t", "in", rules, "input", policy)


@pytest.mark.parametrize(
    ("chains", "wanted"),
    [
        ([base()], None),
        ([base(DROP)], ("drop it", True)),
        ([base(ACCEPT, DROP)], None),
        ([base(Rule("x", "drop", applies=False))], None),
        ([base(Rule("x", "drop", applies=None))], ("x", False)),
        ([base(Rule("x", "drop", applies=None), DROP)], ("drop it", True)),
        ([base(Rule("x", "accept", applies=None), DROP)], ("drop it", True)),
        ([base(policy="drop")], ("policy drop", True)),
        ([base(ACCEPT, policy="drop")], None),
        (
            [base(Rule("j", target="far")), Chain("nft", "inet t", "far", (DROP,))],
            ("drop it", True),
        ),
        (
            [
                base(Rule("j", target="far"), DROP),
                Chain("nft", "inet t", "far", (Rule("r", "return"), ACCEPT)),
            ],
            ("drop it", True),
        ),
        ([base(Rule("j", target="far")), Chain("nft", "inet t", "far", (ACCEPT,))], None),
        ([base(Rule("j", target="in"))], None),
        ([Chain("nft", "inet t", "loose", (DROP,))], None),
    ],
)
def test_what_blocks(chains: list[Chain], wanted: tuple[str, bool] | None) -> None:
    """The first rule that does, through jumps; one that may, only where no other does."""
    found = blocking(chains)
    assert (None if found is None else (found.text, found.isSure)) == wanted


def ruleset(*expressions: Any) -> str:
    """A chain with one rule."""
    chain = {"family": "inet", "table": "t", "name": "in", "hook": "input", "policy": "accept"}
    rule = {"family": "inet", "table": "t", "chain": "in", "handle": 4, "expr": expressions}
    return json.dumps({"nftables": [{"metainfo": {}}, {"chain": chain}, {"rule": rule}]})


def match(left: Any, right: Any, op: str = "==") -> Any:
    """An expression."""
    return {"match": {"op": op, "left": left, "right": right}}


DPORT = {"payload": {"protocol": "tcp", "field": "dport"}}


@pytest.mark.parametrize(
    ("expression", "wanted"),
    [
        (match(DPORT, 80), True),
        (match(DPORT, 81), False),
        (match(DPORT, 81, "!="), True),
        (match(DPORT, {"set": [22, {"range": [70, 90]}]}), True),
        (match(DPORT, {"range": [81, 90]}), False),
        (match(DPORT, "@ports"), None),
        (match({"payload": {"protocol": "udp", "field": "dport"}}, 80), False),
        (match({"meta": {"key": "iifname"}}, "lo"), True),
        (match({"meta": {"key": "iifname"}}, "eth0"), False),
        (match({"ct": {"key": "state"}}, ["established", "related"]), False),
        (match({"ct": {"key": "state"}}, {"set": ["new", "invalid"]}), True),
        (
            match(
                {"payload": {"protocol": "ip", "field": "daddr"}},
                {"prefix": {"addr": "127.0.0.0", "len": 8}},
            ),
            True,
        ),
        (match({"payload": {"protocol": "ip", "field": "saddr"}}, "10.0.0.1"), False),
        ({"counter": None}, True),
        ({"limit": {"rate": 1}}, None),
        (match({"numgen": {}}, 1), None),
    ],
)
def test_an_expression(expression: Any, wanted: bool | None) -> None:
    """Whether it applies, does not, or may."""
    ((rule,),) = [one.rules for one in parseRuleset(ruleset(expression), "127.0.0.1", 80)]
    assert rule.applies is wanted


@given(
    st.recursive(
        st.none() | st.integers() | st.text(),
        lambda x: (
            st.lists(x)
            | st.dictionaries(
                st.sampled_from(["match", "left", "right", "set", "range", "payload", "op", "xt"]),
                x,
            )
        ),
    )
)
def test_any_ruleset(value: Any) -> None:
    """What nft of another version says is no reason to fall."""
    parseRuleset(json.dumps({"nftables": value}), "127.0.0.1", 80)
    parseRuleset(json.dumps(value), "127.0.0.1", 80)


SAVED = """*nat
-A INPUT -p tcp --dport 80 -j DROP
*filter
:INPUT DROP [0:0]
:mine - [0:0]
-A INPUT -i lo -p tcp -m tcp --dport {ports} -m comment --comment "a b" -j mine
-A mine {rule}
COMMIT
"""


@pytest.mark.parametrize(
    ("ports", "rule", "wanted"),
    [
        ("80", "-j REJECT --reject-with tcp-reset", "-A mine -j REJECT --reject-with tcp-reset"),
        ("70:90", "-j DROP", "-A mine -j DROP"),
        ("80", "-j ACCEPT", None),
        ("81", "-j DROP", "policy drop"),
        ("80", "! -s 127.0.0.0/8 -j DROP", "policy drop"),
        ("80", "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT", "policy drop"),
    ],
)
def test_saved_rules(ports: str, rule: str, wanted: str | None) -> None:
    """As iptables-save prints them."""
    saved = SAVED.format(ports=ports, rule=rule)
    found = blocking(parseSaved(saved, "iptables", "127.0.0.1", 80))
    assert (None if found is None else found.text) == wanted


@given(st.text(alphabet="-A mine:INPUT!*filter\n '\"0/jdsp"))
def test_any_saved_rules(text: str) -> None:
    """What another version prints is no reason to fall."""
    parseSaved(f"*filter\n:INPUT ACCEPT [0:0]\n{text}", "iptables", "127.0.0.1", 80)


def test_ports_of_the_system() -> None:
    """As its files have them."""
    assert parseRanges("80,9000-9100\n") == ((80, 80), (9000, 9100))
    assert parseRanges("\n") == ()
    assert parseCounters("TcpExt: A ListenOverflows\nTcpExt: 1 7\n")["ListenOverflows"] == 7
    assert parseSockets("sockets: used 5\nTCP: inuse 1 orphan 0 tw 42 alloc 3 mem 1\n") == 42
    assert Ephemeral(reserved=((40000, 40010),)).handsOut(40005) is False
    assert Ephemeral().handsOut(40005) and not Ephemeral().handsOut(62893)
