"""Loss as it is felt above TCP: no byte is missing, but some of them are late."""

from __future__ import annotations

from random import Random
from typing import Annotated, Final

import msgspec

from loopbackd.faults.kind import NEVER, Context, Effect, Kind, Mark, Probability, Schedule
from loopbackd.faults.latency import WINDOW

SEGMENT: Final = 1460
"""Bytes in a segment: Ethernet's 1500 without the heads of IPv4 and TCP (RFC 9293, 3.7.1)."""

LONGEST: Final = 120.0
"""Seconds beyond which Linux doubles a time-out no more (TCP_RTO_MAX, include/net/tcp.h)."""

TRIES: Final = 15
"""Retransmissions after which Linux gives a connection up (tcp_retries2, tcp(7))."""

_FirstTimeout = msgspec.Meta(ge=200, le=120_000)


class Loss(Kind, frozen=True):
    """
    Segments of up to 1460 bytes are lost with a probability of C{rate}, and sent once more.

    A lost one is late by the retransmission time-out, C{rto} milliseconds, which doubles each time
    the same one is lost again (RFC 6298), up to two minutes; everything behind it waits. After 15
    losses in a row the connection is reset, as Linux gives it up then.
    """

    rate: Probability = 0.0
    rto: Annotated[int, _FirstTimeout] | Annotated[float, _FirstTimeout] = 200

    def effect(self, context: Context) -> Effect:
        """See L{Kind.effect}."""
        return _Losing(self, context.chance)


class _Losing(Effect):
    window = WINDOW

    def __init__(self, kind: Loss, chance: Random) -> None:
        self._kind = kind
        self._chance = chance

    def data(self, arrived: float, now: float, chunk: bytes) -> Schedule:
        began, held = 0, arrived
        for start in range(0, len(chunk), SEGMENT):
            when = arrived + self._delay(arrived)
            if when > held:
                if start > began:
                    yield held, chunk[began:start]
                began, held = start, when
        yield held, chunk[began:]

    def end(self, arrived: float, now: float) -> float:
        return arrived + self._delay(arrived)

    def changed(self, kind: Loss, now: float) -> None:
        self._kind = kind
        self.alarm = None

    def _delay(self, arrived: float) -> float:
        """How late the next segment is; where it never arrives, the end of all is set."""
        late, timeout = 0.0, self._kind.rto / 1e3
        for _ in range(TRIES + 1):
            if self._chance.random() >= self._kind.rate:
                return late
            late += timeout
            timeout = min(timeout * 2, LONGEST)
        given = (arrived + late, Mark.RESET)
        if self.alarm is None or given[0] < self.alarm[0]:
            self.alarm = given
        return NEVER
