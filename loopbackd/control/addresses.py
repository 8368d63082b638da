"""Addresses as Toxiproxy has them, C{host:port}, and as endpoint strings."""

from __future__ import annotations

import errno
import ipaddress
import os
from typing import Final

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.endpoints import quoteStringArgument

from loopbackd.hostport import joined
from loopbackd.listener import CannotListen
from loopbackd.live import LiveService
from loopbackd.net.endpoint import Endpoint, leadsHere

_HERE: Final = "127.0.0.1"
_REASONS: Final = {
    errno.EADDRINUSE: "address already in use",
    errno.EACCES: "permission denied",
    errno.EADDRNOTAVAIL: "cannot assign requested address",
}


class AddressError(ValueError):
    """It is no address to listen on; in the words that Toxiproxy has."""


def splitListen(listen: str) -> tuple[str, int]:
    """
    The host and the port of an address to listen on.

    No host is this machine alone, where Toxiproxy listens for all others, too.

    @raise AddressError: it is none.
    """
    if not listen:
        return _HERE, 0
    host, colon, port = listen.rpartition(":")
    if listen.startswith("["):
        inside, bracket, rest = listen[1:].partition("]")
        if not bracket:
            raise AddressError(f"address {listen}: missing ']' in address")
        host, colon, port = inside, rest[:1], rest[1:]
    elif ":" in host:
        raise AddressError(f"address {listen}: too many colons in address")
    if colon != ":":
        raise AddressError(f"address {listen}: missing port in address")
    if not (port.isascii() and port.isdecimal()):
        if port:
            raise AddressError(f"lookup tcp/{port}: unknown port")
        port = "0"
    if len(port) > 5 or int(port) > 65535:
        raise AddressError(f"address {port}: invalid port")
    return host or _HERE, int(port)


def resolved(host: str) -> str:
    """
    The address of a host to listen on; of names only those of this machine, which nobody is asked
    about.

    @raise AddressError: it is none of these.
    """
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        if leadsHere(host):
            return _HERE
        raise AddressError(f"lookup {host}: no such host") from None


def endpointFor(host: str, port: int) -> str:
    """The endpoint string of an address."""
    kind = "tcp6" if ":" in host else "tcp"
    return f"{kind}:{port}:interface={quoteStringArgument(host)}"


def listenOf(live: LiveService) -> str:
    """Where a service listens, or would; an address that was chosen for it is remembered."""
    bound = live.bound
    if isinstance(bound, IPv4Address | IPv6Address):
        return joined(bound.host, bound.port)
    return _written(live.prepared.endpoint)


def _written(endpoint: Endpoint) -> str:
    if endpoint.host is not None and endpoint.port is not None:
        return joined(endpoint.host, endpoint.port)
    return endpoint.text


def upstreamOf(live: LiveService) -> str:
    """Where a relay leads to."""
    target = live.prepared.settings.target
    short = target.removeprefix("tcp:")
    return short if short.count(":") == 1 else target


def whyNot(error: CannotListen) -> str:
    """Why an address cannot be bound, in the words that Toxiproxy has."""
    why = _REASONS.get(error.number) or os.strerror(error.number).lower()
    return f"listen tcp {_written(error.endpoint)}: bind: {why}"
