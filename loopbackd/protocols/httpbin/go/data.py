"""Answers that are made up: random bytes, the alphabet, links, what a client has encoded."""

from __future__ import annotations

import base64 as codec
import binascii
import uuid as uuids
from collections.abc import Iterator
from typing import Final

from loopbackd.http.errors import HTTPError
from loopbackd.http.fields import isField
from loopbackd.http.messages import Request, Response
from loopbackd.http.routes import Routes
from loopbackd.protocols.httpbin.go import values
from loopbackd.protocols.httpbin.go.contents import served
from loopbackd.protocols.httpbin.go.dialect import (
    BAD,
    HTML,
    JSON,
    MANY,
    OCTETS,
    TEXT,
    Setting,
    answerJSON,
)
from loopbackd.protocols.httpbin.go.redirects import answerRedirect
from loopbackd.protocols.httpbin.ranges import letters

_CHUNK: Final = 10 << 10
_MOST_AT_ONCE: Final = 1 << 16
_MOST_LINKS: Final = 256


def addBytes(routes: Routes, setting: Setting) -> None:
    """Give a table routes with bytes that mean nothing."""
    most = setting.limits.max_body_size

    def counted(n: str) -> int:
        size = values.integer(n, "byte count")
        if not 0 <= size <= most:
            raise HTTPError(400, f"invalid byte count: {size} not in range [0, {most}]")
        return size

    @routes.add(
        "/bytes/{n}",
        methods=MANY,
        group="dynamic data",
        example="/bytes/16?seed=1",
        answers=BAD,
        produces=[OCTETS],
    )
    def someBytes(
        request: Request, n: values.Integer, *, seed: values.Integer | None = None
    ) -> Response:
        """So many random bytes; the same seed gives the same, though not those that Go makes."""
        chance = values.seeded(seed)
        size = counted(n)
        return Response(200, chance.randbytes(size), OCTETS)

    @routes.add(
        "/stream-bytes/{n}",
        methods=MANY,
        group="dynamic data",
        example="/stream-bytes/4096?chunk_size=1024",
        answers=BAD,
        produces=[OCTETS],
    )
    def streamBytes(
        request: Request,
        n: values.Integer,
        *,
        seed: values.Integer | None = None,
        chunk_size: values.Integer | None = None,
    ) -> Response:
        """The same in chunks."""
        chance = values.seeded(seed)
        size = counted(n)
        step = values.integer(chunk_size, "chunk_size") if chunk_size else _CHUNK
        if not 0 < step <= _MOST_AT_ONCE:
            step = _MOST_AT_ONCE

        def pieces() -> Iterator[bytes]:
            for start in range(0, size, step):
                yield chance.randbytes(min(step, size - start))

        return Response(200, pieces(), OCTETS)

    @routes.add(
        "/range/{n}",
        methods=MANY,
        group="dynamic data",
        example="/range/26",
        answers={
            **BAD,
            206: "the ranges that were asked for",
            304: "the client has it",
            412: "it is not what the client wants to change",
            416: "there is no such range",
        },
        slow=True,
        produces=[TEXT],
        reads={"Range": "bytes=a-b, bytes=a-, bytes=-k, or several", "If-Range": "a tag"},
    )
    def ranges(
        request: Request, n: values.Integer, *, duration: values.Duration | None = None
    ) -> Response:
        """The alphabet over and over, n letters, or ranges of them, spread over a duration."""
        size = values.integerIn(n, "count", 1, most)
        longest = setting.limits.max_duration
        seconds = values.duration(duration, "duration", 0, longest) if duration else 0.0
        # The tag has no quotes: measured.
        return served(request, size, letters, tag=f"range{size}", type=TEXT, duration=seconds)


def addData(routes: Routes, setting: Setting) -> None:
    """Give a table routes with links, a UUID and Base64."""

    @routes.add("/uuid", methods=MANY, group="dynamic data", example="/uuid", produces=[JSON])
    def uuid(request: Request) -> Response:
        """A new UUID (RFC 9562, version 4)."""
        return answerJSON({"uuid": str(uuids.UUID(int=setting.rng.getrandbits(128), version=4))})

    def linkCount(n: str) -> int:
        return values.integerIn(n, "link count", 0, _MOST_LINKS)

    @routes.add(
        "/links/{n}",
        methods=MANY,
        group="dynamic data",
        example="/links/3",
        usual=302,
        answers=BAD,
        produces=[],
    )
    def links(request: Request, n: values.Integer) -> Response:
        """Leads to the first of n pages with links, 0 to 256."""
        query = f"?{request.rawQuery.decode('ascii')}" if request.rawQuery else ""
        return answerRedirect(setting.place(f"/links/{linkCount(n)}/0{query}"))

    @routes.add(
        "/links/{n}/{offset}",
        methods=MANY,
        group="dynamic data",
        example="/links/3/1",
        answers=BAD,
        produces=[HTML],
    )
    def linkPage(request: Request, n: values.Integer, offset: values.Integer) -> Response:
        """A page with links to n pages like it, but for itself."""
        count, here = linkCount(n), values.integer(offset, "offset")
        listed = "".join(
            f"{i} " if i == here else f'<a href="{setting.place(f"/links/{count}/{i}")}">{i}</a> '
            for i in range(count)
        )
        page = f"<html><head><title>Links</title></head><body>{listed}</body></html>"
        return Response(200, page.encode(), HTML)

    def base64(request: Request, operation: str, value: str) -> Response:
        type = request.argument("content-type") or TEXT
        if not isField("Content-Type", type):
            raise HTTPError(400, f"invalid content-type: {type[:60]!r} cannot stand in a field")
        result = transcoded(operation, value, setting.limits.max_body_size)
        if values.isDangerous(type) and not setting.limits.allow_dangerous_responses:
            result = values.escapedHTML(result)
        return Response(200, result, type)

    @routes.add(
        "/base64/{value}",
        methods=MANY,
        group="dynamic data",
        example="/base64/bG9vcGJhY2tkCg==",
        answers=BAD,
        produces=[TEXT],
    )
    def decoded(request: Request, value: str) -> Response:
        """What that says in Base64, of the type that content-type in the query names."""
        return base64(request, "decode", value)

    @routes.add(
        "/base64/{operation}/{value}",
        methods=MANY,
        group="dynamic data",
        example="/base64/encode/loopbackd",
        answers=BAD,
        produces=[TEXT],
    )
    def either(request: Request, operation: str, value: str) -> Response:
        """The value in Base64, or what it says in Base64: encode or decode."""
        return base64(request, operation, value)


def transcoded(operation: str, value: str, most: int) -> bytes:
    """
    A value in base64url, or what it says there or in plain Base64 (RFC 4648 sections 4 and 5).

    @raise HTTPError: 400; it says nothing, is too long, or the operation is none.
    """
    data = value.encode()
    if len(data) > most:
        raise HTTPError(400, f"input data exceeds max length of {most}")
    match operation:
        case "encode":
            return codec.urlsafe_b64encode(data)
        case "decode":
            try:
                return codec.b64decode(data.translate(_TO_STANDARD), validate=True)
            except (binascii.Error, ValueError) as error:
                raise HTTPError(400, f"base64 decode failed: {error}") from None
    raise HTTPError(400, f"invalid operation: {operation[:60]}; write encode or decode")


_TO_STANDARD: Final = bytes.maketrans(b"-_", b"+/")
