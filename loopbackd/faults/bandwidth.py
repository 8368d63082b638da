"""Bandwidth: so many bytes a second, of one connection or of all together."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from loopbackd.faults.kind import NEVER, Context, Effect, Kind

_WINDOW: Final = 1 << 16
_LARGEST_WINDOW: Final = 6 << 20

# Turns are so long that a timer can keep up with them, and so short that the stream is smooth.
_TURN: Final = 0.01
_SMALLEST_TURN: Final = 16

# What was late by up to so much is caught up with; what stood still for longer is lost.
_MAKES_UP: Final = 0.1

_Rate = msgspec.Meta(ge=0, le=1_000_000_000)


class Bandwidth(Kind, frozen=True):
    """
    C{rate} kilobytes (1000 bytes) a second go through; with 0, nothing until it is changed.

    The rate is each connection's own, or C{shared} by all connections of the service, in turns.
    """

    rate: Annotated[int, _Rate] | Annotated[float, _Rate] = 0
    shared: bool = False

    def share(self) -> Bottleneck:
        """See L{Kind.share}."""
        return Bottleneck()

    def effect(self, context: Context) -> Effect:
        """See L{Kind.effect}."""
        return _Narrow(self, context.shared)


class Bottleneck:
    """What bytes are sent over, one after the other."""

    def __init__(self) -> None:
        self._rate = 0.0
        self._free = 0.0

    def have(self, rate: float, now: float) -> None:
        """Be of that many bytes a second from now on."""
        if rate != self._rate:
            self._rate = rate
            self._free = now

    def send(self, size: int, arrived: float, now: float) -> float:
        """When so many bytes have been sent, which came here then, if they are next."""
        if not self._rate:
            return NEVER
        self._free = max(self._free, arrived, now - _MAKES_UP) + size / self._rate
        return self._free


class _Narrow(Effect):
    takesTurns = True

    def __init__(self, kind: Bandwidth, shared: Bottleneck) -> None:
        self._shared = shared
        self._kind = kind

    def begin(self, now: float) -> None:
        self.changed(self._kind, now)

    def changed(self, kind: Bandwidth, now: float) -> None:
        self._kind = kind
        rate = kind.rate * 1000
        self._bottleneck = self._shared if kind.shared else Bottleneck()
        self._bottleneck.have(rate, now)
        self._most = max(_SMALLEST_TURN, int(rate * _TURN))
        # Enough that it does not wait for its source.
        self.window = int(min(max(_WINDOW, rate * 0.05), _LARGEST_WINDOW))

    def turn(self, arrived: float, now: float, size: int) -> tuple[int, float]:
        size = min(size, self._most)
        return size, self._bottleneck.send(size, arrived, now)
