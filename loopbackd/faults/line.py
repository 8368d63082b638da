"""For tests of toxics: a link in memory, with a clock that is told how late it is."""

from __future__ import annotations

from random import Random

from twisted.internet.task import Clock

from loopbackd.faults.kind import Context, Effect, Kind, Mark, Piece
from loopbackd.faults.link import Link


class FarEnd:
    """
    What notes all that comes out of a link (see L{loopbackd.faults.link.Outlet}).

    @ivar came: when, and what: bytes, or a L{Mark} for an end.
    @ivar cuts: when toxics ended the connection, and how.
    @ivar held: whether the source was asked to stop.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.came: list[tuple[float, Piece]] = []
        self.cuts: list[tuple[float, Mark]] = []
        self.held = False
        self.link: Link | None = None

    @property
    def data(self) -> bytes:
        """All bytes that came."""
        return b"".join(piece for _, piece in self.came if isinstance(piece, bytes))

    @property
    def _now(self) -> float:
        return round(self._clock.seconds(), 6)

    def passOn(self, chunk: bytes) -> None:
        """See L{Outlet.passOn}."""
        self.came.append((self._now, chunk))

    def ended(self, mark: Mark) -> None:
        """See L{Outlet.ended}."""
        self.came.append((self._now, mark))
        if mark is not Mark.END and self.link is not None:
            self.link.close()

    def cut(self, mark: Mark) -> None:
        """See L{Outlet.cut}."""
        self.cuts.append((self._now, mark))
        if self.link is not None:
            self.link.close()

    def holdSource(self) -> None:
        """See L{Outlet.holdSource}."""
        self.held = True

    def releaseSource(self) -> None:
        """See L{Outlet.releaseSource}."""
        self.held = False

    def emptied(self) -> None:
        """See L{Outlet.emptied}."""


class Line:
    """
    One direction of a connection, from what is fed to what comes out.

    Its time begins at 0 and passes when it is told to: C{at} and C{until} take seconds.

    @param toxics: what is on it, the first that bytes meet first: kinds, or effects that were made
        by L{effectOf}.
    @ivar clock: its time.
    @ivar link: to put more on, to change and to take away.
    @ivar outlet: what has come out.
    """

    def __init__(self, *toxics: Kind | Effect) -> None:
        self.clock = Clock()
        self.outlet = FarEnd(self.clock)
        self.link = self.outlet.link = Link(self.clock, self.outlet)
        self._effects = [effectOf(one) if isinstance(one, Kind) else one for one in toxics]
        for number, effect in enumerate(self._effects):
            self.link.put(effect, number)

    @property
    def came(self) -> list[tuple[float, Piece]]:
        """When, and what came out."""
        return self.outlet.came

    @property
    def data(self) -> bytes:
        """All bytes that came out."""
        return self.outlet.data

    def at(self, when: float, *pieces: Piece) -> None:
        """Let time pass until then, and feed these: bytes, or C{Mark.END}."""
        self.until(when)
        for piece in pieces:
            self.link.feed(piece)

    def change(self, number: int, kind: Kind) -> None:
        """Give one of the toxics it began with other attributes; counted from 0."""
        self.link.change(self._effects[number], kind)

    def remove(self, number: int) -> None:
        """Take one of the toxics it began with away; counted from 0."""
        self.link.take(self._effects[number])

    def until(self, when: float) -> None:
        """Let time pass, one timer after the other."""
        while (calls := self.clock.getDelayedCalls()) and calls[0].getTime() <= when:
            self.clock.advance(max(0.0, calls[0].getTime() - self.clock.seconds()))
        self.clock.advance(max(0.0, when - self.clock.seconds()))


def effectOf(
    kind: Kind, *, seed: int = 1, number: int = 1, since: float = 0.0, opened: float = 0.0
) -> Effect:
    """
    The effect of a toxic on the link of one connection.

    @param seed: of its chances.
    @param number: of the connection, from 1.
    @param since: when the toxic was put on.
    @param opened: when the connection was opened.
    @raise ValueError: it has none.
    """
    made = kind.effect(Context(Random(f"{seed}/{number}"), since, number, kind.share(), opened))
    if made is None:
        raise ValueError(f"{kind!r} does nothing to links")
    return made
