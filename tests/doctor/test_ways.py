"""What is in the way within one machine, made for real in a network of its own."""

from __future__ import annotations

import os
import shlex
import socket
import subprocess
from collections.abc import Callable, Sequence
from typing import TypeVar

import pytest
from asuser import STRANGER, apart, become, inChild

from loopbackd.doctor.asked import Asked
from loopbackd.doctor.examination import examine
from loopbackd.doctor.finding import Finding, Severity

PORT = 7777

NFT = "nft add table inet own; nft 'add chain inet own in { type filter hook input priority 0; }'"
OUT = "nft add table inet own; nft 'add chain inet own out { type filter hook output priority 0; }'"

T = TypeVar("T")

Situation = tuple[Sequence[str], str, str]

SITUATIONS: dict[str, Situation] = {
    "nft drops": (
        [NFT, f"nft add rule inet own in tcp dport {PORT} drop"],
        "firewall-drops",
        "nft",
    ),
    "nft drops a range, in a chain that another jumps to": (
        [
            NFT,
            "nft add chain inet own far",
            "nft add rule inet own in iifname lo jump far",
            "nft add rule inet own far tcp dport 7000-8000 counter drop",
        ],
        "firewall-drops",
        "nft",
    ),
    "nft drops by its policy": (
        [NFT, "nft 'add chain inet own in { policy drop; }'"],
        "firewall-drops",
        "nft",
    ),
    "nft rejects with a reset": (
        [NFT, f"nft add rule inet own in tcp dport {{ 80, {PORT} }} reject with tcp reset"],
        "firewall-rejects",
        "nft",
    ),
    "nft prohibits": (
        [
            NFT,
            f"nft add rule inet own in tcp dport {PORT} reject with icmpx type admin-prohibited",
        ],
        "firewall-prohibits",
        "nft",
    ),
    "nft drops on the way out": (
        [OUT, f"nft add rule inet own out tcp dport {PORT} drop"],
        "firewall-drops",
        "nft",
    ),
    "iptables drops": (
        [f"iptables -A INPUT -p tcp --dport {PORT} -j DROP"],
        "firewall-drops",
        "nft",
    ),
    "iptables rejects": (
        [f"iptables -A INPUT -p tcp --dport {PORT} -j REJECT"],
        "firewall-rejects",
        "nft",
    ),
}


@pytest.fixture(autouse=True)
def _canDoThis(program: Callable[..., str]) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root has networks of its own")
    for one in ("ip", "nft", "iptables"):
        program(one)


def asUser(uid: int, call: Callable[[], T], before: Callable[[], object]) -> T:
    """What it returns when that user does it, behind what root has done before."""

    def prepare() -> object:
        kept = before()
        become(uid)
        return kept

    return inChild(prepare, call)


def made(*commands: str) -> socket.socket:
    """That situation, with somebody who listens."""
    apart()
    sock = socket.create_server(("127.0.0.1", PORT))
    for command in commands:
        subprocess.run(command, shell=True, check=True)
    return sock


def wrong() -> list[Finding]:
    """What is wrong with connecting there."""
    found = examine(Asked("127.0.0.1", PORT))
    return [one for one in found if one.severity is Severity.PROBLEM]


@pytest.mark.parametrize("name", SITUATIONS)
def test_a_firewall(name: str) -> None:
    """What it does is told, and root is told which rule, and one that allows."""
    commands, kind, program = SITUATIONS[name]

    def allowed() -> tuple[list[Finding], str]:
        found = wrong()
        remedy = found[0].remedy[0]
        subprocess.run(shlex.split(remedy.removeprefix("as root: ")), check=True)
        with socket.create_connection(("127.0.0.1", PORT), 1):
            return found, remedy

    found, remedy = asUser(0, allowed, lambda: made(*commands))
    assert [one.kind for one in found] == [kind]
    (line,) = [one for one in found[0].evidence if one.startswith(f"{program}: table ")]
    assert str(PORT) in line or "policy drop" in line or "7000-8000" in line
    assert remedy.startswith("as root: ")


@pytest.mark.parametrize("name", SITUATIONS)
def test_a_firewall_for_others(name: str) -> None:
    """Who may not read the rules is told what they do, all the same."""
    commands, kind, _ = SITUATIONS[name]
    found = asUser(STRANGER, wrong, lambda: made(*commands))
    assert [one.kind for one in found] == [kind]
    assert "only root may read the firewall's rules" in found[0].evidence


@pytest.mark.parametrize("uid", [0, STRANGER])
def test_the_interface_is_down(uid: int) -> None:
    """Nothing gets anywhere, and no firewall is blamed."""
    found = asUser(uid, wrong, lambda: made("ip link set lo down"))
    assert found[0].kind == "lo-down"
    assert not any(one.kind.startswith("firewall") for one in found)


def test_an_interface_without_an_address() -> None:
    """It is up, and nobody is at 127.0.0.1."""
    found = asUser(0, wrong, lambda: made("ip addr del 127.0.0.1/8 dev lo"))
    assert found[0].kind == "lo-without-address"


@pytest.mark.parametrize("uid", [0, STRANGER])
def test_no_ipv6(uid: int) -> None:
    """IPv6 is switched off, and somebody wants to get to ::1."""

    def examined() -> list[str]:
        return [one.kind for one in examine(Asked("::1", PORT))]

    kinds = asUser(uid, examined, lambda: made("sysctl -qw net.ipv6.conf.lo.disable_ipv6=1"))
    assert kinds[0] == "no-ipv6"


@pytest.mark.parametrize("uid", [0, STRANGER])
def test_no_ports_are_left(uid: int) -> None:
    """All that clients get are taken."""

    def full() -> object:
        server = made("sysctl -qw net.ipv4.ip_local_port_range='40000 40003'")
        kept: list[object] = [server]
        for _ in range(4):
            kept.append(socket.create_connection(("127.0.0.1", PORT)))
        return kept

    assert "ports-exhausted" in [one.kind for one in asUser(uid, wrong, full)]


@pytest.mark.parametrize(
    ("reserved", "isTold"), [("", True), (f"80,{PORT - 1}-{PORT}", False)], ids=["free", "kept"]
)
def test_a_port_that_clients_get(reserved: str, isTold: bool) -> None:
    """A server's port in the range for clients is told, unless it is kept back."""
    commands = ["sysctl -qw net.ipv4.ip_local_port_range='7000 8000'"]
    if reserved:
        commands.append(f"sysctl -qw net.ipv4.ip_local_reserved_ports={reserved}")
    found = asUser(0, lambda: examine(Asked("127.0.0.1", PORT)), lambda: made(*commands))
    assert ("port-in-ephemeral-range" in [one.kind for one in found]) is isTold
