"""A page with links to httpbin's routes, for programs that follow links."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from loopbackd.http.messages import Request, Response
from loopbackd.http.routes import Routes
from loopbackd.protocols.httpbin.dialect import HTML


def addLegacy(root: Routes, tables: Iterable[Routes]) -> None:
    """Give the root that page; it links to the routes of these tables."""
    page = (
        "<!doctype html>\n<html lang=en>\n<title>The routes of httpbin</title>\n"
        f"<h1>The routes of httpbin</h1>\n<ul>\n{''.join(map(_listed, tables))}</ul>\n"
    ).encode()

    @root.add("/legacy", group="formats", example="/legacy", produces=[HTML])
    def legacy(request: Request) -> Response:
        """A page with links to the routes of httpbin, for programs that follow links."""
        return Response(200, page, HTML)


def _listed(table: Routes) -> str:
    lines = []
    for one in table.endpoints:
        shown = f"<code>{escape(one.template)}</code>"
        if one.example is not None and "GET" in one.methods:
            shown = f'<a href="{escape(one.example)}">{shown}</a>'
        lines.append(f"<li>{shown} {escape(one.summary)}\n")
    return "".join(lines)
