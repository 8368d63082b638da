"""What rules of firewalls do to packets, without a firewall."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from loopbackd.doctor.facts.packets import Way, packets
from loopbackd.doctor.facts.rules import (
    NEVER,
    UNKNOWN,
    Chain,
    Condition,
    Flags,
    Pattern,
    Rule,
    blocking,
)

WAY = Way("127.0.0.1", "127.0.0.1", 80)
DROP = Rule("drop it", (), "drop")
ACCEPT = Rule("accept it", (), "accept")
MAYBE = (UNKNOWN,)


def test_packets_within_a_machine() -> None:
    """Both of them come by everywhere, from one side and to the other."""
    found = [(one.leg, one.hook) for one in packets(WAY)]
    hooks = ["output", "postrouting", "egress", "ingress", "prerouting", "input"]
    assert found == [("asking", one) for one in hooks] + [("answering", one) for one in hooks]


def test_packets_to_another_machine() -> None:
    """What goes out is asked, and what comes in is answered."""
    away = Way("10.0.0.1", "10.0.0.2", 80, "eth0", 7, False)
    found = {one.hook: one for one in packets(away)}
    assert [one.leg for one in found.values()] == ["asking"] * 3 + ["answering"] * 3
    assert found["output"].facts["oif"] == "eth0" and found["output"].facts["uid"] == 7
    assert found["input"].facts["iif"] == "eth0" and "uid" not in found["input"].facts
    assert found["input"].facts["saddr"] == "10.0.0.2"


def base(*rules: Rule, policy: str = "accept", hook: str = "input", name: str = "in") -> Chain:
    """The chain where packets come in."""
    return Chain("nft", "inet t", name, rules, hook, policy)


def inner(*rules: Rule, table: str = "inet t") -> Chain:
    """A chain that others lead to."""
    return Chain("nft", table, "far", rules)


def nat(hook: str) -> Chain:
    """A chain where addresses are changed; nothing should be dropped there, and can be."""
    return Chain("nft", "inet t", "changes", (DROP,), hook, isNat=True)


def to(conditions: tuple[Condition, ...] = (), isGoto: bool = False) -> Rule:
    """A rule that leads there."""
    return Rule("jump", conditions, target="far", isGoto=isGoto)


@pytest.mark.parametrize(
    ("chains", "wanted"),
    [
        ([base()], None),
        ([base(DROP)], ("drop it", True)),
        ([base(ACCEPT, DROP)], None),
        ([base(Rule("x", (NEVER,), "drop"))], None),
        ([base(Rule("x", MAYBE, "drop"))], ("x", False)),
        ([base(Rule("x", MAYBE, "drop"), DROP)], ("drop it", True)),
        ([base(Rule("x", MAYBE, "drop"), ACCEPT)], ("x", False)),
        # Whether it is let in before that is not known.
        ([base(Rule("x", MAYBE, "accept"), DROP)], ("drop it", False)),
        ([base(Rule("x", MAYBE, "accept"), policy="drop")], ("policy drop", False)),
        ([base(policy="drop")], ("policy drop", True)),
        ([base(ACCEPT, policy="drop")], None),
        ([base(Rule("q", (), "queue"))], ("q", False)),
        ([base(to()), inner(DROP)], ("drop it", True)),
        ([base(to(MAYBE)), inner(DROP)], ("drop it", False)),
        ([base(to(MAYBE), DROP), inner(ACCEPT)], ("drop it", False)),
        ([base(to(), DROP), inner(Rule("r", (), "return"), ACCEPT)], ("drop it", True)),
        ([base(to(isGoto=True), DROP), inner()], None),
        ([base(to(isGoto=True), ACCEPT, policy="drop"), inner()], ("policy drop", True)),
        ([base(to(), DROP), inner(ACCEPT)], None),
        ([base(to()), inner(DROP, table="inet other")], None),
        ([base(Rule("loop", target="in"))], None),
        ([inner(DROP)], None),
        # Addresses are changed on the way out alone.
        ([base(Rule("r", (), "redirect"))], None),
        ([base(Rule("r", (), "redirect"), hook="output")], ("r", True)),
        # What may leave a chain may come to what stands behind the jump, or to the policy.
        ([base(to(), DROP), inner(Rule("r", MAYBE, "return"), ACCEPT)], ("drop it", False)),
        ([base(Rule("r", MAYBE, "return"), ACCEPT, policy="drop")], ("policy drop", False)),
        ([base(to(MAYBE, True), DROP), inner()], ("drop it", False)),
        ([base(to(MAYBE, True), ACCEPT, policy="drop"), inner()], ("policy drop", False)),
        # Only the first packet comes to a chain of nat, and not to those on the way in.
        ([nat("input")], None),
        ([nat("prerouting")], None),
        ([nat("output")], ("drop it", False)),
        ([nat("postrouting")], ("drop it", False)),
        ([base(*[Rule("x", (NEVER,), "drop")] * 50_000, DROP)], ("drop it", True)),
    ],
)
def test_what_blocks(chains: list[Chain], wanted: tuple[str, bool] | None) -> None:
    """The first rule that does, through jumps; one that may, only where no other does."""
    found = blocking(chains, WAY)
    assert [(one.text, one.isSure) for one in found] == ([] if wanted is None else [wanted])


def test_all_that_block() -> None:
    """In the order in which packets come to them: what is let in here is dropped there."""
    chains = [
        base(DROP, name="third"),
        base(Rule("x", MAYBE, "drop"), name="unsure"),
        Chain("nft", "inet t", "second", (DROP,), "input", priority=-10),
        base(DROP, hook="output", name="first"),
    ]
    assert [one.base.name for one in blocking(chains, WAY)] == ["first", "second", "third"]


def test_what_is_blocked() -> None:
    """The question, the answer, or both."""
    port = (Condition(("dport",), ((80,),)),)
    (one,) = blocking([base(Rule("x", port, "drop"))], WAY)
    assert one.legs == {"asking"}
    (one,) = blocking([base(Rule("x", (Condition(("sport",), ((80,),)),), "drop"))], WAY)
    assert one.legs == {"answering"}
    (one,) = blocking([base(policy="drop")], WAY)
    assert one.legs == {"asking", "answering"}


def test_a_labyrinth_has_an_end() -> None:
    """
    Chains that lead to each other again and again do not keep anybody for ever, and nobody is told
    that no rule does it.
    """
    rules = tuple(Rule("x", MAYBE, target=f"c{n}") for n in range(30) for _ in range(2))
    chains = [Chain("nft", "inet t", f"c{n}", rules) for n in range(30)]
    (one,) = blocking([base(*rules, DROP), *chains], WAY)
    assert (one.text, one.isSure) == ("one of more than 100000 rules", False)


@pytest.mark.parametrize(
    ("name", "pattern", "wanted"),
    [
        ("dport", 80, True),
        ("dport", range(70, 80), False),
        ("dport", range(70, 81), True),
        ("dport", "http", None),
        ("sport", 80, False),
        ("sport", range(1024, 65536), True),
        ("sport", range(40000, 50000), None),
        ("sport", range(1, 1000), False),
        ("sport", range(7777, 7778), False),
        ("daddr", "127.0.0.1", True),
        ("daddr", ip_network("127.0.0.0/8"), True),
        ("daddr", ip_network("10.0.0.0/8"), False),
        ("daddr", ip_network("::/0"), False),
        ("iif", "lo", True),
        ("iif", "l*", True),
        ("iif", "eth*", False),
        ("oif", "lo", False),
        ("flags", Flags(frozenset({"syn", "ack"}), frozenset({"syn"})), True),
        ("flags", Flags(frozenset({"syn", "ack"}), frozenset({"ack"})), False),
        ("mark", 1, None),
        ("dport", None, None),
    ],
)
def test_a_condition(name: str, pattern: Pattern, wanted: bool | None) -> None:
    """Whether it holds for a question that comes in, and whether its contrary does."""
    (facts,) = [one.facts for one in packets(WAY) if (one.leg, one.hook) == ("asking", "input")]
    assert Condition((name,), ((pattern,),)).holds(facts) is wanted
    contrary = None if wanted is None else not wanted
    assert Condition((name,), ((pattern,),), True).holds(facts) is contrary


def test_a_condition_of_several_parts() -> None:
    """All of them must fit, of one element."""
    (facts,) = [one.facts for one in packets(WAY) if (one.leg, one.hook) == ("asking", "input")]
    names = ("daddr", "dport")
    assert Condition(names, (("10.0.0.1", 80), ("127.0.0.1", 81))).holds(facts) is False
    assert Condition(names, (("10.0.0.1", 80), ("127.0.0.1", 80))).holds(facts) is True
    assert Condition(names, (("127.0.0.1", None),)).holds(facts) is None
