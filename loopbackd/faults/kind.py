"""
A kind of toxic: its attributes, and its effect on one link.

To write one, see C{docs/write-a-toxic.md}.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from random import Random
from typing import Annotated, Any, Final

import msgspec

NEVER: Final = math.inf
"""The time of what does not happen until the toxic is changed or removed."""

_ADay: Final = msgspec.Meta(ge=0, le=86_400_000)
Milliseconds = Annotated[int, _ADay] | Annotated[float, _ADay]
"""How users write a time; at most a day."""

Probability = Annotated[float, msgspec.Meta(ge=0, le=1)]
"""How users write one."""

Bytes = Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]
"""How users write an amount."""


class Mark(Enum):
    """What comes on a link besides bytes."""

    END = "nothing more is sent; the other direction goes on"
    CLOSE = "the connection is closed in both directions, with FIN"
    RESET = "the connection is reset in both directions"


Piece = bytes | Mark
Schedule = Iterable[tuple[float, Piece]]
"""What goes on, and when; in seconds, as C{now} is. A mark comes behind the bytes before it."""


@dataclass(frozen=True, slots=True)
class Context:
    """
    Where an effect takes place.

    @ivar chance: where it takes its chances from; the same for the same seed and connection.
    @ivar since: when the toxic was put on the service.
    @ivar opened: when the connection was opened.
    @ivar number: the how many-th connection this is of those the toxic has met, from 1.
    @ivar shared: what the toxic keeps for all its connections (see L{Kind.share}).
    """

    chance: Random
    since: float = 0.0
    number: int = 1
    shared: Any = None
    opened: float = 0.0


@dataclass(frozen=True, slots=True)
class Opening:
    """
    How a connection begins.

    @ivar when: when its protocol gets it; L{NEVER} for as long as the toxic is there.
    @ivar mark: how it ends then, where its protocol does not get it at all.
    """

    when: float
    mark: Mark | None = None


class Effect:
    """
    What a toxic does to one link.

    It holds nothing and waits for nothing: it says when what goes on, in the order it came. Times
    are seconds; one that has gone by means at once.

    @ivar window: how many bytes may wait here before their source is asked to stop.
    @ivar takesTurns: whether what is due by C{data} is asked about again, by C{turn}.
    @ivar alarm: when the whole connection ends, and how (L{Mark.CLOSE} or L{Mark.RESET}),
        whatever may be waiting; looked at after each call.
    """

    window: int = 1 << 16
    takesTurns: bool = False
    alarm: tuple[float, Mark] | None = None

    def begin(self, now: float) -> None:
        """The connection is there, or the toxic was put on it now."""

    def data(self, arrived: float, now: float, chunk: bytes) -> Schedule:
        """
        When which part of this goes on.

        What is left out is thrown away.

        @param arrived: when it came; before C{now} where it has waited for this toxic's change.
        """
        return [(now, chunk)]

    def turn(self, arrived: float, now: float, size: int) -> tuple[int, float]:
        """
        How many bytes of what is first go on next, and when.

        Asked when everything before has gone on and there is room behind this toxic, and not again
        until that many have gone on too; so nothing is decided long before it happens, and the
        effects of one toxic can have their turns at something they share.

        @param size: how many there are; at least 1.
        """
        return size, now

    def end(self, arrived: float, now: float) -> float:
        """When the end of this direction is passed on, after everything before it."""
        return now

    def changed(self, kind: Any, now: float) -> None:
        """The attributes are others; asked about what waits once more after this."""
        raise NotImplementedError

    def removed(self, now: float) -> Mark | None:
        """
        The toxic is taken away; what waits goes on at once.

        @return: how the connection ends for it, where what was thrown away makes it worthless.
        """
        return None


class Kind(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    A kind of toxic; its fields are the attributes as users write them.

    A field's type has its bounds (L{msgspec.Meta}); what several fields must fulfil together is
    checked in C{__post_init__}, which raises L{ValueError}.
    """

    def share(self) -> Any:
        """What the effects of one toxic have in common; made once, before the first."""
        return None

    def effect(self, context: Context) -> Effect | None:
        """What it does to a link; L{None} for nothing at all."""
        raise NotImplementedError

    def opening(self, context: Context) -> Opening | None:
        """What it does to a new connection before its protocol gets it; L{None} for nothing."""
        return None
