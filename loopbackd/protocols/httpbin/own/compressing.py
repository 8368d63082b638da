"""Answers in a content coding that the client takes (RFC 9110 section 12.5.3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final, Literal

from msgspec import Meta

from loopbackd.http.codings import CODINGS, lacks
from loopbackd.http.errors import HTTPError
from loopbackd.http.messages import Request, Response
from loopbackd.http.negotiation import IDENTITY, chooseCoding
from loopbackd.http.routes import Routes
from loopbackd.protocols.httpbin.dialect import JSON, jsonText, origin, shownFields

Coding = Literal["gzip", "deflate", "br", "zstd", "identity"]
Filler = Annotated[int, Meta(ge=0, le=1 << 20)]

_NOT_TAKEN: Final = {406: "Accept-Encoding forbids it, and an answer without coding as well"}
_READS: Final = {"Accept-Encoding": "which coding the answer has"}

routes = Routes("answers in a coding")


@routes.add(
    "/compress",
    group="codings",
    example="/compress",
    answers=_NOT_TAKEN,
    reads=_READS,
)
def compress(request: Request, *, filler: Filler = 0) -> Response:
    """The request in the coding that the client would rather have, with so many bytes of filler."""
    return _answer(request, [one for one in CODINGS if lacks(one) is None], filler)


@routes.add(
    "/compress/{coding}",
    group="codings",
    example="/compress/zstd",
    answers={**_NOT_TAKEN, 501: "the package that coding needs is not installed"},
    reads=_READS,
)
def compressSo(request: Request, coding: Coding, *, filler: Filler = 0) -> Response:
    """The request in that coding where the client takes it, else without one."""
    missing = lacks(coding)
    if missing is not None:
        raise HTTPError(501, f"the package {missing} is not installed here")
    return _answer(request, [] if coding == IDENTITY else [coding], filler)


def _answer(request: Request, offered: Sequence[str], filler: int) -> Response:
    vary = ("Vary", "Accept-Encoding")
    coding = chooseCoding(request.fields.get("accept-encoding"), offered)
    if coding is None:
        words = ", ".join([*offered, IDENTITY])
        raise HTTPError(406, f"Accept-Encoding forbids all there is: {words}", [vary])
    shown = {
        "coding": coding,
        "headers": shownFields(request),
        "method": request.method,
        "origin": origin(request),
    }
    if filler:
        shown["filler"] = "loopback " * (filler // 9) + "loopback "[: filler % 9]
    body = jsonText(shown)
    answer = Response(200, body, JSON, [vary])
    if coding != IDENTITY:
        answer.body = CODINGS[coding](body)
        answer.fields.append(("Content-Encoding", coding))
    return answer
