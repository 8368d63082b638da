"""Samples of the usual formats and encodings, each always the same."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any, Final

from loopbackd.http.codings import CODINGS, lacks
from loopbackd.http.errors import HTTPError
from loopbackd.http.messages import Request, Response
from loopbackd.http.routes import Routes
from loopbackd.protocols.httpbin.dialect import HTML, JSON, jsonText, origin, shownFields

XML: Final = "application/xml"
PLAIN: Final = "text/plain"

routes = Routes("samples")


@cache
def sample(name: str) -> bytes:
    """A file that comes with this package."""
    place = files("loopbackd.protocols.httpbin").joinpath("samples", name)
    return place.read_bytes()


@routes.add("/json", group="formats", example="/json")
def json(request: Request) -> Response:
    """A small JSON document."""
    return Response(200, sample("slides.json"), JSON)


@routes.add("/xml", group="formats", example="/xml", produces=[XML])
def xml(request: Request) -> Response:
    """The same in XML."""
    return Response(200, sample("slides.xml"), XML)


@routes.add("/html", group="formats", example="/html", produces=[HTML])
def html(request: Request) -> Response:
    """A small page of HTML."""
    return Response(200, sample("novel.html"), HTML)


@routes.add("/encoding/utf8", group="formats", example="/encoding/utf8", produces=[HTML])
def utf8(request: Request) -> Response:
    """A page with characters from all over the world."""
    return Response(200, sample("unicode.html"), HTML)


@routes.add("/forms/post", group="formats", example="/forms/post", produces=[HTML])
def form(request: Request) -> Response:
    """A form that is sent to C{/post}."""
    return Response(200, sample("order.html"), HTML)


@routes.add("/robots.txt", group="formats", example="/robots.txt", produces=[PLAIN])
def robots(request: Request) -> Response:
    """What robots may not visit (RFC 9309)."""
    return Response(200, b"User-agent: *\nDisallow: /deny\n", PLAIN)


@routes.add("/deny", group="formats", example="/deny", produces=[PLAIN])
def deny(request: Request) -> Response:
    """What they find if they do."""
    return Response(200, sample("deny.txt"), PLAIN)


def _encoded(request: Request, word: str, coding: str) -> Response:
    missing = lacks(coding)
    if missing is not None:
        detail = f"the package {missing} is missing here; pip install 'loopbackd[encodings]'"
        raise HTTPError(501, detail)
    shown: dict[str, Any] = {
        word: True,
        "headers": shownFields(request),
        "method": request.method,
        "origin": origin(request),
    }
    return Response(200, CODINGS[coding](jsonText(shown)), JSON, [("Content-Encoding", coding)])


@routes.add("/gzip", group="encodings", example="/gzip")
def gzip(request: Request) -> Response:
    """The request's header fields, compressed by gzip whether it is accepted or not."""
    return _encoded(request, "gzipped", "gzip")


@routes.add("/deflate", group="encodings", example="/deflate")
def deflate(request: Request) -> Response:
    """The same by deflate, in the zlib format (RFC 9110 section 8.4.1.2)."""
    return _encoded(request, "deflated", "deflate")


@routes.add(
    "/brotli",
    group="encodings",
    example="/brotli",
    answers={501: "the package brotli is not installed"},
)
def brotli(request: Request) -> Response:
    """The same by Brotli (RFC 7932)."""
    return _encoded(request, "brotli", "br")
