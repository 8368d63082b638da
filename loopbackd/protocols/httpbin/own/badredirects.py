"""Redirects that lead nowhere, or somewhere else than one would think."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from loopbackd.http.fields import FieldPairs
from loopbackd.http.messages import Request, Response
from loopbackd.http.routes import Routes
from loopbackd.protocols.httpbin.dialect import HTML, METHODS

Step = Annotated[int, Meta(ge=0, le=10**15)]

routes = Routes("redirects that go wrong")


def _enter(name: str, does: str, fields: FieldPairs, status: int = 302) -> None:
    def redirect(request: Request) -> Response:
        return Response(status, b"", HTML, [*fields])

    redirect.__doc__ = does
    routes.add(
        f"/redirect/{name}",
        methods=METHODS,
        group="bad redirects",
        example=f"/redirect/{name}",
        usual=status,
        produces=[HTML],
        unruly="it leads nowhere, or somewhere else than one would think",
    )(redirect)


for _name, _does, _location in (
    ("loop", "A redirect to itself.", "/redirect/loop"),
    ("ping", "A redirect to /redirect/pong, which leads back.", "/redirect/pong"),
    ("pong", "A redirect to /redirect/ping, which leads back.", "/redirect/ping"),
    ("relative", "A redirect to C{../get}, relative to this path.", "../get"),
    ("query-only", "A redirect to C{?again}, which keeps the path.", "?again=1"),
    ("fragment", "A redirect to a part of /html, named behind C{#}.", "/html#end"),
    ("unencoded", "A redirect to a place with a space and UTF-8 in it.", "/anything/a b/ü"),
    (
        "other-scheme",
        "A redirect to C{ftp:}, which most clients of HTTP leave alone.",
        "ftp://x.test/",
    ),
    ("to-file", "A redirect to a file, which no client should follow.", "file:///etc/passwd"),
    ("to-data", "A redirect to C{data:}, which no client should follow.", "data:text/plain,no"),
    ("to-script", "A redirect to C{javascript:}, which none should follow.", "javascript:alert(1)"),
    ("no-port", "A redirect to a port that no service can have.", "http://127.0.0.1:65536/"),
    ("no-host", "A redirect to a name that cannot exist.", "http://nowhere.invalid/"),
    ("empty", "A redirect with an empty Location.", ""),
):
    _enter(_name, _does, [("Location", _location.encode())])
_enter("no-location", "A redirect that does not say where to.", [])
_enter("two-locations", "Two lines Location.", [("Location", "/get"), ("Location", "/headers")])
_enter(
    "not-modified",
    "C{304 Not Modified} with a Location, which is no redirect.",
    [("Location", "/get")],
    304,
)
_enter("choices", "C{300 Multiple Choices} with one of them.", [("Location", "/get")], 300)
_enter(
    "created",
    "C{201 Created} with a Location, which is no redirect.",
    [("Location", "/get")],
    201,
)
_enter(
    "keep",
    "C{307 Temporary Redirect} to /anything: method and body are to be sent again.",
    [("Location", "/anything")],
    307,
)
_enter(
    "keep-forever",
    "C{308 Permanent Redirect} to /anything: method and body are to be sent again.",
    [("Location", "/anything")],
    308,
)
_enter(
    "see-other",
    "C{303 See Other} to /anything: to be asked by GET, without the body.",
    [("Location", "/anything")],
    303,
)


@routes.add(
    "/redirect/endless/{n}",
    methods=METHODS,
    group="bad redirects",
    example="/redirect/endless/0",
    usual=302,
    produces=[HTML],
    unruly="it never ends",
)
def endless(request: Request, n: Step) -> Response:
    """A redirect to the next number, so that no two are the same and there is no end."""
    return Response(302, b"", HTML, [("Location", f"/redirect/endless/{n + 1}")])
