"""Whether the loopback interface is as everybody takes it to be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from loopbackd.doctor.facts.attempt import Attempt
from loopbackd.doctor.facts.interface import Interface
from loopbackd.doctor.finding import Finding, Severity


def checkInterface(lo: Interface, attempts: Sequence[Attempt]) -> Iterator[Finding]:
    """Whether it is up, and has the addresses that somebody wants to get to."""
    if lo.isUp is False:
        yield Finding(
            "lo-down",
            Severity.PROBLEM,
            "The loopback interface is down: nothing gets from this machine to itself.",
            ("lo has not the flag UP (SIOCGIFFLAGS)",),
            ("as root: ip link set lo up",),
            99,
        )
    elif not lo.address:
        yield Finding(
            "lo-without-address",
            Severity.PROBLEM,
            "The loopback interface has no IPv4 address.",
            ("lo has no address (SIOCGIFADDR)",),
            ("as root: ip addr add 127.0.0.1/8 dev lo",),
            98,
        )
    if not lo.hasIPv6 and any(":" in one.host and one.error for one in attempts):
        yield Finding(
            "no-ipv6",
            Severity.PROBLEM,
            "This machine has no IPv6 on the loopback interface.",
            ("::1 cannot be bound",),
            (
                "use 127.0.0.1",
                "or, as root: sysctl -w net.ipv6.conf.lo.disable_ipv6=0",
            ),
            92,
        )
