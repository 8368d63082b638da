"""Routes that show what a request was."""

from __future__ import annotations

from typing import Final

from loopbackd.http.chunks import LAST, chunk
from loopbackd.http.endpoints import Takes
from loopbackd.http.errors import HTTPError
from loopbackd.http.messages import Request, Response
from loopbackd.http.routes import Routes
from loopbackd.protocols.httpbin.cookies import cookiesOf
from loopbackd.protocols.httpbin.go.bodies import shownBody
from loopbackd.protocols.httpbin.go.dialect import (
    ANY,
    BAD,
    JSON,
    MANY,
    TEXT,
    Setting,
    answerJSON,
    canonical,
    jsonText,
    limited,
    origin,
    wholeBody,
)

_VARIABLES: Final = "HTTPBIN_ENV_"


async def answerFull(setting: Setting, request: Request) -> Response:
    """An answer that shows all of a request, its body included (C{Takes.PIECES})."""
    shown = setting.basics(request)
    body = await wholeBody(request, setting.limits.max_body_size)
    shown |= shownBody(request.fields.get("content-type"), body)
    try:
        return Response(200, jsonText(shown, isTheirs=shown["json"] is not None), JSON)
    except RecursionError:
        raise HTTPError(400, "error parsing request body: it is nested too deeply") from None


def addMethods(routes: Routes, setting: Setting) -> None:
    """Give a table a route for each method, and one for any."""

    @routes.add("/get", group="methods", example="/get?name=value", produces=[JSON])
    def get(request: Request) -> Response:
        """The request without its body."""
        return answerJSON(setting.basics(request))

    @routes.add("/head", methods=["HEAD"], group="methods", produces=[JSON])
    def head(request: Request) -> Response:
        """The head of what C{/get} answers."""
        return answerJSON(setting.basics(request))

    async def full(request: Request) -> Response:
        """The request with its body: as text, form, files or JSON, by its Content-Type."""
        return await answerFull(setting, request)

    for method in ("POST", "PUT", "PATCH", "DELETE"):
        routes.add(
            f"/{method.lower()}",
            methods=[method],
            takes=Takes.PIECES,
            group="methods",
            answers=BAD,
            produces=[JSON],
        )(full)
    routes.add(
        "/anything",
        methods=ANY,
        unruly="it takes any method at all",
        takes=Takes.PIECES,
        group="methods",
        example="/anything?name=value",
        answers=BAD,
        produces=[JSON],
    )(full)

    @routes.add(
        "/anything/{anything...}",
        methods=ANY,
        unruly="it takes any method at all",
        takes=Takes.PIECES,
        group="methods",
        example="/anything/at/all",
        answers=BAD,
        produces=[JSON],
    )
    async def anything(request: Request, anything: str) -> Response:
        """The request with its body, whatever its path and method."""
        return await answerFull(setting, request)

    @routes.add(
        "/upload",
        methods=["POST", "PUT", "PATCH"],
        takes=Takes.PIECES,
        group="methods",
        answers=BAD,
        produces=[JSON],
    )
    async def upload(request: Request) -> Response:
        """The request, and how many bytes its body had."""
        size = 0
        async for piece in limited(request, setting.limits.max_body_size):
            size += len(piece)
        return answerJSON({**setting.basics(request), "bytes_received": size})


def addInspection(routes: Routes, setting: Setting) -> None:
    """Give a table routes that show one thing of a request, or of us."""
    limits = setting.limits

    @routes.add("/headers", methods=MANY, group="inspection", example="/headers", produces=[JSON])
    def headers(request: Request) -> Response:
        """The request's header fields."""
        return answerJSON({"headers": setting.shownFields(request)})

    @routes.add("/ip", methods=MANY, group="inspection", example="/ip", produces=[JSON, TEXT])
    def ip(request: Request, *, format: str = "json") -> Response:
        """The address the request came from; as a line of text with C{format=text}."""
        if format == "text":
            return Response(200, f"{origin(request)}\n".encode(), TEXT)
        return answerJSON({"origin": origin(request)})

    @routes.add(
        "/user-agent", methods=MANY, group="inspection", example="/user-agent", produces=[JSON]
    )
    def userAgent(request: Request) -> Response:
        """What the client calls itself."""
        return answerJSON({"user-agent": request.fields.get("user-agent") or ""})

    @routes.add("/cookies", methods=MANY, group="cookies", example="/cookies", produces=[JSON])
    def cookies(request: Request) -> Response:
        """The cookies of the request."""
        return answerJSON({"cookies": dict(sorted(cookiesOf(request).items()))})

    @routes.add(
        "/dump/request",
        methods=ANY,
        unruly="it takes any method at all",
        takes=Takes.PIECES,
        group="inspection",
        example="/dump/request",
        answers=BAD,
        produces=[TEXT],
    )
    async def dump(request: Request) -> Response:
        """The request as it might have been on the wire; for what it was there is C{/raw}."""
        body = await wholeBody(request, limits.max_body_size)
        return Response(200, dumped(request, body), TEXT)

    @routes.add("/env", methods=MANY, group="about", example="/env", produces=[JSON])
    def env(request: Request) -> Response:
        """The environment variables that begin with HTTPBIN_ENV_."""
        shown = {n: v for n, v in sorted(setting.environ.items()) if n.startswith(_VARIABLES)}
        return answerJSON({"env": shown})

    @routes.add("/hostname", methods=MANY, group="about", example="/hostname", produces=[JSON])
    def hostname(request: Request) -> Response:
        """The name this service gives its host."""
        return answerJSON({"hostname": limits.hostname})

    @routes.add("/version", methods=MANY, group="about", example="/version", produces=[JSON])
    def version(request: Request) -> Response:
        """The dialect that is spoken, and its version if it has one."""
        shown = {"service": "go-httpbin"}
        if limits.version:
            shown["version"] = limits.version
        return answerJSON(shown)


def dumped(request: Request, body: bytes) -> bytes:
    """A request as go-httpbin writes it down: names canonical and in order, C{Host} first."""
    target = request.rawPath + (b"?" + request.rawQuery if request.rawQuery else b"")
    method, host = request.method.encode("ascii"), request.head.host
    lines = [b"%b %b HTTP/1.%d" % (method, target, request.head.minor), b"Host: " + host]
    rest = []
    for name, value in request.fields.pairs:
        title = canonical(name)
        if title not in ("Host", "Transfer-Encoding"):
            rest.append((title, value))
    isChunked = request.head.length is None
    if isChunked:
        lines.append(b"Transfer-Encoding: chunked")
        body = (chunk(body) if body else b"") + LAST
    # By name alone: lines of one name stay in their order.
    rest.sort(key=lambda one: one[0])
    lines += [title.encode("latin-1") + b": " + value for title, value in rest]
    return b"\r\n".join([*lines, b"", body])
