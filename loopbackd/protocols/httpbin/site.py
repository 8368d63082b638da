"""All tables of the test service, put together."""

from __future__ import annotations

import os
from typing import Final

from loopbackd.http.mounts import Mounts
from loopbackd.http.routes import Routes
from loopbackd.httpsettings import GoSettings
from loopbackd.protocols.httpbin import (
    auth,
    caching,
    cookies,
    dynamic,
    formats,
    images,
    inspecting,
    ranges,
    redirects,
    statuses,
    streaming,
)
from loopbackd.protocols.httpbin.broken import breaking
from loopbackd.protocols.httpbin.dialect import HTML, failed, finish, options
from loopbackd.protocols.httpbin.go.table import makeGo
from loopbackd.protocols.httpbin.index import addIndex
from loopbackd.protocols.httpbin.legacy import addLegacy
from loopbackd.protocols.httpbin.own import (
    authority,
    badredirects,
    compressing,
    connecting,
    crossorigin,
    eventstreams,
    interim,
    raw,
    retrying,
    websockets,
)

HTTPBIN: Final = (
    inspecting.routes,
    statuses.routes,
    redirects.routes,
    auth.routes,
    cookies.routes,
    caching.routes,
    dynamic.routes,
    streaming.routes,
    ranges.routes,
    formats.routes,
    images.routes,
)
"""What httpbin has, in the order of the index."""


def ownTables() -> tuple[Routes, ...]:
    """What the peers do not have; some of it remembers who asked, so each site has its own."""
    return (
        raw.routes,
        connecting.routes,
        authority.routes,
        compressing.routes,
        crossorigin.routes,
        badredirects.routes,
        interim.routes,
        retrying.makeRoutes(),
        breaking.routes,
        websockets.makeRoutes(),
        eventstreams.routes,
    )


def makeSite(go: GoSettings | None = None) -> Mounts:
    """
    The test service: httpbin's dialect at the root, others under their prefixes.

    @param go: what go-httpbin has flags for; its own values by default.
    """
    root = Routes(
        "the HTTP test service", failed=failed, finish=finish, options=options, errorType=HTML
    )
    for table in (*HTTPBIN, *ownTables()):
        root.extend(table)
    addLegacy(root, HTTPBIN)
    site = Mounts(root)
    site.mount("/go", makeGo(go, environ=os.environ))
    addIndex(site)
    return site
