"""
What go-httpbin's answers have in common: how its JSON is written and how a request is shown.

The conventions are measured, not chosen.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, Final

import msgspec

from loopbackd.http.errors import HTTPError
from loopbackd.http.fields import FieldPairs
from loopbackd.http.messages import Request, Response, reasonFor
from loopbackd.http.routes import Found, Routes
from loopbackd.httpsettings import GoSettings
from loopbackd.protocols.httpbin.dialect import METHODS, authority, ownURL, scheme
from loopbackd.protocols.httpbin.nesting import isSprawling

JSON: Final = "application/json; charset=utf-8"
TEXT: Final = "text/plain; charset=utf-8"
HTML: Final = "text/html; charset=utf-8"
OCTETS: Final = "application/octet-stream"
ANY: Final = ("*",)
"""The methods of routes that show what was asked, whatever that was."""

MANY: Final = METHODS
"""The methods of routes that do not care."""

BAD: Final = {400: "what was asked for is not possible; the answer says why"}
"""For routes whose parameters can be wrong."""

_METHODS: Final = "GET, POST, HEAD, PUT, DELETE, PATCH, OPTIONS"
_HALVES: Final = re.compile("[\ud800-\udfff]")
_names: dict[bytes, str] = {}
_MOST_NAMES: Final = 4096
_LONGEST_KEPT: Final = 64
_CLIENTS: Final = ("fly-client-ip", "cf-connecting-ip", "fastly-client-ip", "true-client-ip")


@dataclass(frozen=True, slots=True)
class Setting:
    """
    Where a table is, and what it may do.

    @ivar limits: how much.
    @ivar prefix: what stands before all its paths, without a slash at the end.
    @ivar environ: the environment variables it may show some of.
    @ivar rng: where chance comes from if the client names no seed.
    @ivar excluded: the names of fields that are not shown.
    """

    limits: GoSettings
    prefix: str
    environ: Mapping[str, str]
    rng: Random
    excluded: re.Pattern[str] | None

    def shownFields(self, request: Request) -> dict[str, list[str]]:
        """The request's fields by name, in order, each with the values of all its lines."""
        shown: dict[str, list[str]] = {}
        for name, value in request.fields.pairs:
            title = canonical(name)
            shown.setdefault(title, []).append(value.decode("utf-8", "replace"))
        shown["Host"] = [request.host]
        if request.head.length is None:
            shown["Transfer-Encoding"] = ["chunked"]
        if self.excluded is not None:
            shown = {n: v for n, v in shown.items() if not self.excluded.fullmatch(n)}
        return dict(sorted(shown.items()))

    def basics(self, request: Request) -> dict[str, Any]:
        """What most answers show of a request, in this order."""
        return {
            "args": listed(request.query),
            "headers": self.shownFields(request),
            "method": request.method,
            "origin": origin(request),
            "url": url(request),
        }

    def place(self, path: str) -> str:
        """Where a path of this table is, for C{Location} and links."""
        return self.prefix + path

    def address(self, request: Request, path: str) -> str:
        """The same with scheme and host."""
        return ownURL(request, self.prefix + path)


class GoRoutes(Routes):
    """A table that answers OPTIONS for every path, also for those it does not have."""

    def findPath(self, request: Request, path: bytes) -> Found:
        """See L{Routes.findPath}."""
        if request.method != "OPTIONS":
            return super().findPath(request, path)
        try:
            found = super().findPath(request, path)
        except HTTPError:
            return _preflight
        # A route for any method would take this one as well.
        return found if found.endpoint.template == "*" else _preflight


def excluding(names: str) -> re.Pattern[str] | None:
    """
    What matches the names of fields that are not shown; L{None} if all are.

    @param names: with commas between them; C{*} stands for anything.
    """
    patterns = [re.escape(name.strip()).replace(r"\*", ".*") for name in names.split(",")]
    wanted = "|".join(pattern for pattern in patterns if pattern)
    return re.compile(wanted, re.I) if wanted else None


def canonical(name: bytes) -> str:
    """The name of a field as Go writes it: capitals at the beginning and behind each hyphen."""
    title = _names.get(name)
    if title is None:
        words = name.decode("latin-1").split("-")
        title = "-".join(word[:1].upper() + word[1:].lower() for word in words)
        if len(_names) < _MOST_NAMES and len(name) <= _LONGEST_KEPT:
            _names[name] = title
    return title


def listed(pairs: list[tuple[str, str]]) -> dict[str, list[str]]:
    """Names and all their values, in the order of names."""
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return dict(sorted(found.items()))


def origin(request: Request) -> str:
    """Where the request comes from, by what proxies say, else the peer's address."""
    for name in _CLIENTS:
        claimed = request.fields.get(name)
        if claimed:
            return claimed
    forwarded = request.fields.get("x-forwarded-for")
    if forwarded:
        return forwarded.partition(",")[0].strip()
    return request.remoteHost


def url(request: Request) -> str:
    """The whole address that was asked for, as it was written."""
    target = request.rawPath
    if request.rawQuery:
        target += b"?" + request.rawQuery
    return f"{scheme(request)}://{authority(request)}{target.decode('ascii')}"


def jsonText(value: Any, isTheirs: bool = False) -> bytes:
    """
    In the order it has, two spaces an indent, UTF-8, a line feed at the end.

    @param isTheirs: a client decides how deeply it is nested; on one line if that is too much.
    """
    plain = _encoded(json.dumps(value, ensure_ascii=False))
    if isTheirs and isSprawling(plain):
        return plain + b"\n"
    # What json.dumps makes with an indent, without the time it takes.
    return msgspec.json.format(plain, indent=2) + b"\n"


def jsonLine(value: Any) -> bytes:
    """On one line, with what means something in HTML escaped."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    for plain, escaped in (("&", "\\u0026"), ("<", "\\u003c"), (">", "\\u003e")):
        text = text.replace(plain, escaped)
    return _encoded(text + "\n")


def _encoded(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        # Half of a surrogate pair, which JSON can name and nothing can write.
        return _HALVES.sub("\ufffd", text).encode()


def answerJSON(value: Any, status: int = 200, fields: FieldPairs | None = None) -> Response:
    """An answer with that value."""
    return Response(status, jsonText(value), JSON, fields)


def answerError(status: int, detail: str = "", fields: FieldPairs | None = None) -> Response:
    """An error as a handler tells it."""
    told: dict[str, Any] = {"status_code": status, "error": reasonFor(status)}
    if detail:
        told["detail"] = detail
    return answerJSON(told, status, fields)


def failed(request: Request, error: HTTPError) -> Response:
    """An error: what is not there, or not by this method, in a line of text; the rest in JSON."""
    fields: FieldPairs = [*error.fields]
    if error.status in (404, 405):
        text = "404 page not found" if error.status == 404 else reasonFor(405)
        fields.append(("X-Content-Type-Options", "nosniff"))
        return Response(error.status, f"{text}\n".encode(), TEXT, fields)
    return answerError(error.status, error.detail, fields)


def finish(request: Request, answer: Response) -> None:
    """What every answer has: leave for pages of other origins."""
    allowed = request.fields.get("origin") or "*"
    answer.fields.append(("Access-Control-Allow-Origin", allowed))
    answer.fields.append(("Access-Control-Allow-Credentials", "true"))


def options(request: Request, allowed: str) -> Response:
    """The answer to OPTIONS: what may be asked, of whom."""
    answer = _preflightAnswer(request)
    answer.fields.append(("Allow", allowed))
    return answer


def _preflightAnswer(request: Request) -> Response:
    fields: FieldPairs = [
        ("Access-Control-Allow-Methods", _METHODS),
        ("Access-Control-Max-Age", "3600"),
    ]
    asked = request.fields.get("access-control-request-headers")
    if asked:
        fields.append(("Access-Control-Allow-Headers", asked))
    return Response(200, b"", None, fields)


def _makePreflight() -> Found:
    routes = Routes("")
    routes.add("/", methods=["OPTIONS"])(_preflightAnswer)
    return Found(routes.endpoints[0], ())


_preflight: Final = _makePreflight()


async def wholeBody(request: Request, most: int) -> bytes:
    """
    The body of a request whose route takes it in pieces.

    @param most: how many bytes it may have.
    @raise HTTPError: 400, where 413 would be expected: it has more.
    """
    pieces = [piece async for piece in limited(request, most)]
    return b"".join(pieces)


async def limited(request: Request, most: int) -> AsyncIterator[bytes]:
    """The pieces of such a body, up to C{most} bytes; see L{wholeBody}."""
    length, size = request.head.length, 0
    if length is not None and length > most:
        raise HTTPError(400, f"error parsing request body: it may have {most} bytes here")
    if request.pieces is None:
        return
    async for piece in request.pieces:
        size += len(piece)
        if size > most:
            raise HTTPError(400, f"error parsing request body: it may have {most} bytes here")
        yield piece
