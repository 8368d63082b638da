"""Answers that come late, slowly or in pieces."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Final

from msgspec import Meta

from loopbackd.http.endpoints import Takes
from loopbackd.http.errors import HTTPError
from loopbackd.http.messages import Request, Response
from loopbackd.http.routes import Routes
from loopbackd.protocols.httpbin.dialect import JSON, METHODS, answerTexts, basics
from loopbackd.protocols.httpbin.forms import OCTETS
from loopbackd.protocols.httpbin.inspecting import CONSUMES, UNREADABLE, shownBody
from loopbackd.protocols.httpbin.timing import Seconds, paced

_LONGEST_DELAY: Final = 10.0
_MOST_LINES: Final = 100
_MOST_DRIPPED: Final = 10 << 20

routes = Routes("answers that take their time")


@routes.add(
    "/delay/{seconds}",
    methods=METHODS,
    takes=Takes.WHOLE,
    group="dynamic data",
    example="/delay/1.5",
    answers=UNREADABLE,
    consumes=CONSUMES,
    slow=True,
)
async def delay(
    request: Request, seconds: Annotated[float, Meta(ge=0, description="10 at most")]
) -> Response:
    """All of the request but its JSON, after so many seconds, 10 at most."""
    shown = {**basics(request), **shownBody(request)}
    del shown["json"]
    await request.on.sleep(min(seconds, _LONGEST_DELAY))
    return answerTexts(shown)


@routes.add(
    "/drip",
    group="dynamic data",
    example="/drip?numbytes=5&duration=2",
    answers={400: "a number that is none, or out of bounds"},
    produces=[OCTETS],
    usual=0,
    anyCase=True,
    slow=True,
)
async def drip(
    request: Request,
    *,
    numbytes: int = 10,
    duration: Seconds = 2.0,
    delay: Seconds = 0.0,
    code: Annotated[int, Meta(ge=200, le=999, description="the status")] = 200,
) -> Response:
    """So many asterisks, one at a time over C{duration} seconds, with status C{code}."""
    if numbytes <= 0:
        raise HTTPError(400, "number of bytes must be positive")
    size = min(numbytes, _MOST_DRIPPED)
    if delay:
        await request.on.sleep(delay)
    body = paced(request, size, 1, duration / size, lambda start, end: b"*" * (end - start))
    return Response(code, body, OCTETS, length=size)


@routes.add("/stream/{n}", group="dynamic data", example="/stream/3")
def stream(request: Request, n: Annotated[int, Meta(ge=0, description="100 at most")]) -> Response:
    """The request n times, 100 at most, each a line of JSON with its number."""
    shown = basics(request)
    first = {name: shown[name] for name in ("url", "args", "headers", "origin")}
    # All lines are one text, but for the number at its end.
    text = json.dumps(first).encode("ascii")[:-1]

    def lines() -> Iterator[bytes]:
        for number in range(min(n, _MOST_LINES)):
            yield b'%b, "id": %d}\n' % (text, number)

    return Response(200, lines(), JSON)
