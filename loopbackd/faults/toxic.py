"""A toxic of a service as it is now: whom it has met, and what it was decided to be to each."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random, SystemRandom
from typing import Any

import msgspec

from loopbackd.connection import Connection
from loopbackd.faults.kind import Context, Effect, Kind, Opening
from loopbackd.faults.matching import Matcher
from loopbackd.faultsettings import Stream, ToxicSettings


class Case:
    """What a toxic is to one connection."""

    __slots__ = ("chance", "drawn", "effect", "isMeant", "number", "opening")

    def __init__(self, number: int, seed: int, isMeant: bool) -> None:
        self.number = number
        self.isMeant = isMeant
        self.chance = Random(f"{seed}/{number}")
        self.drawn = self.chance.random()
        self.effect: Effect | None = None
        self.opening: tuple[Opening | None] | None = None


class Toxic:
    """
    One toxic of a service.

    @ivar settings: what was asked, with its name.
    @ivar kind: the attributes, found good.
    @ivar seed: what its chances come from.
    @ivar since: when it was put on.
    """

    def __init__(self, settings: ToxicSettings, kind: Kind, clock: Any) -> None:
        self.settings = settings
        self.kind = kind
        self.seed = SystemRandom().getrandbits(32) if settings.seed is None else settings.seed
        self.since = clock.seconds()
        self._clock = clock
        self._shared = kind.share()
        self._matcher = None if settings.match is None else Matcher(settings.match)
        self._cases: dict[Connection, Case] = {}
        self._met = 0

    @property
    def name(self) -> str:
        """What it is called; unique among the toxics of a service."""
        return self.settings.name

    @property
    def type(self) -> str:
        """What it does."""
        return self.settings.type

    @property
    def stream(self) -> Stream:
        """Which direction it is on."""
        return self.settings.stream

    @property
    def toxicity(self) -> float:
        """How probable it is that a connection has it."""
        return self.settings.toxicity

    @property
    def attributes(self) -> dict[str, Any]:
        """How much of it, as users write it, defaults included."""
        return msgspec.structs.asdict(self.kind)

    def hits(self, connection: Connection) -> bool:
        """Whether this connection has it."""
        case = self._cases.get(connection)
        return case is not None and case.effect is not None

    def meet(self, connection: Connection) -> Case:
        """Decide once for a connection that is new to it what it will be to it."""
        case = self._cases.get(connection)
        if case is None:
            self._met += 1
            isMeant = self._matcher is None or self._matcher.matches(connection)
            case = self._cases[connection] = Case(self._met, self.seed, isMeant)
            connection.whenEnded += (self._ended,)
        return case

    def wants(self, case: Case) -> bool:
        """Whether a connection is to have it."""
        return case.isMeant and case.drawn < self.toxicity

    def effect(self, connection: Connection, case: Case) -> Effect | None:
        """A new effect for a connection."""
        return self.kind.effect(self._context(connection, case))

    def opening(self, connection: Connection) -> Opening | None:
        """What it does to the opening of a connection; the same each time it is asked."""
        case = self.meet(connection)
        if type(self.kind).opening is Kind.opening or not self.wants(case):
            return None
        if case.opening is None:
            case.opening = (self.kind.opening(self._context(connection, case)),)
        return case.opening[0]

    def _context(self, connection: Connection, case: Case) -> Context:
        # Its own time of opening is that of the clock on the wall.
        opened = self._clock.seconds() - connection.age
        return Context(case.chance, self.since, case.number, self._shared, opened)

    def cases(self) -> Iterator[tuple[Connection, Case]]:
        """The live connections it has met."""
        return iter(list(self._cases.items()))

    def left(self, connection: Connection) -> None:
        """There is no effect of it on this connection any more; that may have ended."""
        case = self._cases.get(connection)
        if case is not None:
            case.effect = None
            if connection.closed is not None:
                del self._cases[connection]

    def _ended(self, connection: Connection) -> None:
        # What the peer has said before it went may still be under way, through the effect.
        case = self._cases.get(connection)
        if case is not None and case.effect is None:
            del self._cases[connection]
