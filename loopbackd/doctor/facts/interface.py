"""The loopback interface: whether it is there, and what addresses it has (netdevice(7))."""

from __future__ import annotations

import fcntl
import socket
import struct
from dataclasses import dataclass
from typing import Final

from loopbackd.net.endpoint import hasIPv6

_SIOCGIFFLAGS: Final = 0x8913
_SIOCGIFADDR: Final = 0x8915
_IFF_UP: Final = 1
_REQUEST: Final = struct.Struct("16s24s")


@dataclass(frozen=True, slots=True)
class Interface:
    """
    What there is of C{lo}.

    @ivar isUp: it is up; L{None} where that is not told.
    @ivar address: its IPv4 address; empty for none.
    @ivar hasIPv6: C{::1} can be listened on.
    """

    isUp: bool | None = True
    address: str = "127.0.0.1"
    hasIPv6: bool = True


def interface(name: bytes = b"lo") -> Interface:
    """Ask the kernel about the loopback interface of this network namespace."""
    flags, address = _ask(_SIOCGIFFLAGS, name), _ask(_SIOCGIFADDR, name)
    isUp = None if flags is None else bool(struct.unpack_from("=H", flags)[0] & _IFF_UP)
    found = "" if address is None else socket.inet_ntoa(address[4:8])
    return Interface(isUp, found, hasIPv6())


def _ask(what: int, name: bytes) -> bytes | None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            said = fcntl.ioctl(sock, what, _REQUEST.pack(name, b""))
        except OSError:
            return None
    return bytes(_REQUEST.unpack(said)[1])
