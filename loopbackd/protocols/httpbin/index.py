"""The page at C{/}: what this address is, and the routes it has."""

from __future__ import annotations

from html import escape

from loopbackd.http.messages import Request, Response
from loopbackd.http.mounts import Mounts
from loopbackd.protocols.hello import shownAddress

HTML = "text/html; charset=utf-8"


def addIndex(site: Mounts) -> None:
    """Give a site a page that lists what it has."""
    routes = site.root

    @routes.add("/", group="about", example="/", produces=[HTML])
    def index(request: Request) -> Response:
        """This page."""
        where = escape(shownAddress(request.on.transport.getHost()))
        rows = "".join(
            f"<tr><td><code>{escape(one.template)}</code><td>{escape(one.summary)}\n"
            for one in routes.endpoints
        )
        page = (
            "<!doctype html>\n<html lang=en>\n<title>loopbackd</title>\n"
            f"<h1>Hello from {where}!</h1>\n<table>\n{rows}</table>\n"
        )
        return Response(200, page.encode(), HTML)
