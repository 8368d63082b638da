"""What this test service has and its peers do not, put together."""

from __future__ import annotations

from loopbackd.http.routes import Routes
from loopbackd.protocols.httpbin import breaking


def addOwn(root: Routes) -> None:
    """Give a table all of it."""
    for table in (breaking.routes,):
        root.extend(table)
