"""What is in the way within one machine, made for real in a network of its own."""

from __future__ import annotations

import ctypes
import os
import socket
import struct
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TypeVar

import pytest
from asuser import STRANGER, apart, become, inChild

from loopbackd.doctor.asked import Asked
from loopbackd.doctor.examination import examine
from loopbackd.doctor.facts import attempt
from loopbackd.doctor.finding import Finding, Severity

PORT = 7777
SOON = 0.3
"""
Seconds until no answer is one here: what comes at all within one machine is there before connect(2)
returns. C{test_examination.py} waits as long as anybody has to.
"""
UIDS = pytest.mark.parametrize("uid", [0, STRANGER], ids=["as root", "as another user"])

T = TypeVar("T")

IN = """nft -f - <<'END'
table inet own {
    %s
    chain in {
        type filter hook input priority 0; policy %s;
        %s
    }
}
END"""
ANOTHER = """ip link add d0 type veth peer name d1
ip addr add 10.7.7.7/24 dev d0
ip link set d0 up
ip link set d1 up
"""
OUT = IN.replace("hook input", "hook output").replace("chain in", "chain out")


def nft(rules: str, policy: str = "accept", before: str = "", template: str = IN) -> str:
    """A command that makes a chain with these rules."""
    return template % (before, policy, rules)


@dataclass(frozen=True)
class Situation:
    """
    Something in the way.

    @ivar commands: that make it.
    @ivar kind: of the finding.
    @ivar seen: what root is told of the rule.
    @ivar remedy: what root's remedy begins with.
    @ivar patience: seconds until no answer is one.
    """

    commands: str
    kind: str
    seen: str
    remedy: str
    host: str = "127.0.0.1"
    patience: float = SOON


DROPS, REJECTS, PROHIBITS = "firewall-drops", "firewall-rejects", "firewall-prohibits"
INSERT = "nft insert rule inet own in iifname lo"
DPORT = f"{INSERT} tcp dport {PORT} accept"

SITUATIONS = {
    "nft drops": Situation(
        nft(f"tcp dport {PORT} drop"),
        DROPS,
        f"nft: table inet own, chain in: tcp dport {PORT} drop",
        DPORT,
    ),
    "nft drops a range, in a chain that another jumps to": Situation(
        nft("iifname lo jump far", before="chain far { tcp dport 7000-8000 counter drop; }"),
        DROPS,
        "nft: table inet own, chain far (reached from chain in): tcp dport 7000-8000",
        DPORT,
    ),
    "nft drops by its policy": Situation(
        nft("tcp dport 22 accept", "drop"),
        DROPS,
        "nft: table inet own, chain in: policy drop",
        f"{INSERT} accept",
    ),
    "nft drops all but answers": Situation(
        nft("ct state established,related accept\niifname != lo accept\ncounter drop"),
        DROPS,
        "nft: table inet own, chain in: counter",
        DPORT,
    ),
    "nft drops answers": Situation(
        nft(f"tcp sport {PORT} drop"),
        DROPS,
        f"nft: table inet own, chain in: tcp sport {PORT} drop",
        f"{INSERT} tcp sport {PORT} accept",
    ),
    "nft drops by a named set": Situation(
        nft(
            "tcp dport @closed drop",
            before="set closed { type inet_service; flags interval; elements = { 22, 7770-7780 } }",
        ),
        DROPS,
        "nft: table inet own, chain in: tcp dport @closed drop",
        DPORT,
    ),
    "nft drops by a map of verdicts": Situation(
        nft(f"tcp dport vmap {{ 22 : accept, {PORT} : drop }}"),
        DROPS,
        "nft: table inet own, chain in: tcp dport vmap",
        DPORT,
    ),
    "nft drops by address and port": Situation(
        nft(f"ip daddr . tcp dport {{ 127.0.0.1 . {PORT} }} drop"),
        DROPS,
        "nft: table inet own, chain in: ip daddr . tcp dport",
        DPORT,
    ),
    "nft drops new connections": Situation(
        nft("tcp flags & (fin | syn | rst | ack) == syn drop"),
        DROPS,
        "nft: table inet own, chain in: tcp flags",
        DPORT,
    ),
    "nft drops in two tables": Situation(
        nft(f"tcp dport {PORT} drop") + "\n" + nft(f"tcp dport {PORT} drop").replace("own", "two"),
        DROPS,
        "nft: table inet two, chain in",
        f"{DPORT} && nft insert rule inet two in iifname lo tcp dport {PORT} accept",
    ),
    "nft drops before routing": Situation(
        nft(f"tcp dport {PORT} drop").replace("hook input", "hook prerouting"),
        DROPS,
        f"nft: table inet own, chain in: tcp dport {PORT} drop",
        DPORT,
    ),
    "nft drops at the interface": Situation(
        nft(f"tcp dport {PORT} drop")
        .replace("table inet", "table netdev")
        .replace("hook input", "hook ingress device lo"),
        DROPS,
        f"nft: table netdev own, chain in: tcp dport {PORT} drop",
        f"nft insert rule netdev own in tcp dport {PORT} accept",
    ),
    "nft drops where packets leave for the interface": Situation(
        nft(f"tcp sport {PORT} drop")
        .replace("table inet", "table netdev")
        .replace("hook input", "hook egress device lo"),
        DROPS,
        f"nft: table netdev own, chain in: tcp sport {PORT} drop",
        f"nft insert rule netdev own in tcp sport {PORT} accept",
    ),
    "nft drops on the way out": Situation(
        nft(f"tcp dport {PORT} drop", template=OUT),
        DROPS,
        f"nft: table inet own, chain out: tcp dport {PORT} drop",
        f"nft insert rule inet own out oifname lo tcp dport {PORT} accept",
    ),
    "nft drops all that goes out": Situation(
        nft("ct state established accept", "drop", template=OUT),
        DROPS,
        "nft: table inet own, chain out: policy drop",
        f"nft insert rule inet own out oifname lo tcp dport {PORT} accept",
    ),
    "nft drops on ::1": Situation(
        nft(f"ip6 daddr ::1 tcp dport {PORT} drop"),
        DROPS,
        f"chain in: ip6 daddr ::1 tcp dport {PORT} drop",
        DPORT,
        "::1",
    ),
    "nft drops at an address of another interface": Situation(
        ANOTHER + nft(f"ip saddr 10.0.0.0/8 tcp dport {PORT} drop"),
        DROPS,
        f"chain in: ip saddr 10.0.0.0/8 tcp dport {PORT} drop",
        DPORT,
        "10.7.7.7",
    ),
    "nft rejects with a reset": Situation(
        nft(f"tcp dport {{ 80, {PORT} }} reject with tcp reset"),
        REJECTS,
        f"nft: table inet own, chain in: tcp dport {{ 80, {PORT} }} reject with tcp reset",
        DPORT,
    ),
    "nft prohibits": Situation(
        nft(f"tcp dport {PORT} reject with icmpx type admin-prohibited"),
        PROHIBITS,
        f"nft: table inet own, chain in: tcp dport {PORT} reject with icmpx",
        DPORT,
    ),
    "nft prohibits on ::1": Situation(
        nft(f"tcp dport {PORT} reject with icmpx type admin-prohibited"),
        PROHIBITS,
        f"nft: table inet own, chain in: tcp dport {PORT} reject with icmpx",
        DPORT,
        "::1",
        attempt.PATIENCE,  # TCP over IPv6 believes it the second time, after a second
    ),
    "nft says that there is no route": Situation(
        nft(f"tcp dport {PORT} reject with icmpx type no-route", template=OUT),
        PROHIBITS,
        f"nft: table inet own, chain out: tcp dport {PORT} reject with icmpx",
        f"nft insert rule inet own out oifname lo tcp dport {PORT} accept",
    ),
    "nft leads elsewhere": Situation(
        nft(f"tcp dport {PORT} redirect to :9", template=OUT).replace("type filter", "type nat"),
        "firewall-redirects",
        f"nft: table inet own, chain out: tcp dport {PORT} redirect to :9",
        f"nft insert rule inet own out oifname lo tcp dport {PORT} accept",
    ),
    "iptables drops": Situation(
        f"iptables -A INPUT -p tcp --dport {PORT} -j DROP",
        DROPS,
        f"iptables: table filter, chain INPUT: -A INPUT -p tcp -m tcp --dport {PORT} -j DROP",
        f"iptables -I INPUT -i lo -p tcp --dport {PORT} -j ACCEPT",
    ),
    "iptables drops by its policy": Situation(
        "iptables -P INPUT DROP",
        DROPS,
        "iptables: table filter, chain INPUT: policy drop",
        "iptables -I INPUT -i lo -j ACCEPT",
    ),
    "iptables rejects": Situation(
        f"iptables -N mine; iptables -A INPUT -j mine; iptables -A mine -p tcp -m multiport"
        f" --dports 22,{PORT} --syn -m comment --comment 'no -j way' -j REJECT",
        REJECTS,
        "iptables: table filter, chain mine (reached from chain INPUT): -A mine",
        f"iptables -I INPUT -i lo -p tcp --dport {PORT} -j ACCEPT",
    ),
    "iptables prohibits": Situation(
        f"iptables -A INPUT -p tcp --dport {PORT} -j REJECT --reject-with icmp-admin-prohibited",
        PROHIBITS,
        "iptables: table filter, chain INPUT: -A INPUT",
        f"iptables -I INPUT -i lo -p tcp --dport {PORT} -j ACCEPT",
    ),
    "iptables drops on the way out": Situation(
        f"iptables -A OUTPUT -o lo -p tcp --dport {PORT} -j DROP",
        DROPS,
        "iptables: table filter, chain OUTPUT: -A OUTPUT",
        f"iptables -I OUTPUT -o lo -p tcp --dport {PORT} -j ACCEPT",
    ),
    "iptables drops before all else": Situation(
        f"iptables -t raw -A PREROUTING -p tcp --dport {PORT} -j DROP",
        DROPS,
        "iptables: table raw, chain PREROUTING: -A PREROUTING",
        f"iptables -t raw -I PREROUTING -i lo -p tcp --dport {PORT} -j ACCEPT",
    ),
    "iptables leads elsewhere": Situation(
        f"iptables -t nat -A OUTPUT -p tcp --dport {PORT} -j REDIRECT --to-ports 9",
        "firewall-redirects",
        "iptables: table nat, chain OUTPUT: -A OUTPUT",
        f"iptables -t nat -I OUTPUT -o lo -p tcp --dport {PORT} -j ACCEPT",
    ),
    "iptables gives packets to a program that is not there": Situation(
        f"iptables -A INPUT -p tcp --dport {PORT} -j NFQUEUE --queue-num 7",
        DROPS,
        "-j NFQUEUE --queue-num 7, which may apply",
        f"iptables -I INPUT -i lo -p tcp --dport {PORT} -j ACCEPT",
    ),
    "ip6tables drops": Situation(
        f"ip6tables -A INPUT -p tcp --dport {PORT} -j DROP",
        DROPS,
        "ip6tables: table filter, chain INPUT: -A INPUT",
        f"ip6tables -I INPUT -i lo -p tcp --dport {PORT} -j ACCEPT",
        "::1",
    ),
    "the old iptables drops": Situation(
        f"iptables-legacy -A INPUT -p tcp --dport {PORT} -j DROP",
        DROPS,
        "iptables-legacy: table filter, chain INPUT: -A INPUT",
        f"iptables-legacy -I INPUT -i lo -p tcp --dport {PORT} -j ACCEPT",
    ),
}


@pytest.fixture(autouse=True)
def _canDoThis(needsRoot: None, program: Callable[..., str]) -> None:
    for one in ("ip", "nft", "iptables", "iptables-legacy", "sysctl"):
        program(one)


def asUser(
    uid: int, call: Callable[[], T], before: Callable[[], object], patience: float = SOON
) -> T:
    """What it returns when that user does it, behind what root has done before."""

    def prepare() -> object:
        kept = before()
        # It is this process's alone, and others' connections are accepted no later than ever.
        attempt.PATIENCE, attempt._ACCEPTING = patience, SOON
        become(uid)
        return kept

    return inChild(prepare, call)


def made(commands: str = "", host: str = "127.0.0.1") -> object:
    """That situation, with somebody who listens."""
    apart()
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.create_server(("::" if ":" in host else "0.0.0.0", PORT), family=family)
    sh(commands)
    return sock


def sh(commands: str) -> None:
    """Run them, every one."""
    subprocess.run(f"set -e\n{commands}", shell=True, check=True)


def command(remedy: str) -> str:
    """What root would run."""
    assert remedy.startswith("as root: ")
    return remedy.removeprefix("as root: ")


def wrong(host: str = "127.0.0.1") -> list[Finding]:
    """What is wrong with connecting there."""
    return [one for one in examine(Asked(host, PORT)) if one.severity is Severity.PROBLEM]


def connects(host: str) -> bool:
    """Whether a connection can be made."""
    try:
        with socket.create_connection((host, PORT), 2.5):
            return True
    except OSError:
        return False


@pytest.mark.parametrize("name", SITUATIONS)
def test_a_firewall(name: str) -> None:
    """What it does is told, and root is told which rule; what is said to allow it does."""
    there = SITUATIONS[name]

    def seen() -> tuple[list[Finding], bool]:
        found = wrong(there.host)
        sh(command(found[0].remedy[0]))
        return found, connects(there.host)

    found, isAllowed = asUser(0, seen, lambda: made(there.commands, there.host), there.patience)
    assert [one.kind for one in found] == [there.kind]
    assert any(there.seen in line for line in found[0].evidence), found[0].evidence
    assert command(found[0].remedy[0]).startswith(there.remedy)
    assert isAllowed


def unprivileged(kind: str) -> str:
    """Who may not see that it was led elsewhere sees that it was refused."""
    return REJECTS if kind == "firewall-redirects" else kind


@pytest.mark.parametrize("name", SITUATIONS)
def test_a_firewall_for_others(name: str) -> None:
    """Who may not read the rules is told what they do, all the same."""
    there = SITUATIONS[name]

    def seen() -> list[Finding]:
        return wrong(there.host)

    (one,) = asUser(STRANGER, seen, lambda: made(there.commands, there.host), there.patience)
    assert one.kind == unprivileged(there.kind)
    assert "only root may read the firewall's rules" in one.evidence
    assert "run this as root: it shows the rule itself" in one.remedy
    program = "ip6tables" if ":" in there.host else "iptables"
    assert f"as root: {program} -I INPUT -i lo -p tcp --dport {PORT} -j ACCEPT" in one.remedy
    assert not any("chain in:" in line or "-A " in line for line in one.evidence)


@UIDS
def test_rules_that_are_about_others(uid: int) -> None:
    """A machine with a firewall that lets its own connections through is healthy."""
    commands = nft(
        f"iifname lo accept\nct state vmap {{ established : accept, invalid : drop }}\n"
        f"tcp dport 22 accept\nudp dport {PORT} drop\ntcp dport {PORT} ip saddr 192.0.2.0/24 drop",
        "drop",
    )
    other = nft(f"tcp dport {PORT} drop").replace("table inet own", "table netdev away")
    other = other.replace("hook input", "hook ingress device d0")
    more = f"""{ANOTHER}{other}
        iptables -A INPUT ! -i lo -j DROP
        iptables -A INPUT -p udp --dport {PORT} -j DROP"""
    kinds = asUser(uid, wrong, lambda: made(f"{commands}\n{more}"))
    assert [one.kind for one in kinds] == ["listener-silent"]


@UIDS
def test_a_closed_port_that_is_dropped(uid: int) -> None:
    """Nobody listens, and a rule keeps that from being known at once."""
    rule = nft(f"tcp dport {PORT + 1} drop")

    def seen() -> list[Finding]:
        return [one for one in examine(Asked("127.0.0.1", PORT + 1)) if not one.severity]

    (one,) = asUser(uid, seen, lambda: made(rule))
    assert one.kind == DROPS
    assert "nobody listens there, which alone would be a refusal" in one.evidence


@UIDS
def test_a_full_queue_is_no_firewall(uid: int) -> None:
    """No answer comes for another reason, and the counters tell."""

    def full() -> object:
        apart()
        server = socket.create_server(("127.0.0.1", PORT), backlog=1)
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", PORT))
        return server, waiting

    found = asUser(uid, lambda: examine(Asked("127.0.0.1", PORT)), full)
    assert [one.kind for one in found if not one.severity] == ["listener-overloaded"]
    (one,) = [one for one in found if one.kind == "queues-overflowed"]
    assert "ListenOverflows is " in one.evidence[0]


@UIDS
@pytest.mark.parametrize("name", ["d0", "lo"])
def test_a_server_of_one_interface(uid: int, name: str) -> None:
    """Bound to another one than lo it gets nothing of 127.0.0.1, and no firewall does that."""

    def bound() -> object:
        apart()
        sh(ANOTHER)
        server = socket.socket()
        server.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, name.encode())
        server.bind(("0.0.0.0", PORT))
        server.listen()
        return server

    found = asUser(uid, lambda: examine(Asked("127.0.0.1", PORT)), bound)
    kinds = {one.kind for one in found}
    assert "listens-everywhere" not in kinds
    if name == "lo":
        assert not kinds & {"listens-elsewhere", REJECTS}
    else:
        (one,) = [one for one in found if not one.severity]
        assert one.kind == "listens-elsewhere"
        assert "bound to interface " in one.evidence[1]
        assert one.remedy[0].startswith(f"connect to port {PORT} at an address of interface ")


def elsewhere(rule: str) -> object:
    """Another machine's address that leads nowhere, behind a firewall of this one."""
    apart()
    sh(ANOTHER + rule)
    sh("ip neigh add 10.7.7.8 lladdr 02:00:00:00:00:01 dev d0")
    return None


@pytest.mark.parametrize(
    ("uid", "rule", "kinds"),
    [
        (0, f"tcp dport {PORT} drop", [DROPS]),
        (STRANGER, f"tcp dport {PORT} drop", ["cannot-connect"]),
        (0, "tcp dport 22 drop", ["cannot-connect"]),
    ],
)
def test_another_machine(uid: int, rule: str, kinds: list[str]) -> None:
    """A rule of this machine's is told only where it is read: the other may have done it."""
    before = nft(rule, template=OUT)
    found = asUser(uid, lambda: wrong("10.7.7.8"), lambda: elsewhere(before))
    assert [one.kind for one in found] == kinds
    if kinds == [DROPS]:
        insert = "as root: nft insert rule inet own out oifname d0 ip daddr 10.7.7.8"
        assert found[0].remedy[0] == f"{insert} tcp dport {PORT} accept"


def sandboxed(number: int) -> object:
    """In a process that seccomp(2) does not let connect."""
    sock = made()
    prctl, forbid = ctypes.CDLL(None).prctl, 0x00050000 | number
    (connect,) = [n for arch, n in (("x86_64", 42), ("aarch64", 203)) if os.uname().machine == arch]
    steps = [(0x20, 0, 0, 0), (0x15, 0, 1, connect), (0x06, 0, 0, forbid), (0x06, 0, 0, 0x7FFF0000)]
    code = b"".join(struct.pack("=HBBI", *step) for step in steps)
    buffer = ctypes.create_string_buffer(code)
    filters = struct.pack("@HP", len(steps), ctypes.addressof(buffer))
    assert prctl(38, 1, 0, 0, 0) == 0  # PR_SET_NO_NEW_PRIVS
    assert prctl(22, 2, filters, 0, 0) == 0  # PR_SET_SECCOMP, SECCOMP_MODE_FILTER
    return sock


@UIDS
@pytest.mark.parametrize("number", [1, 13], ids=["EPERM", "EACCES"])
def test_a_sandbox(uid: int, number: int) -> None:
    """Who may not connect at all is not told of a firewall."""

    def prepare() -> object:
        return None

    def seen() -> list[str]:
        kept = sandboxed(number)
        become(uid)
        found = [one.kind for one in wrong()]
        del kept
        return found

    assert inChild(prepare, seen) == ["connect-forbidden"]


@UIDS
def test_the_interface_is_down(uid: int) -> None:
    """Nothing gets anywhere, and no firewall is blamed."""
    (one,) = asUser(uid, wrong, lambda: made("ip link set lo down"))
    assert one.kind == "lo-down"


@UIDS
def test_an_interface_without_an_address(uid: int) -> None:
    """It is up, and nobody is at 127.0.0.1."""
    (one,) = asUser(uid, wrong, lambda: made("ip addr del 127.0.0.1/8 dev lo"))
    assert one.kind == "lo-without-address"


@UIDS
def test_an_interface_with_one_address(uid: int) -> None:
    """127.0.0.1 is there, and 127.0.0.2 is not."""
    narrow = "ip addr del 127.0.0.1/8 dev lo; ip addr add 127.0.0.1/32 dev lo"
    (one,) = asUser(uid, lambda: wrong("127.0.0.2"), lambda: made(narrow))
    assert one.kind == "lo-without-address"


@UIDS
@pytest.mark.parametrize("name", ["lo", "all"])
def test_no_ipv6(uid: int, name: str) -> None:
    """IPv6 is switched off, and somebody wants to get to ::1."""
    switched = f"sysctl -qw net.ipv6.conf.{name}.disable_ipv6=1"
    (one,) = asUser(uid, lambda: wrong("::1"), lambda: made(switched))
    assert one.kind == "no-ipv6" and f"net.ipv6.conf.{name}.disable_ipv6" in one.evidence[1]


@UIDS
def test_no_address_of_ipv6(uid: int) -> None:
    """IPv6 is on, and the interface has lost its address."""
    (one,) = asUser(uid, lambda: wrong("::1"), lambda: made("ip -6 addr del ::1/128 dev lo"))
    assert one.kind == "no-ipv6" and one.evidence[1] == "lo does not have it, though IPv6 is on"


@pytest.mark.parametrize(
    ("host", "before"),
    [
        ("127.0.0.1", "ip link set lo down"),
        ("127.0.0.1", "ip addr del 127.0.0.1/8 dev lo"),
        ("127.0.0.2", "ip addr del 127.0.0.1/8 dev lo; ip addr add 127.0.0.1/32 dev lo"),
        ("::1", "sysctl -qw net.ipv6.conf.lo.disable_ipv6=1"),
        ("::1", "sysctl -qw net.ipv6.conf.all.disable_ipv6=1"),
        ("::1", "ip -6 addr del ::1/128 dev lo"),
    ],
)
def test_what_brings_the_interface_back(host: str, before: str) -> None:
    """The remedy is one."""

    def seen() -> list[str]:
        remedies = [one for one in wrong(host)[0].remedy if one.startswith("as root: ")]
        sh(command(remedies[0]))
        return [one.kind for one in wrong(host)]

    assert asUser(0, seen, lambda: made(before, host)) == ["listener-silent"]


def busy(count: int, ports: str = "40000 40009", more: str = "") -> object:
    """Clients that have got so many of the system's ports."""
    stack = ExitStack()
    stack.enter_context(made(f"sysctl -qw net.ipv4.ip_local_port_range='{ports}'\n{more}"))  # type: ignore[arg-type]
    for _ in range(count):
        stack.enter_context(socket.create_connection(("127.0.0.1", PORT)))
    return stack


@UIDS
def test_no_ports_are_left(uid: int) -> None:
    """All that clients get are taken, and it is told by whom."""
    (one,) = asUser(uid, wrong, lambda: busy(10))
    assert one.kind == "ports-exhausted"
    assert one.evidence[1] == f"to 127.0.0.1:{PORT}: 10 ESTABLISHED"
    assert "40000 to 40009: 10 ports" in one.evidence[2]


@UIDS
def test_no_ports_are_left_but_reserved_ones(uid: int) -> None:
    """Those that are kept back are no use to clients."""
    keep = "sysctl -qw net.ipv4.ip_local_reserved_ports=40004-40020"
    (one,) = asUser(uid, wrong, lambda: busy(4, more=keep))
    assert one.kind == "ports-exhausted" and "4 ports" in one.evidence[2]
    assert one.remedy[-1].endswith("40004-40020")


def test_what_gives_clients_ports_again() -> None:
    """The remedy is one."""

    def seen() -> list[str]:
        sh(command(wrong()[0].remedy[1]))
        return [one.kind for one in wrong()]

    assert asUser(0, seen, lambda: busy(10)) == ["listener-silent"]


@UIDS
def test_few_ports_are_left(uid: int) -> None:
    """It still works, and is told."""
    found = asUser(uid, lambda: examine(Asked("127.0.0.1", PORT)), lambda: busy(8))
    (one,) = [one for one in found if one.severity is Severity.WARNING]
    assert one.kind == "ports-scarce" and one.says.startswith("Of 10 ports for clients, 9 are used")


def notes(port: int = PORT) -> Iterator[Finding]:
    """What is good to know about a port."""
    found = examine(Asked("127.0.0.1", port))
    return (one for one in found if one.severity is Severity.NOTE)


@UIDS
def test_a_port_that_clients_get(uid: int) -> None:
    """A server's port in the range for clients is told."""
    widen = "sysctl -qw net.ipv4.ip_local_port_range='7000 8000'"
    found = asUser(uid, lambda: list(notes()), lambda: made(widen))
    assert "port-in-ephemeral-range" in [one.kind for one in found]


def test_what_keeps_a_port_from_clients() -> None:
    """The remedy keeps it, and what was kept before."""

    def seen() -> tuple[list[str], str]:
        (one,) = [one for one in notes() if one.kind == "port-in-ephemeral-range"]
        sh(command(one.remedy[0]))
        with open("/proc/sys/net/ipv4/ip_local_reserved_ports") as file:
            return [one.kind for one in notes()], file.read().strip()

    before = "sysctl -qw net.ipv4.ip_local_port_range='7000 8000'"
    before += "; sysctl -qw net.ipv4.ip_local_reserved_ports=80,7100-7105"
    kinds, kept = asUser(0, seen, lambda: made(before))
    assert "port-in-ephemeral-range" not in kinds
    assert kept == f"80,7100-7105,{PORT}"


@UIDS
def test_a_port_of_chance(uid: int) -> None:
    """A number that other systems pick, and nobody listens."""
    found = asUser(uid, lambda: [one.kind for one in notes(62893)], made)
    assert sorted(found) == ["debugger-disconnected", "port-of-chance"]


@UIDS
def test_a_port_for_root(uid: int) -> None:
    """Nobody listens on a port that not everybody may listen on; the remedy lets them."""

    def seen() -> Finding:
        (one,) = [one for one in notes(81) if one.kind == "port-needs-privilege"]
        return one

    one = asUser(uid, seen, made)
    allow = command(one.remedy[2].replace("as root, for everybody", "as root"))
    listen = lambda: socket.create_server(("127.0.0.1", 81)).close()  # noqa: E731
    asUser(STRANGER, listen, lambda: made(allow))
    with pytest.raises(AssertionError, match="PermissionError"):
        asUser(STRANGER, listen, made)


@UIDS
def test_a_healthy_machine(uid: int) -> None:
    """Nothing is found, but who it is, and that nobody accepts."""
    kinds = asUser(uid, lambda: [one.kind for one in examine(Asked("127.0.0.1", PORT))], made)
    assert set(kinds) == {"listener-silent", "listens-everywhere"}
