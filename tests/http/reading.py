"""What our parser, and what h11, makes of the bytes of a connection."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import h11

from loopbackd.http.errors import HTTPError
from loopbackd.http.head import Limits
from loopbackd.http.parsing import RequestParser

LIMITS = Limits()
_ROOMY = 1 << 20


@dataclass
class Read:
    """
    One request as it was read.

    @ivar end: where the stream goes on behind it.
    """

    method: bytes
    target: bytes
    minor: int
    fields: list[tuple[bytes, bytes]]
    body: bytes = b""
    trailers: list[tuple[bytes, bytes]] = field(default_factory=list)
    end: int = -1


@dataclass
class Reading:
    """
    What became of a stream.

    @ivar whole: the requests that ended.
    @ivar begun: the one whose head was whole, if its body was not.
    @ivar refused: the status with which the rest was refused; 0 where more could have come.
    """

    whole: list[Read] = field(default_factory=list)
    begun: Read | None = None
    refused: int = 0


def _plain(pairs: Iterable[Any]) -> list[tuple[bytes, bytes]]:
    """Names in lower case, and codings, as h11 gives them."""
    return [
        (name.lower(), value.lower() if name.lower() == b"transfer-encoding" else value)
        for name, value in pairs
    ]


def read(pieces: Iterable[bytes]) -> Reading:
    """What our parser reads when the stream comes in these pieces."""
    found = Reading()
    parser = RequestParser(LIMITS)
    fed = 0
    for piece in pieces:
        parser.feed(piece)
        fed += len(piece)
        try:
            while _one(parser, found):
                assert found.begun is not None
                found.begun.end = fed - len(parser)
                found.whole.append(found.begun)
                found.begun = None
        except HTTPError as error:
            found.refused = error.status
            break
    return found


def _one(parser: RequestParser, found: Reading) -> bool:
    """Go on with a request; whether it is whole."""
    if found.begun is None:
        head = parser.head()
        if head is None:
            return False
        found.begun = Read(head.method.encode(), head.target, head.minor, _plain(head.fields.pairs))
        assert head.hasBody is not parser.bodyDone
    while piece := parser.body():
        found.begun.body += piece
    if parser.bodyDone and parser.trailers is not None:
        found.begun.trailers = _plain(parser.trailers.pairs)
        parser.trailers = None
    return parser.bodyDone


def readByH11(data: bytes) -> Reading:
    """What h11 reads of the stream; each request with a parser of its own."""
    found = Reading()
    at = 0
    while at < len(data):
        # Ours takes empty lines before a request (RFC 9112 section 2.2), h11 does not.
        while data.startswith(b"\r\n", at):
            at += 2
        conn = h11.Connection(h11.SERVER, max_incomplete_event_size=_ROOMY)
        if at == len(data):
            break
        conn.receive_data(data[at:])
        try:
            begun = _oneByH11(conn, found)
        except h11.RemoteProtocolError as error:
            found.refused = error.error_status_hint
            break
        if not begun:
            break
        assert found.begun is not None
        at = len(data) - len(conn.trailing_data[0])
        found.begun.end = at
        found.whole.append(found.begun)
        found.begun = None
    return found


def _oneByH11(conn: h11.Connection, found: Reading) -> bool:
    while True:
        event = conn.next_event()
        if isinstance(event, h11.Request):
            found.begun = Read(
                bytes(event.method),
                bytes(event.target),
                0 if event.http_version < b"1.1" else 1,
                _plain(event.headers.raw_items()),
            )
        elif isinstance(event, h11.Data):
            assert found.begun is not None
            found.begun.body += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage):
            assert found.begun is not None
            found.begun.trailers = _plain(event.headers.raw_items())
            return True
        else:
            assert event is h11.NEED_DATA, event
            return False
