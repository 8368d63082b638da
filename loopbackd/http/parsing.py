"""From the bytes of a connection to its requests, one after the other; no I/O."""

from __future__ import annotations

import re
from typing import Final

from loopbackd.http.chunks import ChunkedBody
from loopbackd.http.errors import HTTPError
from loopbackd.http.fields import Fields
from loopbackd.http.head import Head, Limits, parseHead

_ALONE: Final = re.compile(rb"(?<!\r)\n|\r(?=[^\n])")
_MOST_EMPTY_LINES: Final = 4


class RequestParser:
    """
    Takes a stream apart: a head, the pieces of its body, the next head.

    What was fed and not asked for waits here; whoever feeds it bounds that (see C{len}).

    @ivar bodyDone: whether the body of the last head was taken to its end.
    @ivar trailers: what came behind it, where it came in chunks.
    @ivar raw: where it is not L{None}, what is taken of a body in chunks goes there as it came.
    """

    __slots__ = (
        "_at",
        "_chunks",
        "_data",
        "_emptyLines",
        "_left",
        "_limits",
        "_seen",
        "bodyDone",
        "raw",
        "trailers",
    )

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._data = b""
        self._at = 0
        self._seen = 0
        self._emptyLines = 0
        self._left = 0
        self._chunks: ChunkedBody | None = None
        self.bodyDone = True
        self.trailers: Fields | None = None
        self.raw: bytearray | None = None

    def __len__(self) -> int:
        return len(self._data) - self._at

    def feed(self, data: bytes) -> None:
        """More of the stream."""
        if self._at == len(self._data):
            self._data = data
            self._seen = 0
        else:
            self._data = self._data[self._at :] + data
            self._seen = max(0, self._seen - self._at)
        self._at = 0

    def head(self) -> Head | None:
        """
        The next request's head; L{None} until it is whole.

        To be asked for when C{bodyDone}.

        @raise HTTPError: that is no request; the stream cannot be read any further.
        """
        data = self._data
        if self._at == len(data):
            return None
        while data.startswith(b"\r\n", self._at):
            # Some clients send an empty line behind a body (RFC 9112 section 2.2).
            self._at += 2
            self._emptyLines += 1
            if self._emptyLines > _MOST_EMPTY_LINES:
                raise HTTPError(400, "there is nothing but empty lines")
        at = self._at
        end = data.find(b"\r\n\r\n", max(at, self._seen - 3))
        if end < 0:
            self._incomplete(data, at)
            return None
        end += 4
        if end - at > self._limits.head:
            raise self._tooLong(data, at)
        # Most often the request is all there is.
        raw = data if end - at == len(data) else data[at:end]
        head = parseHead(raw, self._limits)
        self._at = self._seen = end
        self._emptyLines = 0
        if head.length is None:
            self._chunks = ChunkedBody(self._limits)
            self.bodyDone = False
        elif head.length:
            self._left = head.length
            self.bodyDone = False
        return head

    def _incomplete(self, data: bytes, at: int) -> None:
        """Refuse what cannot become a head any more."""
        # What is before this head may end with CR, and has nothing to do with it.
        if data.startswith(b"\n", at) or _ALONE.search(data, max(at, self._seen - 1)):
            raise HTTPError(400, "lines of a head end with CR LF, and neither stands alone")
        if len(data) - at > self._limits.head:
            raise self._tooLong(data, at)
        if len(data) - at > self._limits.line and data.find(b"\r\n", at) < 0:
            raise self._tooLong(data, at)
        self._seen = len(data)

    def _tooLong(self, data: bytes, at: int) -> HTTPError:
        if data.find(b"\r\n", at, at + self._limits.line) < 0:
            return HTTPError(414, f"a request line may have {self._limits.line} bytes here")
        return HTTPError(431, f"a request's head may have {self._limits.head} bytes here")

    def body(self) -> bytes:
        """
        The next piece of the body; empty where more must come first, or when it is C{bodyDone}.

        @raise HTTPError: that is no chunked body; the stream cannot be read any further.
        """
        if self.bodyDone:
            return b""
        if self._chunks is None:
            piece = self._data[self._at : self._at + self._left]
            self._at += len(piece)
            self._left -= len(piece)
            self.bodyDone = not self._left
            return piece
        at = self._at
        piece, self._at = self._chunks.take(self._data, at)
        if self.raw is not None:
            self.raw += self._data[at : self._at]
        self.bodyDone = self._chunks.done
        if self.bodyDone:
            self.trailers = self._chunks.trailers
            self._chunks = None
        return piece

    @property
    def left(self) -> int | None:
        """How many bytes of the body are still to come; L{None} where that is not known."""
        return None if self._chunks is not None else self._left

    def rest(self) -> bytes:
        """What was fed and not taken; it is not here any more afterwards."""
        rest, self._data, self._at = self._data[self._at :], b"", 0
        return rest
