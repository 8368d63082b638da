"""A request, and the kinds of answer a handler can give."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from http import HTTPStatus
from typing import Any, Protocol, TypeVar
from urllib.parse import unquote_to_bytes

from twisted.internet.interfaces import IProtocol, IReactorTime

from loopbackd.connection import Connection
from loopbackd.http.fields import FieldPairs, Fields
from loopbackd.http.head import Head
from loopbackd.logs import OncePerSecond
from loopbackd.net.turns import Turns
from loopbackd.tls.store import AuthorityStore

T = TypeVar("T")

Drawn = Iterable[bytes] | AsyncIterator[bytes]
"""A body that comes piece by piece, as it is taken."""

Body = bytes | Drawn
"""Of an answer: all at once, or piece by piece as the client takes them."""


class Surface(Protocol):
    """What a request can ask of the connection it came on."""

    transport: Any
    isTLS: bool

    @property
    def clock(self) -> IReactorTime: ...

    @property
    def connection(self) -> Connection | None: ...

    @property
    def turns(self) -> Turns: ...

    @property
    def lines(self) -> OncePerSecond: ...

    @property
    def authority(self) -> AuthorityStore | None: ...

    @property
    def requests(self) -> int: ...

    def sleep(self, seconds: float) -> Awaitable[None]: ...

    def seconds(self) -> float: ...

    def keeps(self, size: int) -> None: ...

    def interim(self, status: int, fields: FieldPairs) -> None: ...

    def inThread(self, call: Callable[..., T], *args: Any) -> Awaitable[T]: ...


class Request:
    """
    One request.

    @ivar head: its head, as parsed; C{head.raw} as it came.
    @ivar method: as it came; methods are case-sensitive.
    @ivar fields: its header fields.
    @ivar body: all of the body, where the route takes it whole.
    @ivar rawBody: the same as it came, chunk sizes and trailers included, where the route takes it
        exactly.
    @ivar pieces: the body as it comes, where the route takes it so.
    @ivar trailers: what came behind a chunked body.
    @ivar on: the connection it came on.
    @ivar note: what the site wants to remember of it.
    """

    __slots__ = (
        "_path",
        "_query",
        "body",
        "fields",
        "head",
        "method",
        "note",
        "on",
        "pieces",
        "rawBody",
        "rawPath",
        "rawQuery",
        "trailers",
    )

    def __init__(self, head: Head, on: Surface) -> None:
        self.head = head
        self.method = head.method
        self.fields = head.fields
        self.rawPath = head.path
        self.rawQuery = head.query
        self.body = b""
        self.rawBody = b""
        self.pieces: AsyncIterator[bytes] | None = None
        self.trailers: Fields | None = None
        self.on = on
        self.note: Any = None
        self._path: str | None = None
        self._query: list[tuple[str, str]] | None = None

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.head.target!r}>"

    @property
    def path(self) -> str:
        """The path with its percent-escapes decoded; bytes that are not UTF-8 are replaced."""
        if self._path is None:
            self._path = unquote_to_bytes(self.rawPath).decode("utf-8", "replace")
        return self._path

    @property
    def query(self) -> list[tuple[str, str]]:
        """
        The names and values of the query, in order.

        C{application/x-www-form-urlencoded} as the URL standard (section 5.1) reads it; a name
        without a value has an empty one.
        """
        if self._query is None:
            self._query = parseQuery(self.rawQuery) if self.rawQuery else []
        return self._query

    def arguments(self, name: str) -> list[str]:
        """All values of that name in the query."""
        return [value for key, value in self.query if key == name]

    def argument(self, name: str) -> str | None:
        """The first value of that name in the query."""
        for key, value in self.query:
            if key == name:
                return value
        return None

    @property
    def scheme(self) -> str:
        """C{http} or C{https}, by what the connection is."""
        return "https" if self.on.isTLS else "http"

    @property
    def host(self) -> str:
        """What the client calls us: host, and port if it named one (RFC 9110 section 7.2)."""
        return self.head.host.decode("latin-1")

    @property
    def remoteHost(self) -> str:
        """The address of the client; C{"127.0.0.1"} where it has none, as on unix sockets."""
        found = getattr(self.on.transport.getPeer(), "host", None)
        return found if isinstance(found, str) else "127.0.0.1"


def parseQuery(query: bytes) -> list[tuple[str, str]]:
    """C{application/x-www-form-urlencoded} (URL standard, section 5.1)."""
    found = []
    for part in query.split(b"&"):
        if part:
            name, _, value = part.partition(b"=")
            found.append((_decoded(name), _decoded(value)))
    return found


def _decoded(text: bytes) -> str:
    if b"+" in text:
        text = text.replace(b"+", b" ")
    if b"%" in text:
        text = unquote_to_bytes(text)
    return text.decode("utf-8", "replace")


def reasonFor(status: int) -> str:
    """The reason phrase that goes with a status (RFC 9110 section 15); empty for unknown ones."""
    return _REASONS.get(status, "")


# What Python before 3.13 calls by older names.
_REASONS = {int(status): status.phrase for status in HTTPStatus} | {
    413: "Content Too Large",
    414: "URI Too Long",
    416: "Range Not Satisfiable",
    418: "I'm a teapot",
    422: "Unprocessable Content",
}


class Response:
    """
    An answer.

    C{Date}, C{Server}, C{Connection} and what frames the body are added when it is written.

    @ivar fields: in the order they are sent; nothing in them may have line ends.
    @ivar body: pieces are sent chunked, or with C{length} if that is known.
    @ivar trailers: called when the body is out, for the fields behind it.
    @ivar isForeign: C{fields} may have a C{Date} and a C{Server} of its own, which stay alone.
    @ivar closes: the connection ends behind it, and it says so.
    """

    __slots__ = (
        "body",
        "closes",
        "fields",
        "isForeign",
        "length",
        "reason",
        "status",
        "trailers",
    )

    def __init__(
        self,
        status: int = 200,
        body: Body = b"",
        type: str | None = None,
        fields: FieldPairs | None = None,
        *,
        reason: str | None = None,
        length: int | None = None,
        trailers: Callable[[], FieldPairs] | None = None,
        closes: bool = False,
    ) -> None:
        self.status = status
        self.body = body
        self.fields: FieldPairs = [] if fields is None else fields
        if type is not None:
            self.fields.append(("Content-Type", type))
        self.reason = reason
        self.length = length
        self.trailers = trailers
        self.isForeign = False
        self.closes = closes

    def __repr__(self) -> str:
        return f"<Response {self.status}>"


class Wire(Protocol):
    """A connection as a L{ByHand} answer has it: bytes and nothing else."""

    def write(self, data: bytes) -> None:
        """Send these bytes, behind those before."""

    async def drained(self) -> None:
        """Wait until there is room for more; returns at once where there is."""

    async def sleep(self, seconds: float) -> None:
        """Wait."""

    def finish(self) -> None:
        """Send no more (FIN); the client may go on."""

    def reset(self) -> None:
        """Reset the connection (RST)."""


class ByHand:
    """
    An answer that is written byte by byte, right or wrong; afterwards the connection is closed.

    @ivar script: writes it.
    """

    __slots__ = ("script", "status")

    def __init__(self, script: Callable[[Wire], Awaitable[None]], status: int = 0) -> None:
        self.script = script
        self.status = status


class SwitchProtocols:
    """
    C{101 Switching Protocols} (RFC 9110 section 15.2.2), and who has the connection from then on.

    @ivar protocol: gets the transport, and what the client has sent already.
    """

    __slots__ = ("fields", "protocol", "status")

    def __init__(self, protocol: IProtocol, fields: FieldPairs) -> None:
        self.protocol = protocol
        self.fields = fields
        self.status = 101


Answer = Response | ByHand | SwitchProtocols
