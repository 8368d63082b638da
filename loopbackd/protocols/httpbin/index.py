"""What a site says of itself: the page at C{/}, for browsers and terminals, and its OpenAPI."""

from __future__ import annotations

from functools import cache
from importlib.metadata import version
from typing import Final

import msgspec
from twisted.internet.address import UNIXAddress

from loopbackd.http.documents import Document, packaged
from loopbackd.http.errors import HTTPError
from loopbackd.http.fields import FieldPairs
from loopbackd.http.messages import Request, Response
from loopbackd.http.mounts import Mounts
from loopbackd.http.negotiation import wantsPage
from loopbackd.http.openapi import describe
from loopbackd.protocols.hello import shownAddress
from loopbackd.protocols.httpbin.dialect import HTML, JSON
from loopbackd.protocols.httpbin.listing import HIDDEN, Way, asText, listed
from loopbackd.protocols.httpbin.page import asPage, policy, template

TEXT = "text/plain; charset=utf-8"

_PRINTERS: Final = ("curl/", "wget/", "httpie/", "xh/")
"""How programs begin their names that print what they get."""


def addIndex(site: Mounts) -> None:
    """Give a site its index and its description; they show whatever its tables have when asked."""
    routes = site.root
    assets = packaged("loopbackd.protocols.httpbin", "static")
    page = template()

    @cache
    def described(count: int) -> Document:
        document = describe(site, title="loopbackd", version=version("loopbackd"))
        return Document(msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n", JSON)

    def description(request: Request) -> Response:
        return described(_size(site)).answer(request)

    @routes.add("/", group="about", example="/", produces=[HTML, TEXT])
    def index(request: Request) -> Response:
        """What this address is and has: a page, or a text for programs that print it."""
        parts = listed(site)
        where = shownAddress(request.on.transport.getHost())
        fields: FieldPairs = [
            ("Vary", "Accept, User-Agent"),
            ("Cache-Control", "no-cache"),
            ("X-Content-Type-Options", "nosniff"),
        ]
        if _readsText(request):
            text = asText(parts, f"Hello from {where}!", wayOf(request))
            return Response(200, text.encode(), TEXT, fields)
        fields += [
            ("Content-Security-Policy", policy(request.host)),
            ("Referrer-Policy", "no-referrer"),
        ]
        text = asPage(page, parts, where, wayOf(request))
        return Response(200, text.encode(), HTML, fields)

    @routes.add("/openapi.json", group="about", answers={304: "It is as it was."})
    def openapi(request: Request) -> Response:
        """All of this for programs, in OpenAPI 3.1."""
        return description(request)

    @routes.add("/spec.json", group="about", answers={304: "It is as it was."})
    def spec(request: Request) -> Response:
        """The same, where httpbin has its description."""
        return description(request)

    types = sorted({asset.type for asset in assets.values()})

    @routes.add(
        "/static/{name}",
        group=HIDDEN,
        example="/static/index.css",
        produces=types,
        answers={304: "It is as it was.", 404: "There is no such file."},
    )
    def static(request: Request, name: str) -> Response:
        """What the page is made of."""
        asset = assets.get(name)
        if asset is None:
            raise HTTPError(404, f"the page has no {name[:60]!r}")
        return asset.answer(request)

    @routes.add("/favicon.ico", group=HIDDEN, produces=["image/svg+xml"])
    def icon(request: Request) -> Response:
        """What browsers ask for with whatever they show."""
        return assets["icon.svg"].answer(request)


def _size(site: Mounts) -> int:
    return sum(len(table.endpoints) for table in (site.root, *site.mounted.values()))


def wayOf(request: Request) -> Way:
    """How this client reached us, for examples that it can repeat."""
    here = request.on.transport.getHost()
    if isinstance(here, UNIXAddress):
        return Way(f"{request.scheme}://{request.host or 'localhost'}", shownAddress(here))
    return Way(f"{request.scheme}://{request.host or shownAddress(here)}")


def _readsText(request: Request) -> bool:
    """Whether what is sent will stand on somebody's screen as it is."""
    accepted = request.fields.get("accept")
    if wantsPage(accepted):
        return False
    agent = (request.fields.get("user-agent") or "").lower()
    return not agent or agent.startswith(_PRINTERS) or "text/plain" in (accepted or "")
