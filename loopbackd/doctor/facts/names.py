"""Where a name leads, as every program on this machine asks it."""

from __future__ import annotations

import errno
import socket
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

from loopbackd.loglines import reasonOf
from loopbackd.net.endpoint import isLoopback

_EVERYBODY: Final = "255.255.255.255"


@dataclass(frozen=True, slots=True)
class Resolved:
    """
    What the system's resolver says of a name (getaddrinfo(3)).

    @ivar addresses: in the order in which a client tries them, each once.
    @ivar error: why there are none; empty if there are.
    """

    name: str
    addresses: tuple[str, ...] = ()
    error: str = ""


def resolve(name: str) -> Resolved:
    """Ask for the addresses of a name; an IP address is its own. May take seconds."""
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        return Resolved(name, error=reasonOf(error))
    hosts = [str(address[0]).partition("%")[0] for *_, address in found]
    return Resolved(name, tuple(dict.fromkeys(hosts)))


def isOwn(host: str) -> bool:
    """
    Whether an IP address is one of this machine's: whether it could be listened on, or should be.
    """
    if isLoopback(host):
        return True
    if ip_address(host.partition("%")[0]).is_multicast or host == _EVERYBODY:
        # It could be bound, and nobody can be connected to there.
        return False
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.bind((host, 0))
    except socket.gaierror:
        return False
    except OSError as error:
        return error.errno not in (errno.EADDRNOTAVAIL, errno.EINVAL, errno.EAFNOSUPPORT)
    return True
