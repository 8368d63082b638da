"""httpbin's dialect, all of it: the tables that are found at the root."""

from __future__ import annotations

from typing import Final

from loopbackd.http.routes import Routes
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

TABLES: Final = (
    inspecting,
    statuses,
    redirects,
    auth,
    cookies,
    caching,
    dynamic,
    streaming,
    ranges,
    formats,
    images,
)


def addDialect(root: Routes) -> None:
    """Give the root its tables."""
    for module in TABLES:
        root.extend(module.routes)
