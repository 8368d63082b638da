"""Reading a firewall, with programs in the place of the real ones."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import fakeprograms
import pytest

from loopbackd.doctor.facts import firewall
from loopbackd.doctor.facts.packets import Way
from loopbackd.doctor.facts.rules import Rules, blocking

WAY = Way("127.0.0.1", "127.0.0.1", 80)
DROP = {"match": {"op": "==", "left": {"meta": {"key": "iifname"}}, "right": "lo"}}
LISTED = {
    "nftables": [
        {"chain": {"family": "inet", "table": "t", "name": "in", "hook": "input"}},
        {
            "rule": {
                "family": "inet",
                "table": "t",
                "chain": "in",
                "handle": 4,
                "expr": [DROP, {"drop": None}],
            }
        },
    ]
}
WORDS = 'table inet t { # handle 1\n\tchain in { # handle 1\n\t\tiifname "lo" drop # handle 4\n'

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Puts a program, a case of the shell's for each of its arguments, where others are found."""
    fakeprograms.lookIn(monkeypatch, tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(firewall, "_LEGACY", {4: str(tmp_path / "names"), 6: "/nowhere"})

    def put(name: str, **cases: str) -> None:
        words = "\n".join(f'"{given}") {does} ;;' for given, does in cases.items())
        fakeprograms.put(tmp_path / name, f'PATH=/usr/bin:/bin\ncase "$*" in\n{words}\nesac')

    return put


def said(text: str) -> str:
    """To print it."""
    return f"cat <<'END'\n{text}\nEND\n"


def texts(rules: Rules) -> list[str]:
    """Of what blocks."""
    return [f"{one.base.program}: {one.text}" for one in blocking(rules.chains, WAY)]


def nft(whole: str = "", terse: str = "") -> dict[str, str]:
    """What it does."""
    words = {"-j list ruleset": whole, "-j -t list ruleset": terse}
    return words | {"-a -t list ruleset": said(WORDS)}


def test_nft(install: Install) -> None:
    """Its rules, in its words."""
    install("nft", **nft(whole=said(json.dumps(LISTED))))
    rules = firewall.firewall("127.0.0.1")
    assert texts(rules) == ['nft: iifname "lo" drop'] and rules.inUse == {"nft"}
    assert rules.failed == () and rules.missing == ""


def test_sets_that_take_too_long(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rules are told without what is in them; and it is told that this was so."""
    install("nft", **nft("exec sleep 60", said(json.dumps(LISTED))))
    rules = firewall.firewall("127.0.0.1")
    assert texts(rules) == ['nft: iifname "lo" drop']
    assert rules.failed == ("nft -j list ruleset: no answer in time",)


@pytest.mark.parametrize("does", ["echo 'not permitted' >&2; exit 1", "echo '[]'", "echo '{'"])
def test_nft_that_says_nothing(install: Install, does: str) -> None:
    """It is told, and what is installed may be in use."""
    install("nft", **nft(does, does))
    rules = firewall.firewall("127.0.0.1")
    assert rules.chains == () and len(rules.failed) == 1 and rules.inUse == {"nft"}


SAVED = "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -p tcp --dport 80 -j DROP\nCOMMIT"
IP = json.dumps(LISTED).replace("inet", "ip").replace('"t"', '"filter"')


def test_iptables_in_nft(install: Install) -> None:
    """What both tell of is told as iptables writes it."""
    install("nft", **nft(said(IP)))
    install("iptables")
    install("iptables-nft-save", **{"": said(SAVED)})
    assert texts(firewall.firewall("127.0.0.1")) == ["iptables: -A INPUT -p tcp --dport 80 -j DROP"]


def test_a_table_that_iptables_does_not_understand(install: Install) -> None:
    """It is told as nft has it."""
    install("nft", **nft(said(IP)))
    install("iptables")
    incompatible = "# Table `filter' is incompatible, use 'nft' tool."
    install("iptables-nft-save", **{"": said(incompatible)})
    assert [one[:5] for one in texts(firewall.firewall("127.0.0.1"))] == ["nft: "]


def test_the_old_form(install: Install, tmp_path: Path) -> None:
    """It is asked only where it is in use, since asking would load it."""
    install("iptables")
    install("iptables-nft-save")
    install("iptables-legacy-save", **{"": said(SAVED)})
    assert texts(firewall.firewall("127.0.0.1")) == []
    (tmp_path / "names").write_text("filter\n")
    rules = firewall.firewall("127.0.0.1")
    assert texts(rules) == ["iptables-legacy: -A INPUT -p tcp --dport 80 -j DROP"]
    assert rules.inUse == {"iptables"}


def test_managers(install: Install) -> None:
    """Those that run."""
    install("ufw", status="echo 'Status: active'")
    install("firewall-cmd", **{"--state": "echo running"})
    assert firewall.firewall("127.0.0.1").inUse == {"ufw", "firewalld"}
    install("ufw", status="echo 'Status: inactive'")
    install("firewall-cmd", **{"--state": "echo 'not running' >&2; exit 252"})
    assert firewall.firewall("127.0.0.1").inUse == frozenset()


def test_no_firewall(install: Install) -> None:
    """None is installed, and none is found."""
    assert firewall.firewall("127.0.0.1") == Rules()


@pytest.mark.parametrize(
    ("text", "isEnabled"),
    [("ENABLED=yes\n", True), ("ENABLED=no\n", False), ("#ENABLED=yes", False)],
)
def test_what_everybody_may_know(
    install: Install, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, isEnabled: bool
) -> None:
    """What is installed, and whether ufw is on."""
    install("nft", **nft(said(json.dumps(LISTED))))
    (tmp_path / "ufw.conf").write_text(text)
    monkeypatch.setattr(firewall, "_UFW", str(tmp_path / "ufw.conf"))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    rules = firewall.firewall("127.0.0.1")
    assert rules.missing == "only root may read the firewall's rules" and rules.chains == ()
    assert rules.inUse == ({"nft", "ufw"} if isEnabled else {"nft"})
