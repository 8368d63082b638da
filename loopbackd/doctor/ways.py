"""What is on the way to an address: the interface, the firewall, and the ports of clients."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from loopbackd.doctor.checks.ephemeral import checkPort, checkPortsLeft, mayBeScarce
from loopbackd.doctor.checks.firewall import checkFirewall, checkForbidden, suspects
from loopbackd.doctor.checks.interface import checkInterface
from loopbackd.doctor.facts.attempt import Attempt
from loopbackd.doctor.facts.ephemeral import clients, ephemeral
from loopbackd.doctor.facts.firewall import firewall, sourceTo
from loopbackd.doctor.facts.interface import Interface, interface, interfaceOf
from loopbackd.doctor.facts.packets import Way
from loopbackd.doctor.facts.sockets import Sockets
from loopbackd.doctor.finding import Finding
from loopbackd.peer.netlink import SocketDiag


def examineWays(
    there: Sockets, attempts: Sequence[Attempt], own: frozenset[str]
) -> Iterator[Finding]:
    """
    Say what is to be found about the ways that were tried.

    Takes up to two seconds where a firewall is suspected, as root, and next to nothing otherwise.

    @param own: the addresses of this machine.
    """
    ours = [one for one in attempts if one.host in own]
    lo = interface(one.host for one in ours)
    yield from checkInterface(lo, ours)
    yield from checkForbidden(attempts)
    yield from _firewall(there, attempts, lo, own)
    yield from _ports(there, [one for one in ours if lo.has(one.host)])


def _firewall(
    there: Sockets, attempts: Sequence[Attempt], lo: Interface, own: frozenset[str]
) -> Iterator[Finding]:
    if there.missing:
        return
    suspected = suspects(there, attempts, lo, own)
    ways = {one.host: _way(one.host, one.port, one.host in own) for one in suspected}
    # Each version of IP has its own rules, the same for all of its addresses.
    ofVersion = {":" in host: host for host in ways}
    read = {isIPv6: firewall(host) for isIPv6, host in ofVersion.items()}
    yield from checkFirewall(there, suspected, ways, {host: read[":" in host] for host in ways})


def _way(host: str, port: int, isWithin: bool) -> Way:
    source = sourceTo(host, port)
    name = "lo" if isWithin else interfaceOf(source)
    # A zone is anybody's words, and no part of what filters see.
    return Way(source, host.partition("%")[0], port, name, os.geteuid(), isWithin)


def _ports(there: Sockets, attempts: Sequence[Attempt]) -> Iterator[Finding]:
    if not attempts:
        return
    ports = ephemeral()
    counted = []
    if mayBeScarce(ports, attempts):
        counted = [clients(SocketDiag(), one.host, one.port) for one in attempts]
    yield from checkPortsLeft(ports, attempts, counted)
    yield from checkPort(ports, there, attempts)
