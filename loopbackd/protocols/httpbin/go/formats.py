"""Samples of the usual formats and encodings, pictures, and the page that lists the table."""

from __future__ import annotations

from html import escape
from typing import Final

from loopbackd.http.codings import CODINGS
from loopbackd.http.messages import Request, Response
from loopbackd.http.routes import Routes
from loopbackd.protocols.httpbin.formats import sample
from loopbackd.protocols.httpbin.go.dialect import (
    HTML,
    JSON,
    MANY,
    TEXT,
    Setting,
    answerError,
    jsonText,
)

_PICTURES: Final = {
    "png": "image/png",
    "webp": "image/webp",
    "svg": "image/svg+xml",
    "jpeg": "image/jpeg",
}
"""Those that are preferred first."""

_POLICY: Final = "default-src 'self'; style-src 'self' 'unsafe-inline'"
_ACTION: Final = b'action="/post"'


def addFormats(routes: Routes, setting: Setting) -> None:
    """Give a table samples of formats."""

    def add(path: str, name: str, type: str, what: str, methods: tuple[str, ...] = MANY) -> None:
        def document(request: Request) -> Response:
            return Response(200, sample(name), type)

        document.__doc__ = what
        routes.add(path, methods=methods, group="formats", example=path, produces=[type])(document)

    add("/json", "slides.json", JSON, "A small JSON document.")
    add("/xml", "slides.xml", "application/xml", "The same in XML.")
    add("/html", "novel.html", HTML, "A small page of HTML.")
    add("/encoding/utf8", "unicode.html", HTML, "A page with many characters.", ("GET",))

    @routes.add("/forms/post", group="formats", example="/forms/post", produces=[HTML])
    def form(request: Request) -> Response:
        """A form that is sent to /post."""
        action = f'action="{escape(setting.place("/post"))}"'
        return Response(200, sample("order.html").replace(_ACTION, action.encode()), HTML)

    @routes.add(
        "/robots.txt", methods=MANY, group="formats", example="/robots.txt", produces=[TEXT]
    )
    def robots(request: Request) -> Response:
        """What robots may not visit (RFC 9309)."""
        return Response(200, b"User-agent: *\nDisallow: /deny\n", TEXT)

    @routes.add("/deny", methods=MANY, group="formats", example="/deny", produces=[TEXT])
    def deny(request: Request) -> Response:
        """What they find if they do."""
        return Response(200, b"YOU SHOULDN'T BE HERE", TEXT)


def addEncodings(routes: Routes, setting: Setting) -> None:
    """Give a table answers that are compressed whether that is accepted or not."""

    @routes.add("/gzip", methods=MANY, group="encodings", example="/gzip", produces=[JSON])
    def gzip(request: Request) -> Response:
        """The request, compressed by gzip."""
        shown = jsonText({**setting.basics(request), "gzipped": True})
        return Response(200, CODINGS["gzip"](shown), JSON, [("Content-Encoding", "gzip")])

    @routes.add("/deflate", methods=MANY, group="encodings", example="/deflate", produces=[JSON])
    def deflate(request: Request) -> Response:
        """The request by deflate, in the zlib format (RFC 9110 section 8.4.1.2)."""
        shown = jsonText({**setting.basics(request), "deflated": True})
        return Response(200, CODINGS["deflate"](shown), JSON, [("Content-Encoding", "deflate")])

    @routes.add(
        "/brotli",
        methods=MANY,
        group="encodings",
        usual=501,
        answers={501: "not in this dialect; the root has it"},
        produces=[JSON],
    )
    def brotli(request: Request) -> Response:
        """Not in this dialect: always 501."""
        return answerError(501)


def addImages(routes: Routes, setting: Setting) -> None:
    """Give a table a picture in four formats."""

    def picture(kind: str) -> Response:
        return Response(200, sample(f"picture.{kind}"), _PICTURES[kind])

    @routes.add(
        "/image",
        methods=MANY,
        group="images",
        example="/image",
        answers={415: "the client accepts none of the types there are"},
        produces=list(_PICTURES.values()),
        reads={"Accept": "the type of the picture"},
    )
    def image(request: Request) -> Response:
        """A picture of the type that the client accepts."""
        kind = chooseKind(request.fields.get("accept") or "")
        answer = answerError(415) if kind is None else picture(kind)
        answer.fields.append(("Vary", "Accept"))
        return answer

    @routes.add(
        "/image/{kind}",
        methods=MANY,
        group="images",
        example="/image/png",
        answers={404: "there is no such kind"},
        produces=list(_PICTURES.values()),
    )
    def kinds(request: Request, kind: str) -> Response:
        """The picture as png, jpeg, webp or svg."""
        return picture(kind) if kind in _PICTURES else answerError(404)


def chooseKind(accept: str) -> str | None:
    """
    The kind of picture that a client gets: the first of ours that it accepts.

    @param accept: the value of C{Accept}; empty for anything.
    """
    if not accept or "image/*" in accept or "*/*" in accept:
        return "png"
    return next((kind for kind, type in _PICTURES.items() if type in accept), None)


def addIndex(routes: Routes, setting: Setting) -> None:
    """Give a table a page that lists what it has."""

    @routes.add("/", group="about", example="/", produces=[HTML])
    def index(request: Request) -> Response:
        """This page."""
        rows = []
        for one in routes.endpoints:
            shown = escape(setting.place(one.template))
            if one.example is not None:
                shown = f'<a href="{escape(setting.place(one.example))}">{shown}</a>'
            rows.append(f"<tr><td>{shown}<td>{escape(one.summary)}\n")
        page = (
            "<!doctype html>\n<html lang=en>\n<meta charset=utf-8>\n"
            "<meta name=color-scheme content='light dark'>\n<title>go-httpbin's dialect</title>\n"
            f"<h1>go-httpbin's dialect, by loopbackd</h1>\n<table>\n{''.join(rows)}</table>\n"
        )
        return Response(200, page.encode(), HTML, [("Content-Security-Policy", _POLICY)])
