"""Whether the loopback interface is as everybody takes it to be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from loopbackd.doctor.facts.attempt import Attempt
from loopbackd.doctor.facts.interface import Interface
from loopbackd.doctor.finding import Finding, Severity


def checkInterface(lo: Interface, attempts: Sequence[Attempt]) -> Iterator[Finding]:
    """
    Whether it is up, and has the addresses that somebody wants to get to.

    @param attempts: at addresses of this machine.
    """
    if lo.isUp is False:
        yield Finding(
            "lo-down",
            Severity.PROBLEM,
            "The loopback interface is down: nothing gets from this machine to itself.",
            ("lo has not the flag UP (SIOCGIFFLAGS)",),
            ("as root: ip link set lo up",),
            99,
        )
        return
    failed = [one for one in attempts if one.error and one.host in lo.missing]
    yield from _withoutIPv4([one for one in failed if ":" not in one.host])
    isBeside = any(":" not in one.host for one in attempts)
    yield from _withoutIPv6(lo, [one for one in failed if ":" in one.host], isBeside)


def _withoutIPv4(failed: Sequence[Attempt]) -> Iterator[Finding]:
    for one in failed[:1]:
        address = "127.0.0.1/8" if one.host.startswith("127.") else one.host
        yield Finding(
            "lo-without-address",
            Severity.PROBLEM,
            f"The loopback interface does not have the address {one.host}.",
            (f"{one.host} cannot be bound", f"connecting: {one.reason}"),
            (f"as root: ip addr add {address} dev lo",),
            98,
        )


def _withoutIPv6(lo: Interface, failed: Sequence[Attempt], isBeside: bool) -> Iterator[Finding]:
    for one in failed[:1]:
        if not lo.hasIPv6:
            how = "this system knows no IPv6 (there is no /proc/self/net/if_inet6)"
            remedy = ("start it without ipv6.disable=1 on the kernel's command line",)
        elif lo.disabled:
            names = [f"net.ipv6.conf.{name}.disable_ipv6" for name in lo.disabled]
            how = f"{' and '.join(names)} is 1"
            remedy = (f"as root: sysctl -w {' '.join(f'{name}=0' for name in names)}",)
        else:
            how = "lo does not have it, though IPv6 is on"
            address = one.host.partition("%")[0]
            remedy = (f"as root: ip -6 addr add {address}/128 dev lo",)
        yield Finding(
            "no-ipv6",
            Severity.NOTE if isBeside else Severity.PROBLEM,
            f"This machine does not have the address {one.host}.",
            (f"connecting: {one.reason}", how),
            ("use 127.0.0.1", *remedy),
            92,
        )
