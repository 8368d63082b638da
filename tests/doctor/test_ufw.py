"""A firewall that ufw writes, in a network and with files of its own."""

from __future__ import annotations

import ctypes
import socket
import subprocess
from collections.abc import Callable

import pytest
from asuser import STRANGER, apart, become, inChild

from loopbackd.doctor.asked import Asked
from loopbackd.doctor.examination import examine
from loopbackd.doctor.facts import attempt
from loopbackd.doctor.finding import Finding, Severity

PORT = 7777
_CLONE_NEWNS = 0x00020000

OWN_FILES = """
mount --make-rprivate /
mount -t tmpfs none /run
cp -a /etc/ufw /etc/default /run
mount --bind /run/ufw /etc/ufw
mount --bind /run/default /etc/default
ufw --force reset
"""
ENABLE = "ufw --force enable\n"
WITHOUT_LO = """
sed -i -E 's/^-A ufw6?-before-(input -i|output -o) lo -j ACCEPT/#&/' /etc/ufw/before*.rules
"""


@pytest.fixture(autouse=True)
def _canDoThis(needsRoot: None, program: Callable[..., str]) -> None:
    for one in ("ufw", "iptables", "ip", "mount"):
        program(one)


def sh(commands: str) -> None:
    """Run them, every one."""
    subprocess.run(f"set -e\n{commands}", shell=True, check=True, stdout=subprocess.DEVNULL)


def made(commands: str = ENABLE) -> socket.socket:
    """ufw has files of its own, and somebody listens."""
    apart()
    if ctypes.CDLL(None).unshare(_CLONE_NEWNS):
        raise OSError("no mounts of one's own")
    sh(OWN_FILES + commands)
    # What comes at all is there before connect(2) returns; this process is nobody else's.
    attempt.PATIENCE = 0.3
    return socket.create_server(("127.0.0.1", PORT))


def wrong() -> list[Finding]:
    """What is wrong with connecting there."""
    return [one for one in examine(Asked("127.0.0.1", PORT)) if one.severity is Severity.PROBLEM]


SITUATIONS = {
    "its rules were flushed": (
        f"{ENABLE}iptables -F",
        "table filter, chain INPUT: policy drop",
        "/usr/lib/ufw/ufw-init flush-all && ufw reload",
    ),
    "it drops by its policy": (
        WITHOUT_LO + ENABLE,
        "table filter, chain INPUT: policy drop",
        f"ufw prepend allow in on lo to any port {PORT} proto tcp",
    ),
    "it denies a port": (
        f"{WITHOUT_LO}ufw deny {PORT}/tcp\n{ENABLE}",
        "table filter, chain ufw-user-input (reached from chain INPUT)",
        f"ufw prepend allow in on lo to any port {PORT} proto tcp",
    ),
    "it denies what goes out": (
        f"{WITHOUT_LO}ufw default deny outgoing\nufw allow {PORT}/tcp\n{ENABLE}",
        "table filter, chain OUTPUT: policy drop",
        f"ufw prepend allow out on lo to any port {PORT} proto tcp",
    ),
}


@pytest.mark.parametrize("name", SITUATIONS)
def test_ufw(name: str) -> None:
    """Root is told the rule, and a command of ufw's, which allows it for good."""
    commands, seen, remedy = SITUATIONS[name]

    def examined() -> list[Finding]:
        kept = made(commands)
        (one,) = wrong()
        sh(one.remedy[0].removeprefix("as root: "))
        found = [one]
        socket.create_connection(("127.0.0.1", PORT), 2).close()
        sh("ufw reload")
        socket.create_connection(("127.0.0.1", PORT), 2).close()
        kept.close()
        return found

    (one,) = inChild(lambda: None, examined)
    assert one.kind == "firewall-drops"
    assert any(seen in line for line in one.evidence), one.evidence
    assert one.remedy[0] == f"as root: {remedy}"


def test_ufw_for_others() -> None:
    """That it is on is known to everybody."""

    def examined() -> list[Finding]:
        kept = made(WITHOUT_LO + ENABLE)
        become(STRANGER)
        found = wrong()
        kept.close()
        return found

    (one,) = inChild(lambda: None, examined)
    allow = f"as root: ufw prepend allow in on lo to any port {PORT} proto tcp"
    assert one.kind == "firewall-drops" and one.remedy[0] == allow


@pytest.mark.parametrize("uid", [0, STRANGER])
def test_ufw_as_it_comes(uid: int) -> None:
    """It lets through what stays on the machine: nobody accepts, and no more is wrong."""

    def examined() -> list[str]:
        kept = made()
        become(uid)
        found = [one.kind for one in wrong()]
        kept.close()
        return found

    assert inChild(lambda: None, examined) == ["listener-silent"]
