"""
Every way to be wrong, by name; what L{loopbackd.protocols.httpbin.broken.breaking} serves.

As a fault of other answers, a breakage is what C{byHand(name, request, {"bytes": 100})} returns.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Final

from twisted.logger import Logger

from loopbackd.http.messages import ByHand, Request, Wire
from loopbackd.protocols.httpbin.broken.breakage import SEED, Breakage, Family, Options, Verdict
from loopbackd.protocols.httpbin.broken.chunks import chunks
from loopbackd.protocols.httpbin.broken.codings import codings
from loopbackd.protocols.httpbin.broken.ends import ends
from loopbackd.protocols.httpbin.broken.fields import fields
from loopbackd.protocols.httpbin.broken.interim import interim
from loopbackd.protocols.httpbin.broken.lengths import lengths
from loopbackd.protocols.httpbin.broken.lines import lines
from loopbackd.protocols.httpbin.broken.slowness import slowness

_log = Logger()

_DEFINITE: Final = (ends, lines, fields, lengths, chunks, codings, interim, slowness)

_chance = Family("chance")


@_chance.script(
    "any",
    Verdict.EITHER,
    rightly="does what is right for the breakage that was drawn; the log says which",
    source="each its own",
    seed=SEED,
)
async def _any(wire: Wire, request: Request, options: Options) -> None:
    """One of those that take no time; the same C{seed} draws the same."""
    one = drawn(options.seed)
    more = request.on.lines.more("broken")
    if more is not None:
        _log.info(
            "{connection}: breaks its answer by {breakage} (seed {seed}).{more}",
            connection=request.on.connection,
            breakage=one.name,
            seed=options.seed,
            more=more,
        )
    given = {"seed": options.seed} if "seed" in one.takes else {}
    await one.script(wire, request, one.options(given))


BREAKAGES: Final[Mapping[str, Breakage]] = {
    one.name: one for family in (*_DEFINITE, _chance) for one in family.breakages
}
"""Each has a name of its own; in the order in which people read them."""

_DRAWN: Final = [
    one for family in _DEFINITE for one in family.breakages if "seconds" not in one.takes
]


def drawn(seed: int) -> Breakage:
    """The breakage that C{any} stands for with that seed."""
    return random.Random(seed).choice(_DRAWN)


def byHand(name: str, request: Request, given: Mapping[str, float]) -> ByHand:
    """
    An answer that is broken so.

    @param name: one of L{BREAKAGES}.
    @param given: names and values of L{Options}; the others have their defaults.
    @raise KeyError: there is none of that name.
    @raise ValueError: it does not take one of them, or not such a value.
    """
    breakage = BREAKAGES[name]
    options = breakage.options(given)

    async def script(wire: Wire) -> None:
        await breakage.script(wire, request, options)

    return ByHand(script)
