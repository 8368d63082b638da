"""The sockets that have a port of this machine, as the kernel tells."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

from loopbackd.peer.netlink import SocketDiag
from loopbackd.peer.sockdiag import SocketRow, TCPState


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

    @property
    def closing(self) -> list[SocketRow]:
        """Those that nobody has any more, and the kernel keeps for a while."""
        return [
            row
            for row in self.rows
            if not row.inode and row.state not in (TCPState.LISTEN, TCPState.CLOSE)
        ]

    def reachedAt(self, host: str) -> SocketRow | None:
        """
        The listener that a connection to an IP address gets.

        The most specific one, as the kernel has it: an address of its own before all addresses,
        IPv4's before IPv6's that takes IPv4 in as well.
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
        return Sockets(port, missing=getattr(error, "strerror", None) or str(error))


def nextFree(taken: Iterable[int], port: int) -> int | None:
    """
    The nearest port after this one that nobody has, or before it; never one below 1024 unless
    this one is.
    """
    there = frozenset(taken)
    lowest = 1 if port < 1024 else 1024
    candidates = [*range(port + 1, 65536), *range(port - 1, lowest - 1, -1)]
    return next((one for one in candidates if one not in there), None)


def freeNear(diag: SocketDiag, port: int) -> int | None:
    """The nearest port that can be listened on here; L{None} where that cannot be seen."""
    try:
        taken = {row.local[1] for row in diag.rows()}
    except (OSError, ValueError):
        return None
    while (found := nextFree(taken, port)) is not None and not _canBind(found):
        taken.add(found)
    return found


def _canBind(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _takes(row: SocketRow, wanted: IPv4Address | IPv6Address) -> bool:
    held = ip_address(row.local[0])
    if held == wanted:
        return True
    if not held.is_unspecified:
        return False
    return held.version == wanted.version or (held.version == 6 and not row.v6only)


def _rank(row: SocketRow, wanted: IPv4Address | IPv6Address) -> tuple[bool, bool]:
    held = ip_address(row.local[0])
    return held != wanted, held.version != wanted.version
