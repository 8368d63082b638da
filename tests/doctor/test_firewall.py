"""Firewalls by what becomes of a connection, from made facts."""

from __future__ import annotations

import errno

import pytest

from loopbackd.doctor.checks.allowing import allowing
from loopbackd.doctor.checks.firewall import checkFirewall, checkForbidden, suspects
from loopbackd.doctor.facts.attempt import Attempt
from loopbackd.doctor.facts.interface import Interface
from loopbackd.doctor.facts.packets import Way
from loopbackd.doctor.facts.rules import Block, Chain, Rule, Rules
from loopbackd.doctor.facts.sockets import Sockets
from loopbackd.doctor.finding import Finding
from loopbackd.peer.sockdiag import SocketRow, TCPState

HERE, AWAY = "127.0.0.1", "192.0.2.1"
WAY = Way(HERE, HERE, 80)
UFW = frozenset({"ufw", "iptables"})
FIREWALLD = frozenset({"firewalld", "nft"})


def listening(waiting: int = 0) -> Sockets:
    """Somebody, with a backlog of 5."""
    row = SocketRow(TCPState.LISTEN, (HERE, 80), ("0.0.0.0", 0), 0, 1, 0.0, False, waiting, 5)
    return Sockets(80, (row,))


def kinds(there: Sockets, one: Attempt, lo: Interface | None = None) -> list[str]:
    """What is found, without rules."""
    own = frozenset({HERE, "::1"})
    suspected = suspects(there, [one], lo or Interface(), own)
    ways = {one.host: Way(one.host, one.host, 80, isWithin=one.host in own)}
    found = checkFirewall(there, suspected, ways, {one.host: Rules(missing="not root")})
    return [one.kind for one in (*found, *checkForbidden([one]))]


NOBODY = Sockets(80)


@pytest.mark.parametrize(
    ("there", "error", "wanted"),
    [
        (listening(), 0, []),
        (listening(), errno.ETIMEDOUT, ["firewall-drops"]),
        (listening(6), errno.ETIMEDOUT, []),
        (NOBODY, errno.ETIMEDOUT, ["firewall-drops"]),
        (listening(), errno.ECONNREFUSED, ["firewall-rejects"]),
        (NOBODY, errno.ECONNREFUSED, []),
        (listening(), errno.EHOSTUNREACH, ["firewall-prohibits"]),
        (NOBODY, errno.ENETUNREACH, ["firewall-prohibits"]),
        (listening(), errno.EADDRNOTAVAIL, []),
        (listening(), errno.EPERM, ["connect-forbidden"]),
        (listening(), errno.EACCES, ["connect-forbidden"]),
    ],
)
def test_what_it_does(there: Sockets, error: int, wanted: list[str]) -> None:
    """By the error, by whether anybody listens, and by their queue."""
    assert kinds(there, Attempt(HERE, 80, error)) == wanted


def test_the_interface_explains_it() -> None:
    """What cannot get anywhere is no firewall's doing."""
    one = Attempt(HERE, 80, errno.ETIMEDOUT)
    assert kinds(listening(), one, Interface(isUp=False)) == []
    assert kinds(listening(), one, Interface(missing=frozenset({HERE}))) == []
    assert kinds(listening(), one, Interface(isUp=None)) == ["firewall-drops"]


@pytest.mark.parametrize(
    ("seconds", "wanted"), [(0.001, ["connect-forbidden"]), (1.03, ["firewall-prohibits"])]
)
def test_who_says_no_to_ipv6(seconds: float, wanted: list[str]) -> None:
    """A rule does so with the second packet, a sandbox at once."""
    assert kinds(NOBODY, Attempt("::1", 80, errno.EACCES, seconds)) == wanted


@pytest.mark.parametrize("error", [errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.ECONNREFUSED])
def test_another_machine_may_have_done_it(error: int) -> None:
    """Without a rule that is read, no firewall of this one is accused."""
    assert kinds(NOBODY, Attempt(AWAY, 80, error)) == []


def block(chain: Chain, base: Chain | None = None, isPolicy: bool = False) -> Block:
    """A rule that keeps questions out, or a policy that keeps out all."""
    legs = frozenset({"asking", "answering"} if isPolicy else {"asking"})
    return Block(base or chain, chain, "x", "drop", True, isPolicy, legs)  # type: ignore[arg-type]


INPUT = Chain("iptables", "filter", "INPUT", (), "input", "drop")
OUTPUT = Chain("iptables", "filter", "OUTPUT", (), "output", "drop")
OF_UFW = Chain("iptables", "filter", "INPUT", (Rule("", target="ufw-user-input"),), "input", "drop")
PANIC = Chain("nft", "inet firewalld_policy_drop", "raw_output", (), "output", "drop")
OF_FIREWALLD = Chain("nft", "inet firewalld", "filter_INPUT", (), "input")
OWN = Chain("nft", "inet own", "in", (), "input")


@pytest.mark.parametrize(
    ("blocks", "inUse", "best"),
    [
        ([block(INPUT)], frozenset(), "iptables -I INPUT -i lo -p tcp --dport 80 -j ACCEPT"),
        ([block(INPUT, isPolicy=True)], frozenset(), "iptables -I INPUT -i lo -j ACCEPT"),
        (
            [block(INPUT), block(OUTPUT)],
            frozenset(),
            "iptables -I INPUT -i lo -p tcp --dport 80 -j ACCEPT"
            " && iptables -I OUTPUT -o lo -p tcp --dport 80 -j ACCEPT",
        ),
        (
            [block(Chain("iptables", "filter", "ufw-user-input"), OF_UFW)],
            UFW,
            "ufw prepend allow in on lo to any port 80 proto tcp",
        ),
        ([block(INPUT, isPolicy=True)], UFW, "/usr/lib/ufw/ufw-init flush-all && ufw reload"),
        ([], UFW, "ufw prepend allow in on lo to any port 80 proto tcp"),
        ([block(OWN)], UFW, "nft insert rule inet own in iifname lo tcp dport 80 accept"),
        ([], FIREWALLD, "firewall-cmd --panic-off"),
        ([block(PANIC, isPolicy=True)], FIREWALLD, "firewall-cmd --panic-off"),
        ([block(OF_FIREWALLD)], FIREWALLD, "firewall-cmd --reload"),
        (
            [block(INPUT)],
            FIREWALLD,
            "firewall-cmd --direct --add-rule ipv4 filter INPUT -1 -i lo -p tcp --dport 80"
            " -j ACCEPT",
        ),
        ([block(OWN)], FIREWALLD, "nft insert rule inet own in iifname lo tcp dport 80 accept"),
        (
            [block(Chain("nft", "inet a;b", "c'd", (), "input"))],
            frozenset({"nft"}),
            "nft insert rule inet 'a;b' 'c'\"'\"'d' iifname lo tcp dport 80 accept",
        ),
    ],
)
def test_what_allows(blocks: list[Block], inUse: frozenset[str], best: str) -> None:
    """By whoever writes the rules, since they are written again; what others named is quoted."""
    assert next(allowing(WAY, blocks, Rules((), inUse))) == f"as root: {best}"


def test_rules_that_could_not_be_read() -> None:
    """It is said why, and not that there are none of them alone."""
    read = Rules((), frozenset(), failed=("nft -j list ruleset: not permitted",))
    one = Attempt(HERE, 80, errno.ETIMEDOUT)
    (found,) = checkFirewall(listening(), [one], {HERE: WAY}, {HERE: read})
    assert found.evidence[-1] == "nft -j list ruleset: not permitted"


def test_a_long_rule() -> None:
    """It is told in part."""
    chain = Chain("nft", "inet t", "in", (Rule("x" * 1000, (), "drop"),), "input")
    one = Attempt(HERE, 80, errno.ETIMEDOUT)
    read = Rules((chain,), frozenset({"nft"}))
    found: list[Finding] = list(checkFirewall(listening(), [one], {HERE: WAY}, {HERE: read}))
    assert all(len(line) < 400 for line in found[0].evidence)
    assert found[0].evidence[-1].endswith("xxx...")


def test_a_firewall_that_may_not_be_read() -> None:
    """Root within a container is told why, and no less than others are."""
    one = Attempt(HERE, 80, errno.ETIMEDOUT)
    read = Rules((), frozenset({"nft", "iptables"}), failed=("nft: not permitted",))
    (found,) = checkFirewall(listening(), [one], {HERE: WAY}, {HERE: read})
    assert not any(line.startswith("no rule") for line in found.evidence)
    assert any(line.endswith("-I INPUT -i lo -p tcp --dport 80 -j ACCEPT") for line in found.remedy)
