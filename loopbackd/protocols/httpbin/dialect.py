"""
What httpbin's answers have in common: how its JSON is written and how a request is shown.

The conventions are measured, not chosen; clients' test suites compare them byte by byte.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final
from urllib.parse import quote, unquote_to_bytes

import msgspec

from loopbackd.hostport import joined
from loopbackd.http.errors import HTTPError
from loopbackd.http.fields import FieldPairs
from loopbackd.http.messages import Request, Response, reasonFor
from loopbackd.protocols.httpbin.nesting import isSprawling

JSON: Final = "application/json"
HTML: Final = "text/html; charset=utf-8"
TEXT: Final = "text/plain; charset=utf-8"
SANDBOX: Final = ("Content-Security-Policy", "sandbox")
"""For pages that a client wrote: no scripts of theirs run in our name."""
METHODS: Final = ("GET", "POST", "PUT", "DELETE", "PATCH", "TRACE")
"""What routes take that take anything."""

OURS: Final = frozenset(
    [
        *("connection", "content-length", "date", "keep-alive", "server", "trailer"),
        *("transfer-encoding", "upgrade"),
    ]
)
"""Fields in which an answer speaks of itself, which no client can choose; in lower case."""

_HARMLESS: Final = frozenset(["text/plain", "application/json", "application/octet-stream"])

_HIDDEN: Final = frozenset(
    [
        "Connect-Time",
        "Total-Route-Time",
        "Via",
        "X-Forwarded-For",
        "X-Forwarded-Port",
        "X-Forwarded-Proto",
        "X-Forwarded-Protocol",
        "X-Forwarded-Ssl",
        "X-Heroku-Dynos-In-Use",
        "X-Heroku-Queue-Depth",
        "X-Heroku-Queue-Wait-Time",
        "X-Real-Ip",
        "X-Request-Id",
        "X-Request-Start",
        "X-Varnish",
    ]
)
"""Left out of what is shown, unless the query has C{show_env}: what hosting adds."""

_encoder = msgspec.json.Encoder(order="sorted")
_titles: dict[bytes, str] = {}
_MOST_TITLES: Final = 4096
_LONGEST_KEPT: Final = 64


def jsonText(value: Any, isTheirs: bool = False) -> bytes:
    """
    Keys sorted, two spaces an indent, ASCII, a line feed at the end.

    @param isTheirs: a client decides how deeply it is nested; on one line if that is too much.
    """
    try:
        plain = json.dumps(value, sort_keys=True).encode("ascii")
        if isTheirs and isSprawling(plain):
            return plain + b"\n"
        return msgspec.json.format(plain, indent=2) + b"\n"
    except msgspec.DecodeError:
        # Half of a surrogate pair, which Python alone takes for a character; it is slow.
        return json.dumps(value, indent=2, sort_keys=True).encode("ascii") + b"\n"


def textsAsJSON(value: Any) -> bytes:
    """L{jsonText} for what has no numbers in it: the same bytes, and faster still."""
    encoded = _encoder.encode(value)
    if encoded.isascii() and b"\\u007f" not in encoded:
        return msgspec.json.format(encoded, indent=2) + b"\n"
    return jsonText(value)


def answerJSON(value: Any, status: int = 200) -> Response:
    """An answer with that value."""
    return Response(status, jsonText(value), JSON)


def answerTexts(value: Any) -> Response:
    """An answer with a value that has no numbers in it."""
    return Response(200, textsAsJSON(value), JSON)


def shownName(name: bytes) -> str:
    """A field's name in title case, as it comes back from the environment of a CGI program."""
    title = _titles.get(name)
    if title is None:
        title = name.decode("latin-1").title()
        if len(_titles) < _MOST_TITLES and len(name) <= _LONGEST_KEPT:
            _titles[name] = title
    return title


def shownFields(request: Request) -> dict[str, str]:
    """The request's fields by name; lines of one name are joined with a comma."""
    shown: dict[str, str] = {}
    for name, value in request.fields.pairs:
        title = shownName(name)
        if title in shown:
            shown[title] += "," + value.decode("latin-1")
        elif "_" not in title:
            shown[title] = value.decode("latin-1")
    hidden = _HIDDEN.intersection(shown)
    if hidden and request.argument("show_env") is None:
        for title in hidden:
            del shown[title]
    return shown


def flattened(pairs: list[tuple[str, str]]) -> dict[str, str | list[str]]:
    """Names and values: one value as it is, several as a list."""
    found: dict[str, str | list[str]] = {}
    for name, value in pairs:
        before = found.get(name)
        if before is None:
            found[name] = value
        elif isinstance(before, list):
            before.append(value)
        else:
            found[name] = [before, value]
    return found


def origin(request: Request) -> str:
    """Where the request comes from: what C{X-Forwarded-For} says, else the peer's address."""
    return request.fields.get("x-forwarded-for") or request.remoteHost


_CLAIMS: Final = frozenset([b"x-forwarded-proto", b"x-forwarded-protocol", b"x-forwarded-ssl"])


def scheme(request: Request) -> str:
    """C{https} or what a proxy's field says it was."""
    fields = request.fields
    if _CLAIMS.isdisjoint(fields.combined):
        return request.scheme
    for name in ("x-forwarded-proto", "x-forwarded-protocol"):
        claimed = fields.get(name)
        if claimed:
            return claimed
    if fields.get("x-forwarded-ssl") == "on":
        return "https"
    return request.scheme


def authority(request: Request) -> str:
    """Host and port as the client calls us; without C{Host} (HTTP/1.0), our own address."""
    host = request.host
    if not host:
        here = request.on.transport.getHost()
        return joined(here.host, here.port) if hasattr(here, "port") else "localhost"
    if not host.islower():
        host = host.lower()
    usual = ":443" if request.on.isTLS else ":80"
    return host.removesuffix(usual) if host.endswith(usual) else host


def ownURL(request: Request, path: str) -> str:
    """The address of another path here, as this client would write it."""
    claimed = scheme(request)
    if claimed not in ("http", "https"):
        claimed = request.scheme
    return f"{claimed}://{authority(request)}{path}"


def url(request: Request) -> str:
    """The whole address that was asked for, its percent-escapes normalised."""
    path, query = request.rawPath, request.rawQuery
    shown = _shownPath(path) if b"%" in path or path.startswith(b"//") else path.decode("ascii")
    if query:
        shown += "?" + (_shownQuery(query) if b"%" in query else query.decode("ascii"))
    return f"{scheme(request)}://{authority(request)}{shown}"


# What a browser shows of an escape, and what it leaves escaped because it would mean something
# else: the rules of werkzeug, on which httpbin stands, and of the URL standard.
_KEPT: Final = "|".join(f"{code:02X}" for code in (*range(0x21), 0x25, 0x7F))
_KEPT_IN_PATH: Final = re.compile(f"((?:%(?:{_KEPT}|23|2F|3F))+)", re.I)
_KEPT_IN_QUERY: Final = re.compile(f"((?:%(?:{_KEPT}|23|26|2B|3D))+)", re.I)
_STRAY: Final = re.compile("[\udc80-\udcff]")


def _shownPath(path: bytes) -> str:
    text = unquote_to_bytes(path).decode("utf-8", "replace").lstrip("/")
    return "/" + _unquoted(_KEPT_IN_PATH, quote(text, safe="!$&'()*+,/:;=@%"))


def _shownQuery(query: bytes) -> str:
    return _unquoted(_KEPT_IN_QUERY, quote(query, safe="!$&'()*+,/:;=?@%"))


def _unquoted(kept: re.Pattern[str], text: str) -> str:
    """Every second part of what the pattern splits is kept as it is."""
    parts = kept.split(text)
    parts[::2] = [decoded(unquote_to_bytes(part)) for part in parts[::2]]
    return "".join(parts)


def decoded(text: bytes) -> str:
    """UTF-8 as text; bytes that are none stay escaped with a percent sign."""
    found = text.decode("utf-8", "surrogateescape")
    if found.isascii() or not _STRAY.search(found):
        return found
    return _STRAY.sub(lambda match: f"%{ord(match[0]) - 0xDC00:02X}", found)


def readPairs(text: bytes) -> list[tuple[str, str]]:
    """C{application/x-www-form-urlencoded}; what is not UTF-8 stays escaped."""
    found = []
    for part in text.split(b"&"):
        if part:
            name, _, value = part.replace(b"+", b" ").partition(b"=")
            found.append((decoded(unquote_to_bytes(name)), decoded(unquote_to_bytes(value))))
    return found


def arguments(request: Request) -> list[tuple[str, str]]:
    """The names and values of the query, as they are shown."""
    found = request.query
    if found and any("\ufffd" in name or "\ufffd" in value for name, value in found):
        return readPairs(request.rawQuery)
    return found


def basics(request: Request) -> dict[str, Any]:
    """What most answers show of a request: C{args}, C{headers}, C{origin}, C{url}."""
    return {
        "args": flattened(arguments(request)),
        "headers": shownFields(request),
        "origin": origin(request),
        "url": url(request),
    }


@lru_cache(1024)
def upper(status: int) -> str:
    """The reason phrase, which is in capitals here, and for ranges the one of RFC 2616."""
    if status == 416:
        return "REQUESTED RANGE NOT SATISFIABLE"
    return (reasonFor(status) or "Unknown").upper()


def failed(request: Request, error: HTTPError) -> Response:
    """An error, as a small page."""
    title = f"{error.status} {reasonFor(error.status) or 'Unknown'}"
    detail = error.detail.replace("&", "&amp;").replace("<", "&lt;")
    page = (
        f"<!doctype html>\n<html lang=en>\n<title>{title}</title>\n"
        f"<h1>{reasonFor(error.status) or 'Unknown'}</h1>\n<p>{detail}</p>\n"
    )
    return Response(error.status, page.encode(), HTML, fields=[*error.fields])


def isHarmless(types: Iterable[str]) -> bool:
    """
    Whether no browser runs what comes with these values of C{Content-Type}.

    Of several, in one field or in many, a browser takes the last it knows (Fetch standard, "extract
    a MIME type"), so all of them count, also what looks quoted.
    """
    return all(
        part.partition(";")[0].strip(" \t").lower() in _HARMLESS
        for value in types
        for part in value.split(",")
    )


class Bare(Response):
    """An answer that says for itself whether pages of other origins may read it."""

    __slots__ = ()


def finish(request: Request, answer: Response) -> None:
    """What every answer has: a reason in capitals, and leave for pages of other origins."""
    if answer.reason is None:
        answer.reason = upper(answer.status)
    if isinstance(answer, Bare):
        return
    allowed = request.fields.get("origin") or "*"
    answer.fields.append(("Access-Control-Allow-Origin", allowed))
    answer.fields.append(("Access-Control-Allow-Credentials", "true"))
    # Also where no page asked: a cache must not give this answer to one that does (Fetch standard,
    # "CORS protocol and HTTP caches").  A line of its own, for some answers vary by more.
    answer.fields.append(("Vary", "Origin"))


def options(request: Request, allowed: str) -> Response:
    """The answer to OPTIONS: what may be asked, of whom."""
    fields: FieldPairs = [
        ("Allow", allowed),
        ("Access-Control-Allow-Methods", "GET, POST, PUT, DELETE, PATCH, OPTIONS"),
        ("Access-Control-Max-Age", "3600"),
    ]
    asked = request.fields.get("access-control-request-headers")
    if asked is not None:
        fields.append(("Access-Control-Allow-Headers", asked))
    return Response(200, b"", HTML, fields=fields)
