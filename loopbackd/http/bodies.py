"""Bodies of requests on their way to a handler: whole, or in pieces."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Protocol

from twisted.internet.defer import Deferred

from loopbackd.http.errors import HTTPError
from loopbackd.http.messages import Request
from loopbackd.http.parsing import RequestParser
from loopbackd.http.routes import Found


class Bodies:
    """
    All bodies of a service that are in memory.

    @param most: how many bytes they may have together.
    @ivar used: how many they have.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self.used = 0

    def take(self, size: int) -> None:
        """
        Count so many more.

        @raise HTTPError: 503; there is no room for them, and they are not counted.
        """
        if self.used + size > self._most:
            raise HTTPError(
                503,
                f"all bodies together may have {self._most} bytes here (max_bodies), and others"
                " have them now",
                [("Retry-After", "1")],
            )
        self.used += size

    def giveBack(self, size: int) -> None:
        """So many of them are gone."""
        self.used -= size


class Whole:
    """
    Collects a body.

    @param limit: how many bytes it may have.
    @param keeps: told how many bytes more are in memory; can raise an L{HTTPError}.
    @param isExact: what frames it is kept, too, and counts.
    @ivar found: who is called with it.
    """

    __slots__ = ("_first", "_keeps", "_limit", "_raw", "_rest", "_size", "found")

    def __init__(
        self, found: Found, limit: int, keeps: Callable[[int], None], isExact: bool = False
    ) -> None:
        self.found = found
        self._keeps = keeps
        self._raw = bytearray() if isExact else None
        self._limit = limit
        self._first = b""
        self._rest = bytearray()
        self._size = 0

    def take(self, request: Request, parser: RequestParser) -> bool:
        """
        Take what has come.

        @return: whether that is all, and stands in C{request.body} now.
        @raise HTTPError: it is too long (413), there is no room for it (503), or it is no body.
        """
        if request.head.length is not None and request.head.length > self._limit:
            raise self._tooLong()
        parser.raw = raw = self._raw
        known = 0 if raw is None else len(raw)
        try:
            while piece := parser.body():
                self._size += len(piece)
                if self._size > self._limit:
                    raise self._tooLong()
                self._keeps(len(piece))
                # A list of pieces could take sixty times what is in them.
                if self._first:
                    self._rest += piece
                else:
                    self._first = piece
        finally:
            parser.raw = None
        if raw:
            if len(raw) > self._limit:
                raise self._tooLong()
            self._keeps(len(raw) - known)
        if not parser.bodyDone:
            return False
        request.body = self._first + self._rest if self._rest else self._first
        if request.head.length is None:
            request.trailers = parser.trailers
        request.rawBody = bytes(self._raw) if self._raw else request.body
        return True

    def _tooLong(self) -> HTTPError:
        return HTTPError(413, f"a body may have {self._limit} bytes here")


class Source(Protocol):
    """Where L{Pieces} come from."""

    def wantsBody(self) -> None: ...

    def nextPiece(self) -> bytes | None: ...

    def keepRaw(self, raw: bytearray) -> None: ...


class Pieces(AsyncIterator[bytes]):
    """
    A body as it comes; who is slow to ask for it slows the client down.

    An L{HTTPError} is raised where the rest cannot be had.
    """

    __slots__ = ("_error", "_source", "_waiting")

    def __init__(self, source: Source) -> None:
        self._source = source
        self._waiting: Deferred[None] | None = None
        self._error: HTTPError | None = None

    async def __anext__(self) -> bytes:
        while True:
            if self._error is not None:
                raise self._error
            piece = self._source.nextPiece()
            if piece:
                return piece
            if piece is None:
                raise StopAsyncIteration
            self._source.wantsBody()
            self._waiting = Deferred()
            await self._waiting

    def keepRaw(self, raw: bytearray) -> None:
        """Add what comes in chunks to that, as it comes; asked for before the first piece."""
        self._source.keepRaw(raw)

    def wake(self) -> None:
        """There is something new to see."""
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.callback(None)

    def fail(self, error: HTTPError) -> None:
        """The rest will not come."""
        self._error = error
        self.wake()

    def end(self) -> None:
        """Nobody will wait any longer."""
        self._waiting = None
