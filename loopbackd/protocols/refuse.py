"""For what cannot be served: a clean close, and now and then a line that says of whom."""

from __future__ import annotations

from functools import partial
from typing import Any

from twisted.logger import Logger

from loopbackd.connection import connectionOf
from loopbackd.net.linger import LINGER
from loopbackd.protocols.detect import Detector, Kind
from loopbackd.protocols.oneshot import LastWords, LastWordsFactory

_log = Logger()
_NAMES = {Kind.TLS: "TLS", Kind.HTTP: "HTTP", Kind.HTTP2: "HTTP/2", Kind.PROXY: "a PROXY header"}


class Refuse(LastWords):
    """Waits a moment for the first bytes, to name them, and closes."""

    transport: Any

    _said = False

    def connectionMade(self) -> None:
        """The client has a moment to say what it wants."""
        self.within(LINGER, partial(self._close, "nothing"))

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
        more = self.more()
        if more is not None:
            _log.info(
                "{connection} is closed: it began with {what}, which nothing here speaks.{more}",
                connection=connectionOf(self.transport) or self.transport.getPeer(),
                what=what,
                more=more,
            )
        self.finish(b"", expectsMore=True)


class RefuseFactory(LastWordsFactory):
    """Builds L{Refuse}."""

    protocol = Refuse
