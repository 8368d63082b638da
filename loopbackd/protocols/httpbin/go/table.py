"""go-httpbin's dialect, all of it."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random, SystemRandom
from typing import Final

from loopbackd.http.routes import Routes
from loopbackd.httpsettings import GoSettings
from loopbackd.protocols.httpbin.go.answers import addAnswers, addCaching
from loopbackd.protocols.httpbin.go.auth import addAuth
from loopbackd.protocols.httpbin.go.data import addBytes, addData
from loopbackd.protocols.httpbin.go.dialect import (
    JSON,
    GoRoutes,
    Setting,
    excluding,
    failed,
    finish,
    options,
)
from loopbackd.protocols.httpbin.go.formats import addEncodings, addFormats, addImages, addIndex
from loopbackd.protocols.httpbin.go.inspecting import addInspection, addMethods
from loopbackd.protocols.httpbin.go.redirects import addCookies, addRedirects
from loopbackd.protocols.httpbin.go.slow import addSlow, addStreams
from loopbackd.protocols.httpbin.go.statuses import addStatuses
from loopbackd.protocols.httpbin.own.websockets import addPlainEcho

_PARTS: Final = (
    addMethods,
    addInspection,
    addAuth,
    addStatuses,
    addRedirects,
    addCookies,
    addAnswers,
    addCaching,
    addSlow,
    addStreams,
    addBytes,
    addData,
    addFormats,
    addEncodings,
    addImages,
    addIndex,
)


def makeGo(
    limits: GoSettings | None = None,
    *,
    prefix: str = "/go",
    environ: Mapping[str, str] | None = None,
    rng: Random | None = None,
) -> Routes:
    """
    The table.

    @param prefix: where it is mounted (L{Mounts.mount}): links and redirects lead there.
    @param environ: what C{/env} may show, those variables that begin with C{HTTPBIN_ENV_}.
    @param rng: where chance comes from if the client names no seed; the system's by default.
    """
    limits = limits or GoSettings()
    routes = GoRoutes(
        "go-httpbin's dialect",
        failed=failed,
        finish=finish,
        options=options,
        unfitWord=400,
        errorType=JSON,
    )
    setting = Setting(
        limits,
        prefix.rstrip("/"),
        environ or {},
        rng or SystemRandom(),
        excluding(limits.exclude_headers),
    )
    for add in _PARTS:
        add(routes, setting)
    addPlainEcho(routes, limits.max_body_size)
    return routes
