"""The listeners of this machine, and what became of them between two looks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import NamedTuple

from loopbackd.hostport import joined
from loopbackd.peer.sockdiag import SocketRow, TCPState


class Place(NamedTuple):
    """
    Where somebody listens, and whose it is: what tells one listener from another.

    @ivar host: an IP address.
    """

    host: str
    port: int
    uid: int

    @property
    def isEverywhere(self) -> bool:
        """Whether it is on every address of this machine."""
        return ip_address(self.host).is_unspecified

    @property
    def isLoopback(self) -> bool:
        """Whether only this machine can reach it."""
        return ip_address(self.host).is_loopback

    @property
    def address(self) -> str:
        """Host and port in one word."""
        return joined(self.host, self.port)


@dataclass(frozen=True, slots=True)
class Listener:
    """
    Somebody who listens; with C{SO_REUSEPORT} by several sockets.

    @ivar inodes: its sockets.
    @ivar waiting: how many connections nobody has accepted yet.
    """

    place: Place
    inodes: frozenset[int]
    v6only: bool = False
    waiting: int = 0

    def isSame(self, other: Listener) -> bool:
        """Whether one of its sockets is one of another's, so that nobody has begun anew."""
        return self.place == other.place and not self.inodes.isdisjoint(other.inodes)


Listeners = Mapping[Place, Listener]


class Difference(NamedTuple):
    """
    What became of the listeners.

    @ivar opened: those that were not there.
    @ivar closed: those that are gone; one that begins anew between two looks is gone first.
    """

    opened: tuple[Listener, ...]
    closed: tuple[Listener, ...]


def listenersIn(rows: Iterable[SocketRow]) -> dict[Place, Listener]:
    """The listeners among the sockets of this machine."""
    found: dict[Place, list[SocketRow]] = {}
    for row in rows:
        if row.state is TCPState.LISTEN:
            found.setdefault(Place(*row.local, row.uid), []).append(row)
    return {
        place: Listener(
            place,
            frozenset(row.inode for row in rows),
            all(row.v6only for row in rows),
            sum(row.received for row in rows),
        )
        for place, rows in found.items()
    }


def difference(before: Listeners, after: Listeners) -> Difference:
    """What there is to tell between two looks, in the order of their places."""
    opened, closed = [], []
    for place in sorted(before.keys() | after.keys(), key=_order):
        was, now = before.get(place), after.get(place)
        if was is not None and now is not None and was.isSame(now):
            continue
        if was is not None:
            closed.append(was)
        if now is not None:
            opened.append(now)
    return Difference(tuple(opened), tuple(closed))


def _order(place: Place) -> tuple[int, str, int]:
    return place.port, place.host, place.uid
