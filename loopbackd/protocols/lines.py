"""Lines of a stream, a bounded number of bytes each; no I/O."""

from __future__ import annotations


class LineTooLong(Exception):
    """The peer's line has more bytes than a line may have."""


class Lines:
    """
    Takes a stream apart at its line feeds.

    What was not asked for yet waits; a carriage return at the end of a line belongs to its end.

    @param limit: how many bytes a line may have, its end not counted.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._data = b""
        self._start = 0

    def __len__(self) -> int:
        return len(self._data) - self._start

    def feed(self, data: bytes) -> None:
        """More of the stream."""
        self._data = self._data[self._start :] + data
        self._start = 0

    def next(self) -> bytes | None:
        """
        The next whole line, without its end; L{None} until there is one.

        @raise LineTooLong: it has more bytes than it may have, also if its end has not come yet.
        """
        end = self._data.find(b"\n", self._start)
        line = self._data[self._start : end if end >= 0 else self._start + self._limit + 2]
        if len(line.removesuffix(b"\r")) > self._limit:
            raise LineTooLong
        if end < 0:
            return None
        self._start = end + 1
        return line.removesuffix(b"\r")

    def rest(self) -> bytes:
        """What is left when the stream has ended: a last line without an end, or nothing."""
        rest, self._data, self._start = self._data[self._start :], b"", 0
        return rest.removesuffix(b"\r")
