"""What the TLS layers of one service, or to one target, share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from loopbackd.logs import OncePerSecond
from loopbackd.net.deadlines import Deadlines
from loopbackd.tls.terminator import Terminator

HANDSHAKE_SECONDS: Final = 10.0
"""How long a client may take for its handshake, from when TLS is expected of it."""


class End:
    """
    Our end of TLS, of many connections.

    @param clock: the reactor.
    @param seconds: how long a handshake may take.
    @ivar handshakes: those that are not finished; each has its C{handshakeDue} called in time.
    """

    def __init__(self, clock: Any, seconds: float) -> None:
        self.handshakes = Deadlines[Any](clock, seconds, _due)
        self._clock = clock
        self._lines = OncePerSecond(clock)

    def untold(self) -> str | None:
        """
        Ask for a line about what a peer did: None when it must not be written, else what is to
        be said of those that were not.
        """
        count = self._lines.take("")
        if count is None:
            return None
        return f" ({count} more like it since the last such line)" if count else ""

    def soon(self, call: Callable[[], object]) -> None:
        """Call after what runs now has returned."""
        soon = getattr(self._clock, "soon", None)
        if soon is not None:
            soon(call)
        else:
            self._clock.callLater(0, call)


class TLSEnd(End):
    """
    Our end of TLS, of all connections of a service.

    @param clock: the reactor.
    """

    def __init__(self, terminator: Terminator, clock: Any) -> None:
        super().__init__(clock, HANDSHAKE_SECONDS)
        self.terminator = terminator


def _due(layer: Any) -> None:
    layer.handshakeDue()
