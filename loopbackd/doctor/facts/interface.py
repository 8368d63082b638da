"""The loopback interface: whether it is there, and what addresses it has (netdevice(7))."""

from __future__ import annotations

import fcntl
import socket
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from loopbackd.doctor.facts.files import textOf
from loopbackd.peer.proc import contentOf

_SIOCGIFFLAGS: Final = 0x8913
_SIOCGIFADDR: Final = 0x8915
_IFF_UP: Final = 1
_REQUEST: Final = struct.Struct("16s24s")
_IPV6: Final = "/proc/self/net/if_inet6"
_DISABLED: Final = "/proc/sys/net/ipv6/conf/{}/disable_ipv6"


@dataclass(frozen=True, slots=True)
class Interface:
    """
    What there is of C{lo}.

    @ivar isUp: it is up; L{None} where that is not told.
    @ivar missing: of the addresses that somebody wants to get to, those that cannot be used.
    @ivar hasIPv6: this system knows IPv6.
    @ivar disabled: of C{all} and C{lo}, those for which IPv6 is switched off (C{disable_ipv6}).
    """

    isUp: bool | None = True
    missing: frozenset[str] = frozenset()
    hasIPv6: bool = True
    disabled: tuple[str, ...] = ()

    def has(self, host: str) -> bool:
        """Whether packets to an address of this machine get anywhere."""
        return self.isUp is not False and host not in self.missing


def interface(hosts: Iterable[str], name: str = "lo") -> Interface:
    """
    Ask the kernel about the loopback interface of this network namespace.

    @param hosts: the addresses of this machine that matter.
    """
    flags = _flags(name)
    isUp = None if flags is None else bool(flags & _IFF_UP)
    missing = frozenset(host for host in hosts if not _canBind(host))
    known = contentOf(_IPV6) is not None
    disabled = tuple(one for one in ("all", name) if contentOf(_DISABLED.format(one)) == b"1\n")
    return Interface(isUp, missing, known, disabled)


def interfaceOf(host: str) -> str:
    """The name of the interface that has an IP address; empty where none is found."""
    if ":" in host:
        wanted = socket.inet_pton(socket.AF_INET6, host.partition("%")[0]).hex()
        lines = [line.split() for line in textOf(_IPV6, 1 << 20).splitlines()]
        return next((words[5] for words in lines if len(words) > 5 and words[0] == wanted), "")
    packed = socket.inet_aton(host)
    for _, name in socket.if_nameindex():
        found = _ask(_SIOCGIFADDR, name)
        if found is not None and found[4:8] == packed:
            return name
    return ""


def _flags(name: str) -> int | None:
    found = _ask(_SIOCGIFFLAGS, name)
    return None if found is None else int(struct.unpack_from("=H", found)[0])


def _ask(what: int, name: str) -> bytes | None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            said = fcntl.ioctl(sock, what, _REQUEST.pack(name.encode(), b""))
        except OSError:
            return None
    return bytes(_REQUEST.unpack(said)[1])


def _canBind(host: str) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((host, 0))
    except OSError:
        return False
    return True
