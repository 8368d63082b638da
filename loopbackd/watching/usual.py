"""What is usual on this machine: who has listened here before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from loopbackd.watching.listeners import Place
from loopbackd.watching.programs import Program

LIMIT: Final = 4096
"""How many listeners are remembered; beyond that those seen longest ago are forgotten."""

VERSION: Final = 1

_EVERYWHERE: Final = ("0.0.0.0", "::")


class Known(msgspec.Struct, kw_only=True):
    """
    A listener that was seen before.

    @ivar port: 0 for whichever the system has handed out.
    @ivar program: what L{Program.identity} says; empty where that could not be seen, which is then
        any.
    @ivar trusted: somebody said that it is all right; otherwise it was only seen.
    @ivar seen: when it was last told of, in seconds since the epoch.
    """

    host: str
    port: int
    uid: int
    program: str
    trusted: bool = False
    seen: float = 0.0


class Learned(msgspec.Struct, kw_only=True):
    """What is kept in the file."""

    version: int
    listeners: list[Known]


class Usual:
    """
    Remembers who has listened here.

    @param ephemeral: the ports that the system hands out, where the number means nothing.
    @ivar isFresh: nothing was ever learned, so that everything would be new.
    @ivar isChanged: there is something to be kept that was not before.
    """

    def __init__(self, ephemeral: range, known: Iterable[Known] = (), isFresh: bool = True) -> None:
        self.ephemeral = ephemeral
        self.isFresh = isFresh
        self.isChanged = False
        self._places: dict[Place, dict[str, Known]] = {}
        self._ports: dict[int, dict[Place, None]] = {}
        self._uids: set[int] = set()
        self._count = 0
        self.merge(known)

    def __iter__(self) -> Iterator[Known]:
        for programs in self._places.values():
            yield from programs.values()

    def __len__(self) -> int:
        return self._count

    def isFixed(self, place: Place) -> bool:
        """Whether somebody chose that port on purpose, as far as its number says."""
        return place.port not in self.ephemeral

    def find(self, place: Place, program: Program | None) -> Known | None:
        """What is known of such a listener, what is trusted first."""
        programs = self._places.get(self._plain(place), {})
        path = "" if program is None else program.identity
        found = (
            [programs[one] for one in (path, "") if one in programs] if path else programs.values()
        )
        return max(found, key=lambda one: one.trusted, default=None)

    def knowsUser(self, uid: int) -> bool:
        """Whether somebody of that uid has listened before."""
        return uid in self._uids

    def knownAt(self, place: Place) -> list[Known]:
        """Who has listened on a port that was chosen, at an address that is in the way."""
        if not self.isFixed(place):
            return []
        return [
            known
            for there in self._ports.get(place.port, ())
            if _overlap(there.host, place.host)
            for known in self._places[there].values()
        ]

    def learn(self, place: Place, program: Program | None, now: float, trusted: bool) -> None:
        """Remember a listener; what was trusted stays so."""
        plain = self._plain(place)
        path = "" if program is None else program.identity
        known = self._places.get(plain, {}).get(path)
        if known is None and not path:
            known = self.find(place, program)
        if known is None:
            known = Known(host=plain.host, port=plain.port, uid=plain.uid, program=path)
            self._add(known)
            self.isChanged = True
        if trusted and not known.trusted:
            known.trusted = self.isChanged = True
        known.seen = now
        self._bound()

    def merge(self, known: Iterable[Known]) -> None:
        """Remember these as well."""
        for one in known:
            there = self._places.get(Place(one.host, one.port, one.uid), {}).get(one.program)
            if there is None:
                self._add(one)
            else:
                there.trusted = there.trusted or one.trusted
                there.seen = max(there.seen, one.seen)
        self._bound()

    def _plain(self, place: Place) -> Place:
        return place if self.isFixed(place) else place._replace(port=0)

    def _add(self, one: Known) -> None:
        place = Place(one.host, one.port, one.uid)
        self._places.setdefault(place, {})[one.program] = one
        self._ports.setdefault(one.port, {})[place] = None
        self._uids.add(one.uid)
        self._count += 1

    def _bound(self) -> None:
        if self._count <= LIMIT:
            return
        latest = sorted(self, key=lambda one: (one.trusted, one.seen), reverse=True)
        self._places, self._ports, self._uids, self._count = {}, {}, set(), 0
        # More at once than need be: this is not to be done for each of thousands.
        for one in latest[: LIMIT - LIMIT // 8]:
            self._add(one)


def _overlap(one: str, other: str) -> bool:
    return one == other or one in _EVERYWHERE or other in _EVERYWHERE
