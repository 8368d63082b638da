"""For what cannot be served: a clean close, and a line in the log that says of whom."""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.python.failure import Failure

from loopbackd.connection import connectionOf
from loopbackd.protocols.detect import Detector, Kind
from loopbackd.protocols.oneshot import LINGER, LastWords

_log = Logger()
_NAMES = {Kind.TLS: "TLS", Kind.HTTP: "HTTP", Kind.HTTP2: "HTTP/2", Kind.PROXY: "a PROXY header"}


class Refuse(LastWords):
    """Waits a moment for the first bytes, to name them, and closes."""

    transport: Any
    factory: RefuseFactory

    def __init__(self) -> None:
        self._timer: IDelayedCall | None = None
        self._said = False

    def connectionMade(self) -> None:
        """The client has a moment to say what it wants."""
        clock = self.factory.clock or getattr(self.transport, "reactor", None)
        if clock is not None:
            self._timer = clock.callLater(LINGER, self._close, "nothing")

    def dataReceived(self, data: bytes) -> None:
        """Say no."""
        if self._said:
            super().dataReceived(data)
        else:
            detector = Detector()
            kind = detector.feed(data) or detector.decide()
            self._close(_NAMES.get(kind, repr(data[:16])))

    def _close(self, what: str) -> None:
        self._said = True
        self._stop()
        _log.info(
            "{connection} is closed: it began with {what}, which nothing here speaks.",
            connection=connectionOf(self.transport) or self.transport.getPeer(),
            what=what,
        )
        self.finish(b"", expectsMore=True)

    def _stop(self) -> None:
        if self._timer is not None:
            timer, self._timer = self._timer, None
            if timer.active():
                timer.cancel()

    def connectionLost(self, reason: Failure | None = None) -> None:
        """Stop waiting."""
        self._stop()
        super().connectionLost(reason)


class RefuseFactory(Factory):
    """
    Builds L{Refuse}.

    @ivar clock: times the moment; by default the reactor the connection runs on.
    """

    noisy = False
    protocol = Refuse  # type: ignore[assignment]

    def __init__(self) -> None:
        self.clock: Any = None
