"""The loopback interface, from made facts."""

from __future__ import annotations

import errno

import pytest

from loopbackd.doctor.checks.interface import checkInterface
from loopbackd.doctor.facts.attempt import Attempt
from loopbackd.doctor.facts.interface import Interface, interface, interfaceOf
from loopbackd.doctor.finding import Severity

V4, V6 = "127.0.0.1", "::1"
LOST = frozenset({V6})


def attempts(*hosts: str) -> list[Attempt]:
    """Those that failed."""
    return [Attempt(host, 80, errno.EADDRNOTAVAIL) for host in hosts]


@pytest.mark.parametrize(
    ("lo", "hosts", "kinds"),
    [
        (Interface(), [V4, V6], []),
        (Interface(isUp=None), [V4], []),
        (Interface(isUp=False, missing=frozenset({V4})), [V4], ["lo-down"]),
        (Interface(missing=frozenset({V4})), [V4], ["lo-without-address"]),
        (Interface(missing=LOST), [V4], []),
        (Interface(missing=LOST), [V6], ["no-ipv6"]),
        (Interface(missing=LOST, hasIPv6=False), [V6], ["no-ipv6"]),
    ],
)
def test_what_is_missing(lo: Interface, hosts: list[str], kinds: list[str]) -> None:
    """One cause each, and none where it does not matter."""
    assert [one.kind for one in checkInterface(lo, attempts(*hosts))] == kinds


@pytest.mark.parametrize(
    ("lo", "remedy"),
    [
        (Interface(missing=LOST), "as root: ip -6 addr add ::1/128 dev lo"),
        (
            Interface(missing=LOST, disabled=("all", "lo")),
            "as root: sysctl -w net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.lo.disable_ipv6=0",
        ),
        (
            Interface(missing=LOST, hasIPv6=False),
            "start it without ipv6.disable=1 on the kernel's command line",
        ),
    ],
)
def test_ipv6(lo: Interface, remedy: str) -> None:
    """Why it is not there, and what brings it; it is no trouble where IPv4 is tried as well."""
    (alone,) = checkInterface(lo, attempts(V6))
    (beside,) = checkInterface(lo, attempts(V6, V4))
    assert alone.remedy[1] == remedy
    assert (alone.severity, beside.severity) == (Severity.PROBLEM, Severity.NOTE)


def test_nobodys_words_in_a_command() -> None:
    """The zone of an address can be anything."""
    host = "::1%$(reboot)"
    (one,) = checkInterface(Interface(missing=frozenset({host})), attempts(host))
    assert one.remedy[1] == "as root: ip -6 addr add ::1/128 dev lo"


def test_this_machine() -> None:
    """It is as everybody takes it to be, as long as these tests can run."""
    lo = interface([V4, "192.0.2.1"])
    assert lo.isUp and lo.missing == {"192.0.2.1"}
    assert interfaceOf(V4) == "lo" and interfaceOf("192.0.2.1") == ""
    assert interface([], "no-such-device").isUp is None
