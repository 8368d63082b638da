"""Answers that take time: piece by piece, or written by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from typing import Any, Protocol

from loopbackd.http.chunks import chunk
from loopbackd.http.messages import Drawn, Request, Response
from loopbackd.http.writing import connectionField, fieldLines, hasNoBody, headOf


class Sender(Protocol):
    """The connection that an answer goes out on."""

    transport: Any
    factory: Any

    async def drained(self) -> None: ...

    def sleep(self, seconds: float) -> Awaitable[None]: ...


async def stream(http: Sender, request: Request, answer: Response, keep: bool) -> bool:
    """
    Send an answer as its pieces come, and no faster than the client takes them.

    @return: whether the client can tell where it ended, other than by the end of the connection.
    @raise ValueError: it has not the length it said; the connection must not go on.
    """
    head, body, transport = request.head, answer.body, http.transport
    assert not isinstance(body, bytes)
    isChunked = answer.length is None and head.minor == 1
    bodiless = hasNoBody(answer.status)
    if bodiless:
        framing = b""
    elif answer.length is not None:
        framing = b"Content-Length: %d\r\n" % answer.length
    else:
        framing = b"Transfer-Encoding: chunked\r\n" if isChunked else b""
    framed = isChunked or answer.length is not None or bodiless
    connection = connectionField(head, keep and framed)
    transport.write(headOf(answer, http.factory.date(), framing, connection))
    if head.method == "HEAD" or bodiless:
        await closeBody(body)
        return True
    sent = 0
    try:
        async for piece in piecesOf(body):
            if piece:
                sent += len(piece)
                transport.write(chunk(piece) if isChunked else piece)
                await http.drained()
    finally:
        await closeBody(body)
    if answer.length is not None and sent != answer.length:
        raise ValueError(f"{answer!r} has {sent} bytes, and said {answer.length}")
    if isChunked:
        trailers = b"" if answer.trailers is None else fieldLines(answer.trailers())
        transport.write(b"0\r\n" + trailers + b"\r\n")
    return framed


async def piecesOf(body: Drawn) -> AsyncIterator[bytes]:
    """The pieces of a body, whichever way it makes them."""
    if isinstance(body, AsyncIterator):
        async for piece in body:
            yield piece
    else:
        for piece in body:
            yield piece


async def closeBody(body: Drawn) -> None:
    """Have a generator run its last lines now, not when it is collected."""
    aclose, close = getattr(body, "aclose", None), getattr(body, "close", None)
    if aclose is not None:
        await aclose()
    elif close is not None:
        close()


class Hand:
    """A connection as an answer by hand has it (see L{loopbackd.http.messages.Wire})."""

    __slots__ = ("_http",)

    def __init__(self, http: Sender) -> None:
        self._http = http

    def write(self, data: bytes) -> None:
        """Send these bytes, behind those before."""
        self._http.transport.write(data)

    async def drained(self) -> None:
        """Wait until there is room for more; returns at once where there is."""
        await self._http.drained()

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await self._http.sleep(seconds)

    def finish(self) -> None:
        """Send no more (FIN); the client may go on."""
        self._http.transport.loseWriteConnection()

    def reset(self) -> None:
        """Reset the connection (RST)."""
        self._http.transport.abortConnection()
