"""Header fields and trailers by choice, and what helps caches."""

from __future__ import annotations

from hashlib import sha1
from typing import Final

from loopbackd.http.endpoints import Takes
from loopbackd.http.errors import HTTPError
from loopbackd.http.fields import FieldPairs, isField
from loopbackd.http.messages import Request, Response
from loopbackd.http.routes import Routes
from loopbackd.http.validators import httpDate
from loopbackd.protocols.httpbin.dialect import OURS
from loopbackd.protocols.httpbin.go import values
from loopbackd.protocols.httpbin.go.contents import served
from loopbackd.protocols.httpbin.go.dialect import (
    BAD,
    JSON,
    MANY,
    TEXT,
    Setting,
    answerJSON,
    canonical,
    jsonText,
    listed,
)
from loopbackd.protocols.httpbin.go.inspecting import answerFull

_NO_TRAILERS: Final = OURS | frozenset(
    ["authorization", "cache-control", "host", "max-forwards", "set-cookie", "te"]
)
_CONDITIONS: Final = {
    "If-Modified-Since": "any date: it has not been modified",
    "If-None-Match": "any tag: it matches",
}


def addAnswers(routes: Routes, setting: Setting) -> None:
    """Give a table routes whose header fields, or trailers, are the client's choice."""
    limits = setting.limits

    @routes.add(
        "/response-headers",
        methods=MANY,
        group="responses",
        example="/response-headers?X-One=1&X-Two=2",
        produces=[JSON],
    )
    def responseHeaders(request: Request) -> Response:
        """Sends the query as header fields, and shows it."""
        shown = listed(request.query)
        type = values.plainly((shown.get("Content-Type") or [""])[0])
        if not isField("Content-Type", type) or not type:
            type = JSON
            shown["Content-Type"] = [type]
        fields: FieldPairs = []
        for name, every in shown.items():
            title = canonical(name.encode())
            # Those that are ours are shown all the same.
            if title.lower() not in OURS and title != "Content-Type":
                pairs = [(title, values.plainly(value)) for value in every]
                fields += [pair for pair in pairs if isField(*pair)]
        if values.isDangerous(type) and not limits.allow_dangerous_responses:
            shown = {
                _escaped(name): [_escaped(one) for one in every] for name, every in shown.items()
            }
        return Response(200, jsonText(dict(sorted(shown.items()))), type, fields)

    @routes.add(
        "/trailers",
        methods=MANY,
        takes=Takes.PIECES,
        group="responses",
        example="/trailers?X-One=1&X-Two=2",
        answers=BAD,
        produces=[JSON],
    )
    async def trailers(request: Request) -> Response:
        """The request in chunks, with the query as trailers behind them."""
        chosen: dict[str, str] = {}
        for name, value in request.query:
            title = canonical(name.encode())
            if title.lower() in _NO_TRAILERS or title.startswith("Content-"):
                raise HTTPError(400, f"forbidden trailer: {name[:60]}")
            plain = values.plainly(value)
            if not isField(title, plain):
                raise HTTPError(400, f"invalid trailer: {name[:60]!r} is no name of a field")
            chosen[title] = plain
        answer = await answerFull(setting, request)
        if not request.head.minor:
            # Trailers come behind chunks, which HTTP/1.0 does not know.
            return answer
        answer.fields += [("Trailer", title) for title in chosen]
        assert isinstance(answer.body, bytes)
        answer.body = [answer.body]
        answer.trailers = lambda: [*chosen.items()]
        return answer


def _escaped(text: str) -> str:
    return values.escapedHTML(text.encode()).decode()


def addCaching(routes: Routes, setting: Setting) -> None:
    """Give a table routes whose answers can be kept."""

    @routes.add(
        "/cache",
        methods=MANY,
        group="caching",
        example="/cache",
        answers={304: "a client that has something already has the newest"},
        produces=[JSON],
        reads=_CONDITIONS,
    )
    def cache(request: Request) -> Response:
        """The request, with validators; 304 for any conditional request."""
        fields = request.fields
        if fields.get("if-modified-since") or fields.get("if-none-match"):
            return Response(304)
        date = httpDate(request.on.seconds())
        # It is the date in hexadecimal digits and the hash of nothing, without quotes: measured.
        tag = date.encode().hex() + sha1(usedforsecurity=False).hexdigest()
        return answerJSON(setting.basics(request), 200, [("Last-Modified", date), ("ETag", tag)])

    @routes.add(
        "/cache/{n}",
        methods=MANY,
        group="caching",
        example="/cache/60",
        answers=BAD,
        produces=[JSON],
    )
    def cacheFor(request: Request, n: values.Integer) -> Response:
        """The request, to be kept for n seconds."""
        seconds = values.integer(n, "seconds")
        control = f"public, max-age={seconds}"
        return answerJSON(setting.basics(request), 200, [("Cache-Control", control)])

    @routes.add(
        "/etag/{etag}",
        methods=MANY,
        group="caching",
        example="/etag/abc",
        answers={
            **BAD,
            206: "the range that was asked for",
            304: "the client has it",
            412: "it is not what the client wants to change",
            416: "there is no such range",
        },
        produces=[TEXT],
        reads={"If-Match": "tags, one of which it must be", "If-None-Match": "tags the client has"},
    )
    def etag(request: Request, etag: str) -> Response:
        """The request, with that entity tag, as a file would be served."""
        tag = f'"{etag}"'
        if '"' in etag or not isField("ETag", tag):
            raise HTTPError(400, f"invalid etag: {etag[:60]!r} has what cannot stand in one")
        body = jsonText(setting.basics(request))
        return served(
            request,
            len(body),
            lambda start, end: body[start:end],
            tag=tag,
            type=TEXT,
            modified=request.on.seconds(),
        )
