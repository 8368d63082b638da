"""What this test service has and its peers do not, put together."""

from __future__ import annotations

from loopbackd.http.routes import Routes
from loopbackd.protocols.httpbin import (
    authority,
    breaking,
    compressing,
    connecting,
    crossing,
    eventstreams,
    hinting,
    raw,
    sockets,
    trying,
    wandering,
)


def addOwn(root: Routes) -> None:
    """Give a table all of it, and what it has to remember."""
    for table in (
        raw.routes,
        connecting.routes,
        authority.routes,
        compressing.routes,
        crossing.routes,
        wandering.routes,
        hinting.routes,
        trying.makeRoutes(),
        breaking.routes,
        sockets.makeRoutes(),
        eventstreams.routes,
    ):
        root.extend(table)
