"""
HTTP/2's answer where only HTTP/1.1 is served: it is told so in its own frames.

A client that begins with the preface of HTTP/2 (RFC 9113 section 3.4) gets the server's preface, an
empty SETTINGS frame, and GOAWAY with HTTP_1_1_REQUIRED (sections 6.8 and 7): nothing it sent was
acted on, and it is to ask again by HTTP/1.1.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from twisted.logger import Logger

from loopbackd.connection import connectionOf
from loopbackd.net.linger import LINGER
from loopbackd.protocols.oneshot import LastWords, LastWordsFactory

_log = Logger()

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""What a client begins with."""

HTTP_1_1_REQUIRED: Final = 0xD
"""The error code."""

SETTINGS: Final = 4
GOAWAY: Final = 7


def frame(kind: int, payload: bytes = b"") -> bytes:
    """A frame on stream 0, without flags (section 4.1)."""
    return len(payload).to_bytes(3, "big") + bytes([kind, 0]) + bytes(4) + payload


def refusal(why: bytes) -> bytes:
    """The server's preface, and GOAWAY with the reason: no stream was looked at."""
    last = bytes(4)
    return frame(SETTINGS) + frame(GOAWAY, last + HTTP_1_1_REQUIRED.to_bytes(4, "big") + why)


class HTTP2(LastWords):
    """Waits for the preface, and says that HTTP/1.1 is wanted."""

    transport: Any

    def __init__(self) -> None:
        self._heard = b""
        self._said = False

    def connectionMade(self) -> None:
        """The preface must come in time."""
        self.within(LINGER, partial(self._close, "did not finish the preface of HTTP/2", b""))

    def dataReceived(self, data: bytes) -> None:
        """Compare it with the preface; what comes after it is thrown away."""
        if self._said:
            super().dataReceived(data)
            return
        self._heard += data[: len(PREFACE) - len(self._heard)]
        if self._heard == PREFACE:
            answer = refusal(b"HTTP/2 is not served here; use HTTP/1.1\n")
            self._close("was told that HTTP/2 is not served here", answer)
        elif not PREFACE.startswith(self._heard):
            # No GOAWAY: whoever this is does not speak HTTP/2 (section 3.4).
            self._close("began like HTTP/2 and is not", b"")

    def _close(self, what: str, answer: bytes) -> None:
        self._said = True
        more = self.more()
        if more is not None:
            _log.info(
                "{connection} {what}.{more}",
                connection=connectionOf(self.transport) or self.transport.getPeer(),
                what=what,
                more=more,
            )
        self.finish(answer, expectsMore=True)


class HTTP2Factory(LastWordsFactory):
    """Builds L{HTTP2}."""

    protocol = HTTP2
