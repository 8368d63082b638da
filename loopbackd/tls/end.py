"""What the TLS layers of one service share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from loopbackd.logs import OncePerSecond
from loopbackd.net.deadlines import Deadlines
from loopbackd.tls.terminator import Terminator

HANDSHAKE_SECONDS: Final = 10.0
"""How long a client may take for its handshake, from when TLS is expected of it."""


class TLSEnd:
    """
    Our end of TLS, of all connections of a service.

    @param clock: the reactor.
    @ivar handshakes: the layers that have not finished theirs.
    """

    def __init__(self, terminator: Terminator, clock: Any) -> None:
        self.terminator = terminator
        self.handshakes = Deadlines[Any](clock, HANDSHAKE_SECONDS, _due)
        self._clock = clock
        self._lines = OncePerSecond(clock)

    def untold(self) -> str | None:
        """
        Ask for a line about what a client did: None when it must not be written, else what is to
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


def _due(layer: Any) -> None:
    layer.handshakeDue()
