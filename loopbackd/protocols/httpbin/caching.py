"""Validators and caching (RFC 9110 section 13, RFC 9111), and header fields by choice."""

from __future__ import annotations

import re
import uuid
from email.utils import formatdate
from typing import Annotated, Final

from msgspec import Meta

from loopbackd.http.errors import HTTPError
from loopbackd.http.fields import isField
from loopbackd.http.messages import Request, Response
from loopbackd.http.routes import Routes
from loopbackd.protocols.httpbin.dialect import (
    JSON,
    OURS,
    SANDBOX,
    answerTexts,
    arguments,
    basics,
    flattened,
    isHarmless,
    jsonText,
)
from loopbackd.protocols.httpbin.statuses import answerStatus

_TAG: Final = re.compile(r'[ \t]*(?:W/)?"?([^"]*)"?[ \t]*')
_CHOSEN: Final = frozenset(["date", "server"])
"""Of what every answer has, what can be said differently."""
_MOST_TURNS: Final = 10

routes = Routes("caching")


def parseTags(value: str | None) -> list[str]:
    """
    The entity tags in C{If-Match} or C{If-None-Match}, quoted or not, weak or not; C{*} is one.
    """
    found = []
    for part in (value or "").split(","):
        match = _TAG.match(part)
        if match is not None and match[1].strip():
            found.append(match[1].strip())
    return found


@routes.add(
    "/cache",
    group="caching",
    example="/cache",
    answers={304: "a client that has something already has the newest"},
    reads={
        "If-Modified-Since": "any date: it has not been modified",
        "If-None-Match": "any tag: it matches",
    },
)
def cache(request: Request) -> Response:
    """The request, with validators; 304 for any conditional request."""
    fields = request.fields
    if "if-modified-since" in fields or "if-none-match" in fields:
        return answerStatus(304)
    answer = answerTexts(basics(request))
    answer.fields.append(("Last-Modified", formatdate(request.on.seconds(), usegmt=True)))
    answer.fields.append(("ETag", f'"{uuid.uuid4().hex}"'))
    return answer


@routes.add("/cache/{n}", group="caching", example="/cache/60")
def cacheFor(request: Request, n: Annotated[int, Meta(ge=0, description="seconds")]) -> Response:
    """The request, to be kept for n seconds."""
    answer = answerTexts(basics(request))
    answer.fields.append(("Cache-Control", f"public, max-age={n}"))
    return answer


@routes.add(
    "/etag/{etag}",
    group="caching",
    example="/etag/abc",
    answers={304: "If-None-Match has the tag", 412: "If-Match lacks it"},
    reads={"If-Match": "tags, one of which it must be", "If-None-Match": "tags the client has"},
)
def etag(request: Request, etag: str) -> Response:
    """The request, with that entity tag."""
    if not isField("ETag", etag):
        raise HTTPError(400, f"{etag[:60]!r} is no entity tag: it has control characters")
    known = parseTags(request.fields.get("if-none-match"))
    wanted = parseTags(request.fields.get("if-match"))
    if known:
        if etag in known or "*" in known:
            answer = answerStatus(304)
            answer.fields.append(("ETag", etag))
            return answer
    elif wanted and etag not in wanted and "*" not in wanted:
        return answerStatus(412)
    answer = answerTexts(basics(request))
    # Without quotes, as clients of httpbin expect it, although RFC 9110 section 8.8.3 wants them.
    answer.fields.append(("ETag", etag))
    return answer


@routes.add(
    "/response-headers",
    methods=["GET", "POST"],
    group="responses",
    example="/response-headers?X-One=1&X-Two=2",
    answers={400: "a field that cannot be sent"},
)
def responseHeaders(request: Request) -> Response:
    """Sends the query as header fields, and shows the fields of the answer."""
    chosen = arguments(request)
    for name, value in chosen:
        if not isField(name, value):
            raise HTTPError(400, f"{name[:60]!r}: {value[:60]!r} cannot be a header field")
        if name.lower() in OURS - _CHOSEN:
            raise HTTPError(400, f"{name} is the server's to say")
    types = [value for name, value in chosen if name.lower() == "content-type"]
    if not types:
        chosen = [("Content-Type", JSON), *chosen]
    elif not isHarmless(types):
        chosen = [SANDBOX, *chosen]
    answer = Response(200, _shownWithLength(chosen), None, [*chosen])
    # Its own Server and Date are the only ones.
    answer.isForeign = True
    return answer


def _shownWithLength(pairs: list[tuple[str, str]]) -> bytes:
    """The fields as JSON, with the length that this JSON has."""
    length = 0
    for _ in range(_MOST_TURNS):
        text = jsonText(flattened([*pairs, ("Content-Length", str(length))]))
        if len(text) == length:
            break
        length = len(text)
    return text
