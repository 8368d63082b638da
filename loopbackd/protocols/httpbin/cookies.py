"""Cookies: read, set and deleted (RFC 6265)."""

from __future__ import annotations

import re
from typing import Final

from loopbackd.http.errors import HTTPError
from loopbackd.http.fields import TOKEN as TOKEN_BYTES
from loopbackd.http.messages import Request, Response
from loopbackd.http.routes import Routes
from loopbackd.protocols.httpbin.dialect import HTML, JSON, answerTexts, arguments
from loopbackd.protocols.httpbin.redirects import answerRedirect
from loopbackd.protocols.httpbin.schemas import Cookies

_HIDDEN: Final = frozenset(
    ["__utma", "__utmb", "__utmz", "_gauges_unique"]
    + [f"_gauges_unique_{time}" for time in ("hour", "day", "month", "year")]
)
"""Left out of what is shown, unless the query has C{show_env}: what hosting adds."""

_QUOTED: Final = re.compile(r'"((?:[^\\"]|\\.)*)"[ \t]*(?:;|\Z)', re.S)
_ESCAPE: Final = re.compile(rb"\\([0-3][0-7]{2}|.)", re.S)
_PLAIN: Final = re.compile(r"[\w!#$%&'()*+\-./:<=>?@\[\]^`{|}~]*", re.A)
_TO_ESCAPE: Final = re.compile(rb'[\x00-\x1f",;\\\x7f-\xff]')

routes = Routes("cookies")


def parseCookies(value: str) -> dict[str, str]:
    """
    The cookies in a C{Cookie} field; of several with one name, the first.

    @param value: byte for character, as fields are.
    """
    found: dict[str, str] = {}
    at = 0
    while at < len(value):
        end = value.find(";", at)
        end = len(value) if end < 0 else end
        name, _, held = value[at:end].partition("=")
        name, held = name.strip(" \t"), held.strip(" \t")
        at, start = end + 1, at
        if held.startswith('"'):
            # There can be semicolons in it.
            quoted = _QUOTED.match(value, value.index('"', value.index("=", start)))
            if quoted is not None:
                held, at = _unescaped(quoted[1]), quoted.end()
        if name:
            found.setdefault(name, held)
    return found


def _unescaped(text: str) -> str:
    def meant(match: re.Match[bytes]) -> bytes:
        escaped = match[1]
        return bytes([int(escaped, 8)]) if len(escaped) == 3 else escaped

    return _ESCAPE.sub(meant, text.encode()).decode("utf-8", "replace")


def cookiesOf(request: Request) -> dict[str, str]:
    """The cookies a request brought."""
    return parseCookies("; ".join(request.fields.getAll("cookie")))


def makeCookie(name: str, value: str, *attributes: str) -> tuple[str, str]:
    """
    A C{Set-Cookie} field; a value that cannot stand in it is quoted as Python's and many others do.

    @param attributes: each as it is written, C{Path=/} for one.
    @raise HTTPError: 400; the name is none for a cookie.
    """
    if TOKEN_BYTES.fullmatch(name.encode()) is None:
        raise HTTPError(400, f"{name[:60]!r} is no name for a cookie; use letters and digits")
    if _PLAIN.fullmatch(value) is None:
        quoted = _TO_ESCAPE.sub(_escaped, value.encode()).decode("ascii")
        value = f'"{quoted}"'
    return "Set-Cookie", "; ".join([f"{name}={value}", *attributes])


def _escaped(match: re.Match[bytes]) -> bytes:
    byte = match[0]
    return b"\\" + byte if byte in b'"\\' else b"\\%03o" % byte[0]


def answerSet(request: Request, pairs: list[tuple[str, str]]) -> Response:
    """A redirect to where they are shown, that sets these cookies."""
    answer = answerRedirect("/cookies")
    attributes = ["Secure", "Path=/"] if request.on.isTLS else ["Path=/"]
    answer.fields += [makeCookie(name, value, *attributes) for name, value in pairs]
    return answer


@routes.add("/cookies", group="cookies", example="/cookies", produces=[JSON], returns=Cookies)
def cookies(request: Request) -> Response:
    """The cookies of the request."""
    found = cookiesOf(request)
    if request.argument("show_env") is None:
        found = {name: value for name, value in found.items() if name not in _HIDDEN}
    return answerTexts({"cookies": found})


@routes.add(
    "/cookies/set",
    group="cookies",
    example="/cookies/set?flavour=oats",
    usual=302,
    answers={400: "a name that a cookie cannot have"},
    produces=[HTML],
)
def setCookies(request: Request) -> Response:
    """Sets the cookies that the query names, and leads to where they are shown."""
    return answerSet(request, firstOfEach(arguments(request)))


@routes.add(
    "/cookies/set/{name}/{value}",
    group="cookies",
    example="/cookies/set/flavour/oats",
    usual=302,
    answers={400: "a name that a cookie cannot have"},
    produces=[HTML],
)
def setCookie(request: Request, name: str, value: str) -> Response:
    """Sets that cookie, and leads to where they are shown."""
    return answerSet(request, [(name, value)])


@routes.add(
    "/cookies/delete",
    group="cookies",
    example="/cookies/delete?flavour",
    usual=302,
    answers={400: "a name that a cookie cannot have"},
    produces=[HTML],
)
def deleteCookies(request: Request) -> Response:
    """Has the client forget the cookies that the query names, and leads to where they are shown."""
    answer = answerRedirect("/cookies")
    long = ("Expires=Thu, 01 Jan 1970 00:00:00 GMT", "Max-Age=0", "Path=/")
    answer.fields += [makeCookie(name, "", *long) for name, _ in firstOfEach(arguments(request))]
    return answer


def firstOfEach(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Of several with one name, the first."""
    found: dict[str, str] = {}
    for name, value in pairs:
        found.setdefault(name, value)
    return list(found.items())
