"""Redirects: so many, relative or absolute, or to wherever one wants; and cookies on the way."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

from loopbackd.http.errors import HTTPError
from loopbackd.http.fields import isField
from loopbackd.http.messages import Request, Response
from loopbackd.http.routes import Routes
from loopbackd.protocols.httpbin.cookies import firstOfEach, makeCookie
from loopbackd.protocols.httpbin.go import values
from loopbackd.protocols.httpbin.go.dialect import BAD, MANY, Setting
from loopbackd.protocols.httpbin.redirects import asReference

_ATTRIBUTE: Final = re.compile(r"attr\[(Domain|HttpOnly|Path|SameSite|Secure)\]")
_TRUE: Final = ("1", "t", "true")
_FALSE: Final = ("0", "f", "false")
_SAME_SITES: Final = {"lax": "Lax", "strict": "Strict", "none": "None"}
_ATTRIBUTE_VALUE: Final = re.compile(r"[\x20-\x3a\x3c-\x7e]*")
_OTHERS: Final = (300, 301, 303, 304, 305, 306, 307, 308)
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_BROKEN: Final = re.compile(r"%(?![0-9A-Fa-f]{2})|[\x00-\x20\x7f\\]")
_PAST: Final = ("Expires=Thu, 01 Jan 1970 00:00:00 GMT", "Max-Age=0", "HttpOnly")


def answerRedirect(location: str, status: int = 302) -> Response:
    """A redirect without a word."""
    return Response(status, b"", None, [("Location", location)])


def addRedirects(routes: Routes, setting: Setting) -> None:
    """Give a table routes that lead elsewhere."""

    def counted(request: Request, n: str, isAbsolute: bool) -> Response:
        left = values.integer(n, "redirect count") - 1
        if left < 0:
            raise HTTPError(400, "invalid redirect count: it must be more than 0")
        kind = "absolute" if isAbsolute else "relative"
        path = f"/{kind}-redirect/{left}" if left else "/get"
        return answerRedirect(setting.address(request, path) if isAbsolute else setting.place(path))

    def add(kind: str) -> None:
        @routes.add(
            f"/{kind}-redirect/{{n}}",
            methods=MANY,
            group="redirects",
            example=f"/{kind}-redirect/3",
            usual=302,
            answers=BAD,
            produces=[],
        )
        def redirects(request: Request, n: values.Integer) -> Response:
            """Redirects n times by addresses of its kind, and ends at /get."""
            return counted(request, n, kind == "absolute")

    add("relative")
    add("absolute")

    @routes.add(
        "/redirect/{n}",
        methods=MANY,
        group="redirects",
        example="/redirect/3",
        usual=302,
        answers=BAD,
        produces=[],
    )
    def redirect(request: Request, n: values.Integer, *, absolute: str = "") -> Response:
        """Redirects n times, and ends at /get; absolute=true for absolute addresses."""
        return counted(request, n, absolute.lower() == "true")

    @routes.add(
        "/redirect-to",
        methods=MANY,
        group="redirects",
        example="/redirect-to?url=/get&status_code=307",
        usual=302,
        answers={
            **BAD,
            403: "there it may not lead",
            **{code: "the status that was asked for" for code in _OTHERS},
        },
        produces=[],
    )
    def redirectTo(
        request: Request, *, url: str = "", status_code: values.Integer | None = None
    ) -> Response:
        """Redirects to an address, with a status from 300 to 399."""
        if not url:
            raise HTTPError(400, "missing required query parameter: url")
        location = checkedAddress(url)
        refusal = refused(location, setting.limits.allowed_redirect_domains)
        if refusal:
            return Response(403, refusal.encode(), "text/plain")
        status = values.status(status_code, 300, 399) if status_code else 302
        isPath = location.startswith("/") and not location.startswith("//")
        return answerRedirect(setting.place(location) if isPath else location, status)


def checkedAddress(address: str) -> str:
    """
    An address as it may stand in C{Location}.

    Whatever browsers and servers read differently is no address here: it would lead elsewhere than
    where we looked.

    @raise HTTPError: 400; it is none.
    """
    if _CONTROL.search(address):
        raise HTTPError(400, f"invalid url: {address[:60]!r} has control characters")
    location = asReference(address)
    before = location.partition("?")[0].partition("#")[0]
    try:
        parts = urlsplit(location)
        hasPort = parts.port
    except ValueError as error:
        raise HTTPError(400, f"invalid url: {address[:60]!r}: {error}") from None
    if _BROKEN.search(before) or not isField("Location", location) or hasPort == 0:
        raise HTTPError(400, f"invalid url: {address[:60]!r} has what cannot stand there")
    if before.startswith(":") or (not parts.scheme and ":" in before.partition("/")[0]):
        raise HTTPError(400, f"invalid url: {address[:60]!r} begins with no scheme")
    return location


def refused(location: str, allowed: tuple[str, ...]) -> str:
    """Why nobody is led there; empty if they are."""
    parts = urlsplit(location)
    if not parts.scheme and not location.startswith(("/", "?", "#")):
        return "Forbidden: an address here begins with / or with a scheme.\n"
    isElsewhere = bool(parts.scheme) or location.startswith("//")
    if allowed and isElsewhere and (parts.hostname or "") not in allowed:
        domains = "".join(f"- {domain}\n" for domain in allowed)
        return f"Forbidden: redirects lead only to these domains:\n{domains}"
    return ""


def addCookies(routes: Routes, setting: Setting) -> None:
    """Give a table routes that set cookies and lead to where they are shown."""

    @routes.add(
        "/cookies/set",
        methods=MANY,
        group="cookies",
        example="/cookies/set?flavour=oats&attr[SameSite]=Lax",
        usual=302,
        answers=BAD,
        produces=[],
    )
    def setCookies(request: Request) -> Response:
        """Sets the cookies that the query names, with attributes from attr[Path] and the like."""
        pairs = firstOfEach(request.query)
        attributes = cookieAttributes([one for one in pairs if _ATTRIBUTE.fullmatch(one[0])])
        answer = answerRedirect(setting.place("/cookies"))
        answer.fields += [
            makeCookie(name, value, *attributes)
            for name, value in pairs
            if not _ATTRIBUTE.fullmatch(name)
        ]
        return answer

    @routes.add(
        "/cookies/delete",
        methods=MANY,
        group="cookies",
        example="/cookies/delete?flavour",
        usual=302,
        answers=BAD,
        produces=[],
    )
    def deleteCookies(request: Request) -> Response:
        """Has the client forget the cookies that the query names."""
        answer = answerRedirect(setting.place("/cookies"))
        answer.fields += [makeCookie(name, "", *_PAST) for name, _ in firstOfEach(request.query)]
        return answer


def cookieAttributes(pairs: list[tuple[str, str]]) -> list[str]:
    """
    The attributes of cookies (RFC 6265 section 4.1), of what a query says of them.

    @param pairs: names like C{attr[Path]} and their values; C{HttpOnly} is there unless it is off.
    @raise HTTPError: 400; an attribute cannot have that value.
    """
    chosen = {name[5:-1]: value for name, value in pairs}
    written = []
    for name in ("Path", "Domain"):
        value = chosen.get(name)
        if value:
            if _ATTRIBUTE_VALUE.fullmatch(value) is None:
                raise HTTPError(400, f"invalid {name}: {value[:60]!r} cannot stand in a cookie")
            written.append(f"{name}={value}")
    for name, usual in (("HttpOnly", "true"), ("Secure", "false")):
        value = chosen.get(name, usual).lower()
        if value not in _TRUE + _FALSE:
            raise HTTPError(400, f"invalid {name}: {value[:60]!r}; write true or false")
        if value in _TRUE:
            written.append(name)
    site = chosen.get("SameSite")
    if site:
        if site.lower() not in _SAME_SITES:
            raise HTTPError(400, f"invalid SameSite: {site[:60]!r}; write Lax, Strict or None")
        written.append(f"SameSite={_SAME_SITES[site.lower()]}")
    return written
