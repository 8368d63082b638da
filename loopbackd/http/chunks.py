"""Bodies in chunks: taken apart strictly, and put together (RFC 9112 section 7.1)."""

from __future__ import annotations

import re
from typing import Final

from loopbackd.http.errors import HTTPError
from loopbackd.http.fields import TOKEN, VALUE, Fields, Pair
from loopbackd.http.head import Limits

_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,15})((?:[ \t]*;[\t\x20-\x7e\x80-\xff]*)?)")
_MOST_EXTENSIONS: Final = 16384
LAST: Final = b"0\r\n\r\n"
"""What ends a body in chunks that has no trailers."""


class ChunkedBody:
    """
    Takes a chunked body apart.

    @ivar done: whether the last chunk and the trailers have come.
    @ivar trailers: the fields behind the body, once it is done.
    """

    __slots__ = (
        "_behind",
        "_extensions",
        "_left",
        "_limits",
        "_pairs",
        "_size",
        "done",
        "trailers",
    )

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._left = 0
        self._behind = False
        self._extensions = 0
        self._size = 0
        self._pairs: list[Pair] | None = None
        self.done = False
        self.trailers = Fields([])

    def take(self, data: bytes, at: int) -> tuple[bytes, int]:
        """
        Take what is whole of C{data} from C{at} on.

        @return: a piece of the body, and up to where C{data} was used; nothing of either where more
            must come first, or when the body is L{done}.
        @raise HTTPError: that is no chunked body, or too much around it.
        """
        while not self.done:
            if self._left:
                piece = data[at : at + self._left]
                self._left -= len(piece)
                self._behind = not self._left
                return piece, at + len(piece)
            if self._behind:
                # The line end behind a chunk.
                end = data[at : at + 2]
                if end != b"\r\n"[: len(end)]:
                    raise HTTPError(400, "a chunk is longer than it says")
                if len(end) < 2:
                    return b"", at
                self._behind = False
                at += 2
            line = self._line(data, at)
            if line is None:
                return b"", at
            at += len(line) + 2
            if self._pairs is None:
                self._begin(line)
            else:
                self._trailer(line, self._pairs)
        return b"", at

    def _line(self, data: bytes, at: int) -> bytes | None:
        most = self._limits.line
        end = data.find(b"\r\n", at, at + most)
        line = data[at : end if end >= 0 else at + most]
        if b"\n" in line or b"\r" in (line if end >= 0 else line[:-1]):
            raise HTTPError(400, "lines around chunks end with CR LF, and neither stands alone")
        if end < 0:
            if len(line) == most:
                raise HTTPError(400, f"a line around a chunk may have {most} bytes here")
            return None
        return line

    def _begin(self, line: bytes) -> None:
        found = _SIZE.fullmatch(line)
        if found is None:
            raise HTTPError(400, "a chunk begins with its size in hexadecimal digits")
        self._extensions += len(found[2])
        if self._extensions > _MOST_EXTENSIONS:
            raise HTTPError(400, f"chunk extensions may have {_MOST_EXTENSIONS} bytes in all here")
        self._left = int(found[1], 16)
        if not self._left:
            self._pairs = []

    def _trailer(self, line: bytes, pairs: list[Pair]) -> None:
        if not line:
            self.trailers = Fields(pairs)
            self.done = True
            return
        self._size += len(line) + 2
        name, colon, value = line.partition(b":")
        if not colon or not TOKEN.fullmatch(name) or not VALUE.fullmatch(value):
            raise HTTPError(400, "a trailer is a field: name, colon, value")
        pairs.append((name, value.strip(b" \t")))
        if self._size > self._limits.head or len(pairs) > self._limits.fields:
            raise HTTPError(431, "too many trailers")


def chunk(data: bytes) -> bytes:
    """One chunk; C{data} must not be empty, for that would be the last."""
    return b"%x\r\n%b\r\n" % (len(data), data)
