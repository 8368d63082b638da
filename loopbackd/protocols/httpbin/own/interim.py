"""What is said before the answer: early hints, and whether a body is wanted."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta

from loopbackd.http.endpoints import Takes
from loopbackd.http.errors import HTTPError
from loopbackd.http.fields import FieldPairs
from loopbackd.http.messages import Request, Response
from loopbackd.http.routes import Routes
from loopbackd.protocols.httpbin.dialect import HTML, answerJSON

Times = Annotated[int, Meta(ge=1, le=100)]
Seconds = Annotated[float, Meta(ge=0, le=10)]
Refusal = Annotated[int, Meta(ge=400, le=499)]

_LINK: Final = "</image/png>; rel=preload; as=image"
_PAGE: Final = (
    b"<!doctype html>\n<html lang=en>\n<title>Early hints</title>\n"
    b"<link rel=preload as=image href=/image/png>\n"
    b"<p>The picture was named before this page was there. <img src=/image/png alt=picture>\n"
)

routes = Routes("before the answer")


@routes.add(
    "/early-hints",
    group="before the answer",
    example="/early-hints?delay=1",
    answers={103: "what to load meanwhile (RFC 8297)"},
    produces=[HTML],
    unruly="clients that do not know 103 take it for the answer",
    slow=True,
)
async def earlyHints(request: Request, *, count: Times = 1, delay: Seconds = 0.0) -> Response:
    """C{103 Early Hints}, C{count} times; after C{delay} seconds the page they are for."""
    for _ in range(count):
        request.on.interim(103, [("Link", _LINK)])
    await request.on.sleep(delay)
    return Response(200, _PAGE, HTML, [("Link", _LINK)])


@routes.add(
    "/expect",
    methods=["POST", "PUT", "PATCH"],
    takes=Takes.PIECES,
    group="before the answer",
    example="/expect?delay=1",
    answers={417: "Expect has something else than 100-continue"},
    slow=True,
)
async def expect(request: Request, *, delay: Seconds = 0.0) -> Response:
    """Asks for the body (C{100 Continue}) after C{delay} seconds; the answer says when it came."""
    started = request.on.seconds()
    await request.on.sleep(delay)
    size, first = 0, None
    assert request.pieces is not None
    async for piece in request.pieces:
        if first is None:
            first = request.on.seconds() - started
        size += len(piece)
    return answerJSON(
        {
            "expected": request.head.expectsContinue,
            "bytes": size,
            "asked_after": delay,
            "first_byte_after": None if first is None else round(first, 3),
        }
    )


@routes.add(
    "/expect/{status}",
    methods=["POST", "PUT", "PATCH"],
    group="before the answer",
    example="/expect/417",
    usual=0,
    answers={0: "any 4xx, as asked for"},
    produces=[HTML],
)
def refuse(request: Request, status: Refusal) -> Response:
    """Refuses a body with that status before it was sent; C{100 Continue} is never said."""
    fields: FieldPairs = []
    if status == 401:
        fields.append(("WWW-Authenticate", "Basic"))
    elif status == 407:
        fields.append(("Proxy-Authenticate", "Basic"))
    raise HTTPError(status, "no body is wanted here", fields)
