"""The packets that make a connection within this machine, or out of it, as filters see them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final, Literal

Leg = Literal["asking", "answering"]
"""A client's SYN, and the SYN and ACK that come back."""

Value = str | int | frozenset[str]

EPHEMERAL: Final = 0
"""Stands for the client's port, which is not known before it connects."""

HOOKS: Final = ("output", "postrouting", "egress", "ingress", "prerouting", "input")
"""Where filters are asked, in the order in which a packet within one machine comes by."""

_WAY_IN: Final = frozenset({"ingress", "prerouting", "input"})


@dataclass(frozen=True, slots=True)
class Way:
    """
    The way of a connection.

    @ivar source: the client's IP address.
    @ivar host: the server's.
    @ivar interface: that packets leave by; C{lo} within one machine; empty where it is not known.
    @ivar uid: the client's.
    @ivar isWithin: it stays on this machine.
    """

    source: str
    host: str
    port: int
    interface: str = "lo"
    uid: int = 0
    isWithin: bool = True


@dataclass(frozen=True, slots=True)
class Packet:
    """
    One packet at one place.

    @ivar facts: what filters can ask about it, by name; what is not there is not known.
    """

    leg: Leg
    hook: str
    facts: Mapping[str, Value]


def packets(way: Way) -> Iterator[Packet]:
    """Those without which there is no connection, at each place where this machine sees them."""
    for hook in HOOKS:
        if way.isWithin or hook not in _WAY_IN:
            yield Packet("asking", hook, _asking(way, hook))
    for hook in HOOKS:
        if way.isWithin or hook in _WAY_IN:
            yield Packet("answering", hook, _answering(way, hook))


def _asking(way: Way, hook: str) -> dict[str, Value]:
    found = _common(way, hook)
    found |= {"saddr": way.source, "daddr": way.host, "sport": EPHEMERAL, "dport": way.port}
    found |= {"state": "new", "direction": "original", "flags": frozenset({"syn"})}
    if hook not in _WAY_IN:
        found["uid"] = way.uid
    return found


def _answering(way: Way, hook: str) -> dict[str, Value]:
    found = _common(way, hook)
    found |= {"saddr": way.host, "daddr": way.source, "sport": way.port, "dport": EPHEMERAL}
    found |= {"state": "established", "direction": "reply", "flags": frozenset({"syn", "ack"})}
    return found


def _common(way: Way, hook: str) -> dict[str, Value]:
    isIPv6 = ip_address(way.host).version == 6
    found: dict[str, Value] = {
        "protocol": "tcp",
        "family": "ipv6" if isIPv6 else "ipv4",
        "ethertype": "ip6" if isIPv6 else "ip",
        "iif": "",
        "oif": "",
    }
    side = "iif" if hook in _WAY_IN else "oif"
    if way.interface:
        found[side] = way.interface
    else:
        del found[side]
    if way.isWithin:
        found |= {"stype": "local", "dtype": "local", f"{side}type": "loopback"}
    return found
