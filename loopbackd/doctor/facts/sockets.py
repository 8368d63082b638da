"""The sockets that have a port of this machine, as the kernel tells."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from itertools import islice
from typing import Final

from loopbackd.doctor.facts.binding import bindError
from loopbackd.loglines import reasonOf
from loopbackd.peer.netlink import SocketDiag
from loopbackd.peer.sockdiag import LOOPBACK_INTERFACE, SocketRow, TCPState

_NAMES: Final = {"": "0.0.0.0", "localhost": "127.0.0.1"}
_MOST_TRIED: Final = 2000
"""Ports, until none is thought to be free: more than there are that only root may have."""


@dataclass(frozen=True, slots=True)
class Sockets:
    """
    The sockets whose own port is this one.

    @ivar rows: all of them, in whatever state.
    @ivar missing: why the kernel could not be asked; empty if it could.
    """

    port: int
    rows: tuple[SocketRow, ...] = ()
    missing: str = ""

    @property
    def listeners(self) -> list[SocketRow]:
        """Those that wait for connections."""
        return self._in(TCPState.LISTEN)

    @property
    def bound(self) -> list[SocketRow]:
        """Those that have the port and neither listen nor connect."""
        return self._in(TCPState.CLOSE)

    @property
    def connected(self) -> list[SocketRow]:
        """Those of somebody's open connections: accepted here, or going out from this port."""
        return [
            row
            for row in self.rows
            if row.inode and row.state not in (TCPState.LISTEN, TCPState.CLOSE)
        ]

    def reachedAt(self, host: str) -> SocketRow | None:
        """
        The listener that a connection to an IP address gets.

        The most specific one, as the kernel has it: an address of its own before all addresses,
        one that is bound to the interface before others, IPv4's before IPv6's that takes IPv4 in
        as well.
        """
        wanted = ip_address(host.partition("%")[0])
        found = [row for row in self.listeners if _takes(row, wanted)]
        return min(found, key=lambda row: _rank(row, wanted), default=None)

    def _in(self, state: TCPState) -> list[SocketRow]:
        return [row for row in self.rows if row.state is state]


def sockets(diag: SocketDiag, port: int) -> Sockets:
    """Ask the kernel; never raises for what it refuses."""
    try:
        return Sockets(port, tuple(diag.rows(port)))
    except (OSError, ValueError) as error:
        return Sockets(port, missing=reasonOf(error))


def nextFree(taken: Iterable[int], port: int) -> int | None:
    """
    The nearest port after this one that nobody has, or before it; never one below 1024 unless
    this one is.
    """
    there = frozenset(taken)
    return next((one for one in _near(port) if one not in there), None)


def freeNear(diag: SocketDiag, port: int, host: str = "127.0.0.1") -> int | None:
    """
    The nearest port that can really be listened on here; L{None} where that cannot be seen.

    @param host: at which address.
    """
    try:
        taken = {row.local[1] for row in diag.rows()}
    except (OSError, ValueError):
        return None
    free = (one for one in _near(port) if one not in taken)
    return next((one for one in islice(free, _MOST_TRIED) if not bindError(host, one)), None)


def isInTheWay(row: SocketRow, host: str) -> bool:
    """Whether a socket is in the way of listening on an address; an empty one is any."""
    return not host or conflicts(row, wantedAddress(host))


def conflicts(row: SocketRow, wanted: IPv4Address | IPv6Address | None) -> bool:
    """Whether a socket has an address that somebody wants; with L{None} whatever it has."""
    held = ip_address(row.local[0])
    if wanted is None or held == wanted:
        return True
    if held.version == wanted.version:
        return held.is_unspecified or wanted.is_unspecified
    if held.version == 6:
        return held.is_unspecified and not row.v6only
    return wanted.is_unspecified  # "::" asks for IPv4 as well


def wantedAddress(host: str) -> IPv4Address | IPv6Address | None:
    """
    What is bound for a host: an address, C{localhost}, or empty for every address; L{None} where
    that is not known.
    """
    try:
        found = ip_address(_NAMES.get(host, host))
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return mapped or found


def _near(port: int) -> Iterator[int]:
    lowest = 1 if port < 1024 else 1024
    yield from range(port + 1, 65536)
    yield from range(port - 1, lowest - 1, -1)


def _takes(row: SocketRow, wanted: IPv4Address | IPv6Address) -> bool:
    if wanted.is_loopback and row.interface not in (0, LOOPBACK_INTERFACE):
        return False
    held = ip_address(row.local[0])
    if held == wanted:
        return True
    if not held.is_unspecified:
        return False
    return held.version == wanted.version or (held.version == 6 and not row.v6only)


def _rank(row: SocketRow, wanted: IPv4Address | IPv6Address) -> tuple[bool, bool, bool]:
    held = ip_address(row.local[0])
    return held != wanted, not row.interface, held.version != wanted.version
