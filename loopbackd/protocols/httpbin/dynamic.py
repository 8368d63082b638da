"""Answers that are made up: random bytes, links, what a client has encoded."""

from __future__ import annotations

import binascii
import os
import random
import uuid as uuids
from base64 import b64decode
from collections.abc import Iterator
from typing import Annotated, Final

from msgspec import Meta

from loopbackd.http.messages import Request, Response
from loopbackd.http.routes import Routes
from loopbackd.protocols.httpbin.dialect import HTML, SANDBOX, answerTexts
from loopbackd.protocols.httpbin.forms import OCTETS
from loopbackd.protocols.httpbin.redirects import answerRedirect
from loopbackd.protocols.httpbin.schemas import UUID

_MOST_BYTES: Final = 100 << 10
_MOST_LINKS: Final = 200
_CHUNK: Final = 10 << 10
_INCORRECT: Final = "Incorrect Base64 data try: SFRUUEJJTiBpcyBhd2Vzb21l"

Size = Annotated[int, Meta(ge=0, description=f"{_MOST_BYTES} at most")]
Seed = Annotated[int, Meta(description="the same seed gives the same bytes")]

routes = Routes("answers that are made up")


@routes.add("/uuid", group="dynamic data", example="/uuid", returns=UUID)
def uuid(request: Request) -> Response:
    """A new UUID (RFC 9562, version 4)."""
    return answerTexts({"uuid": str(uuids.uuid4())})


class RandomBytes:
    """
    Random bytes, a piece at a time.

    @param seed: the bytes are those that C{random.Random(seed).randint(0, 255)} gives one by one,
        which clients' tests expect; without it they are the system's.
    """

    def __init__(self, seed: int | None) -> None:
        self._chance = None if seed is None else random.Random(seed)

    def take(self, size: int) -> bytes:
        """The next of them."""
        if self._chance is None:
            return os.urandom(size)
        # What randint does for these bounds, without its four calls for each.
        bits = self._chance.getrandbits
        found = bytearray()
        while len(found) < size:
            number = bits(9)
            if number < 256:
                found.append(number)
        return bytes(found)


@routes.add(
    "/bytes/{n}", group="dynamic data", example="/bytes/16", produces=[OCTETS], anyCase=True
)
def someBytes(request: Request, n: Size, *, seed: Seed | None = None) -> Response:
    """So many random bytes, 100 KiB at most; the same seed gives the same."""
    return Response(200, RandomBytes(seed).take(min(n, _MOST_BYTES)), OCTETS)


@routes.add(
    "/stream-bytes/{n}",
    group="dynamic data",
    example="/stream-bytes/4096?chunk_size=1024",
    produces=[OCTETS],
    anyCase=True,
)
def streamBytes(
    request: Request, n: Size, *, seed: Seed | None = None, chunk_size: int = _CHUNK
) -> Response:
    """The same in chunks of C{chunk_size} bytes."""
    size, source = min(n, _MOST_BYTES), RandomBytes(seed)
    step = max(1, chunk_size)

    def pieces() -> Iterator[bytes]:
        for start in range(0, size, step):
            yield source.take(min(step, size - start))

    return Response(200, pieces(), OCTETS)


@routes.add("/links/{n}", group="dynamic data", example="/links/3", usual=302, produces=[HTML])
def links(request: Request, n: int) -> Response:
    """Leads to the first of n pages with links."""
    return answerRedirect(f"/links/{n}/0")


@routes.add("/links/{n}/{offset}", group="dynamic data", example="/links/3/1", produces=[HTML])
def linkPage(request: Request, n: int, offset: int) -> Response:
    """A page with links to n pages like it, 1 to 200."""
    count = min(max(1, n), _MOST_LINKS)
    listed = "".join(
        f"{i} " if i == offset else f"<a href='/links/{count}/{i}'>{i}</a> " for i in range(count)
    )
    page = f"<html><head><title>Links</title></head><body>{listed}</body></html>"
    return Response(200, page.encode(), HTML)


@routes.add(
    "/base64/{value}",
    group="dynamic data",
    example="/base64/bG9vcGJhY2tkCg==",
    produces=[HTML],
)
def base64(request: Request, value: str) -> Response:
    """What that says in base64url (RFC 4648 section 5), with or without its padding."""
    return Response(200, decodeBase64(value).encode(), HTML, [SANDBOX])


def decodeBase64(value: str) -> str:
    """The text, or a word of how it should be."""
    padded = value.rstrip("=")
    padded += "=" * (-len(padded) % 4)
    try:
        return b64decode(padded.encode(), altchars=b"-_").decode()
    except (binascii.Error, ValueError):
        return _INCORRECT
