"""Redirects: so many, relative or absolute, or to wherever one wants."""

from __future__ import annotations

from html import escape
from typing import Annotated, Final
from urllib.parse import quote

from msgspec import Meta

from loopbackd.http.errors import HTTPError
from loopbackd.http.fields import isField
from loopbackd.http.messages import Request, Response
from loopbackd.http.routes import Routes
from loopbackd.protocols.httpbin.dialect import HTML, METHODS, ownURL

_ANSWERS: Final = {400: "there is nothing to count down from 0"}

Count = Annotated[int, Meta(ge=1, description="how many redirects there are")]

routes = Routes("redirects")


def answerRedirect(location: str, status: int = 302) -> Response:
    """A redirect, with a page for those who do not follow it."""
    shown = escape(location)
    page = (
        f"<!doctype html>\n<html lang=en>\n<title>Elsewhere</title>\n"
        f'<p>What you look for is at <a href="{shown}">{shown}</a>.\n'
    )
    return Response(status, page.encode(), HTML, [("Location", location)])


@routes.add(
    "/redirect/{n}",
    group="redirects",
    example="/redirect/3",
    usual=302,
    answers=_ANSWERS,
    produces=[HTML],
)
def redirect(request: Request, n: Count, *, absolute: str = "false") -> Response:
    """Redirects n times, and ends at C{/get}; C{absolute=true} for absolute addresses."""
    kind = "absolute" if absolute.lower() == "true" else "relative"
    path = _next(kind, n)
    return answerRedirect(ownURL(request, path) if kind == "absolute" else path)


@routes.add(
    "/relative-redirect/{n}",
    group="redirects",
    example="/relative-redirect/3",
    usual=302,
    answers=_ANSWERS,
    produces=[HTML],
)
def relativeRedirect(request: Request, n: Count) -> Response:
    """Redirects n times, by relative addresses."""
    return Response(302, b"", HTML, [("Location", _next("relative", n))])


@routes.add(
    "/absolute-redirect/{n}",
    group="redirects",
    example="/absolute-redirect/3",
    usual=302,
    answers=_ANSWERS,
    produces=[HTML],
)
def absoluteRedirect(request: Request, n: Count) -> Response:
    """Redirects n times, by absolute addresses."""
    return answerRedirect(ownURL(request, _next("absolute", n)))


def _next(kind: str, n: int) -> str:
    return "/get" if n == 1 else f"/{kind}-redirect/{n - 1}"


@routes.add(
    "/redirect-to",
    methods=METHODS,
    group="redirects",
    example="/redirect-to?url=/get&status_code=307",
    usual=0,
    answers={0: "a redirect, as asked for", 400: "no url, or a status that is no number"},
    anyCase=True,
)
def redirectTo(request: Request, *, url: str, status_code: int = 302) -> Response:
    """Redirects to C{url}, with C{status_code} if that is one of a redirect."""
    location = asReference(url)
    if not isField("Location", location):
        raise HTTPError(400, "url has line ends or other control characters")
    return Response(
        status_code if 300 <= status_code < 400 else 302, b"", HTML, [("Location", location)]
    )


def asReference(address: str) -> str:
    """An address with what is not ASCII, and spaces, percent-encoded (RFC 3986 section 2.1)."""
    if address.isascii() and " " not in address:
        return address
    return quote(address, safe="!\"#$%&'()*+,/:;<=>?@[\\]^`{|}~")
