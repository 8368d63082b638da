"""Something that is served whole, in part or not at all, as its validators and C{Range} say."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable
from typing import Final

from loopbackd.http.fields import FieldPairs
from loopbackd.http.messages import Body, Request, Response
from loopbackd.http.ranges import Multipart, Part, parseRange
from loopbackd.http.validators import httpDate, precondition, wantsPart
from loopbackd.protocols.httpbin.go.dialect import TEXT
from loopbackd.protocols.httpbin.timing import paced

Piece = Callable[[int, int], bytes]
"""Makes the bytes from one place up to another."""

_AT_ONCE: Final = 1 << 16
_MOST_PARTS: Final = 100


def served(
    request: Request,
    size: int,
    piece: Piece,
    *,
    tag: str,
    type: str,
    modified: float | None = None,
    duration: float = 0.0,
) -> Response:
    """
    The answer: 200, 206 with one part or several, 304, 412 or 416 (RFC 9110 sections 13 and 14).

    @param size: how many bytes there are.
    @param tag: as it stands in C{ETag}.
    @param modified: seconds since 1970.
    @param duration: seconds that the answer is spread over.
    """
    fields: FieldPairs = [("ETag", tag), ("Accept-Ranges", "bytes")]
    if modified is not None:
        fields.append(("Last-Modified", httpDate(modified)))
    status = precondition(request, tag, modified)
    if status is not None:
        return Response(status, b"", None, fields)
    asked = request.fields.get("range")
    parts: list[Part] | None = None
    if asked is not None and request.method == "GET" and wantsPart(request, tag, modified):
        try:
            parts = parseRange(asked, size)
        except ValueError as error:
            return Response(416, f"invalid range: {error}\n".encode(), TEXT, fields)
        if parts is not None and not parts:
            fields.append(("Content-Range", f"bytes */{size}"))
            return Response(416, b"", TEXT, fields)
    if parts is None or len(parts) > _MOST_PARTS or sum(part.length for part in parts) > size:
        # So many parts, or more than the whole, are of use to nobody but an attacker.
        body = _spread(request, Part(0, size - 1), piece, duration)
        return Response(200, body, type, fields, length=_known(body, size))
    if len(parts) == 1:
        fields.append(("Content-Range", parts[0].contentRange(size)))
        body = _spread(request, parts[0], piece, duration)
        return Response(206, body, type, fields, length=_known(body, parts[0].length))
    multipart = Multipart(parts, type, size, uuid.uuid4().hex)
    pieces = _joined(request, parts, multipart, piece, duration)
    return Response(206, pieces, multipart.type, fields, length=multipart.length)


def _known(body: Body, length: int) -> int | None:
    return None if isinstance(body, bytes) else length


def _spread(request: Request, part: Part, piece: Piece, duration: float) -> Body:
    length = part.length
    if duration <= 0 and length <= _AT_ONCE:
        return piece(part.first, part.last + 1)
    return _paced(request, part, piece, duration)


async def _paced(
    request: Request, part: Part, piece: Piece, duration: float
) -> AsyncIterator[bytes]:
    if part.length == 1 and duration > 0:
        await request.on.sleep(duration)
    pause = duration / max(1, part.length - 1)
    made = paced(request, part.length, 1, pause, lambda a, b: piece(part.first + a, part.first + b))
    async for one in made:
        yield one


async def _joined(
    request: Request, parts: list[Part], multipart: Multipart, piece: Piece, duration: float
) -> AsyncIterator[bytes]:
    for head, part in zip(multipart.heads, parts, strict=True):
        yield head
        async for one in _paced(request, part, piece, duration / len(parts)):
            yield one
    yield multipart.end
