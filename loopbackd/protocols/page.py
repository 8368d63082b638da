"""One plain page for any HTTP/1 request (RFC 9112), until this address speaks HTTP in full."""

from __future__ import annotations

from typing import Any

from loopbackd.protocols.hello import shownAddress
from loopbackd.protocols.oneshot import LastWords, LastWordsFactory

HEAD_LIMIT = 16384
"""Bytes that the head of a request may have, the empty line at its end included."""

HEAD_SECONDS = 10.0
"""Seconds it may take, from the first byte to the empty line."""

_TEXT = """\
Hello from {address}!

This is loopbackd. One address answers every protocol:
say nothing for a moment and it greets you, say anything and it comes back.

    nc {host} {port}
    printf 'hello' | nc -N {host} {port}
"""


class Page(LastWords):
    """Answers one request, whatever it asks for, and closes."""

    transport: Any

    # The body of a request: many clients send all of it before they read.  LINGER bounds it, too.
    mostDiscarded = 1 << 30

    def __init__(self) -> None:
        self._head = b""
        self._answered = False

    def connectionMade(self) -> None:
        """The head must come in time."""
        self.within(HEAD_SECONDS, self._late)

    def dataReceived(self, data: bytes) -> None:
        """Collect the head; answer when it is whole."""
        if self._answered:
            super().dataReceived(data)
            return
        if not self._head:
            # Empty lines before a request are skipped (RFC 9112 2.2).
            data = data.lstrip(b"\r\n")
        seen = max(0, len(self._head) - 3)
        self._head += data[: HEAD_LIMIT - len(self._head)]
        if self._endsHead(seen):
            self._answer("200 OK", self._text())
        elif len(self._head) == HEAD_LIMIT:
            text = f"A request's head may have {HEAD_LIMIT} bytes here.\n"
            self._answer("431 Request Header Fields Too Large", text)

    def _endsHead(self, start: int) -> bool:
        return any(self._head.find(end, start) >= 0 for end in (b"\r\n\r\n", b"\n\n", b"\n\r\n"))

    def _text(self) -> str:
        host = self.transport.getHost()
        shown = shownAddress(host)
        name, port = getattr(host, "host", "-U"), getattr(host, "port", shown)
        return _TEXT.format(address=shown, host=name, port=port)

    def _answer(self, status: str, text: str) -> None:
        self._answered = True
        body = text.encode()
        head = (
            f"HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        ).encode()
        asksForHead = self._head.startswith(b"HEAD ")
        self.finish(head if asksForHead else head + body, expectsMore=True)

    def readConnectionLost(self) -> None:
        """The client has sent all it will; without a whole head there is nothing to answer."""
        self.transport.loseConnection()

    def _late(self) -> None:
        self._answer("408 Request Timeout", f"The request did not end in {HEAD_SECONDS:.0f} s.\n")


class PageFactory(LastWordsFactory):
    """Builds L{Page}."""

    protocol = Page
