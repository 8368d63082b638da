"""All that is read of a port to say who has it, and what else keeps a server from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from loopbackd.doctor.facts.binding import bindError
from loopbackd.doctor.facts.ephemeral import ephemeral
from loopbackd.doctor.facts.holder import Holders, holdersOf
from loopbackd.doctor.facts.keepers import asSystemdSays
from loopbackd.doctor.facts.sockets import Sockets, freeNear, isInTheWay, sockets
from loopbackd.peer.netlink import SocketDiag
from loopbackd.peer.sockdiag import SocketRow

_EVERYWHERE: Final = ("0.0.0.0", "::")


@dataclass(frozen=True, slots=True)
class Occupancy:
    """
    Who has a port.

    @ivar there: the sockets that have it.
    @ivar holders: whoever has those.
    @ivar host: the one address of it that matters; empty for all.
    @ivar errors: what binding said (0 where it worked), by address: those that matter.
    @ivar unprivileged: the first port that needs no privilege.
    @ivar free: the nearest port that nobody has; L{None} where that cannot be seen.
    """

    there: Sockets
    holders: Holders = field(default_factory=dict)
    host: str = ""
    errors: Mapping[str, int] = field(default_factory=dict)
    unprivileged: int = 0
    free: int | None = None

    @property
    def listening(self) -> list[SocketRow]:
        """Those that listen, and are in the way of listening at that address."""
        return [row for row in self.there.listeners if isInTheWay(row, self.host)]


def occupancy(diag: SocketDiag, port: int, host: str = "") -> Occupancy:
    """Read it; where the kernel does not tell of sockets, that is all that is known."""
    there = sockets(diag, port)
    if there.missing:
        return Occupancy(there, host=host)
    return Occupancy(
        there,
        asSystemdSays(holdersOf(there.rows), there.rows),
        host,
        {one: bindError(one, port) for one in ((host,) if host else _EVERYWHERE)},
        ephemeral().unprivileged,
        freeNear(diag, port, host or "127.0.0.1"),
    )
