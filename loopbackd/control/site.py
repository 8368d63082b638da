"""The control API put together: who may come, what there is, how errors are told."""

from __future__ import annotations

import pwd
from collections.abc import Callable
from importlib.metadata import version
from secrets import token_hex
from typing import Any

import msgspec
from twisted.logger import Logger

from loopbackd.connection import Connection
from loopbackd.control import shapes
from loopbackd.control.catalogue import catalogueRoutes
from loopbackd.control.notes import warnings
from loopbackd.control.proxies import Proxies
from loopbackd.control.serviceconnections import connectionRoutes
from loopbackd.control.services import serviceRoutes, switchRoutes
from loopbackd.control.servicetoxics import profileRoutes, toxicRoutes
from loopbackd.control.stubbing import requestRoutes, stubRoutes
from loopbackd.control.tokens import tokenRoutes
from loopbackd.control.toxiproxy import proxyRoutes, proxyToxicRoutes, togetherRoutes
from loopbackd.control.visitors import admit, admitTo
from loopbackd.control.watch import watchRoutes
from loopbackd.controlsettings import ControlSettings
from loopbackd.http.documents import Document
from loopbackd.http.errors import HTTPError
from loopbackd.http.guarding import SHIELD
from loopbackd.http.messages import Answer, Request, Response
from loopbackd.http.openapi import describe
from loopbackd.http.pagetoken import PageToken
from loopbackd.http.routes import Found, Routes
from loopbackd.loglines import escape
from loopbackd.service import Loopback
from loopbackd.settings import SettingsError
from loopbackd.watching.service import Watching

_log = Logger()
_JSON = "application/json"
_VERSION = version("loopbackd")


class ControlSite:
    """
    The site of one daemon's control API.

    @param loopback: what is changed.
    @param settings: what is allowed; can be changed by L{allow}.
    @param watching: what is watched.
    @ivar routes: all of them.
    @ivar token: what our own pages show.
    @ivar whenAdmitted: is called with the connection of each request that was let in.
    """

    whenAdmitted: Callable[[Connection], object] | None = None

    def __init__(self, loopback: Loopback, settings: ControlSettings, watching: Watching) -> None:
        self.allow(settings)
        self.token = PageToken()
        self.routes = Routes("the control API", errorType=_JSON)
        proxies = Proxies(loopback, self._asked)
        for table in (
            proxyRoutes(proxies),
            proxyToxicRoutes(proxies),
            togetherRoutes(loopback, proxies),
            serviceRoutes(loopback, proxies, self._asked),
            switchRoutes(loopback),
            toxicRoutes(loopback),
            profileRoutes(loopback),
            connectionRoutes(loopback),
            stubRoutes(loopback),
            requestRoutes(loopback),
            watchRoutes(watching),
            catalogueRoutes(),
            tokenRoutes(self.token),
        ):
            self.routes.extend(table)
        _addDescription(self.routes)

    def allow(self, settings: ControlSettings) -> None:
        """
        Have other settings from now on.

        @raise SettingsError: there is no such user.
        """
        self._uids = uidsOf(settings)
        self._names = frozenset(name.lower() for name in settings.names)
        self.settings = settings

    def _asked(self) -> ControlSettings:
        return self.settings

    @property
    def uids(self) -> frozenset[int]:
        """Who may use it besides root and the daemon's own."""
        return self._uids

    # See L{Site}.

    def find(self, request: Request) -> Found:
        """Who answers; nobody, where whoever asks may not."""
        admit(request, self._uids, self._names, self.token)
        if self.whenAdmitted is not None and request.on.connection is not None:
            self.whenAdmitted(request.on.connection)
        found = self.routes.find(request)
        admitTo(request, found.endpoint, self.token)
        return found

    def failed(self, request: Request, error: HTTPError) -> Answer:
        """In JSON, as Toxiproxy's clients know it; many of these do not show what it says."""
        more = request.on.lines.more("control")
        if more is not None:
            _log.info(
                "control: {method} {path} is answered {status}: {error}{more}",
                method=request.method,
                path=escape(request.rawPath[:200].decode("latin-1")),
                status=error.status,
                error=escape(error.detail[:500]),
                more=more,
            )
        said = shapes.Refused(error=error.detail, status=error.status)
        body = msgspec.json.encode(said) + b"\n"
        return Response(error.status, body, _JSON, [*error.fields])

    def finish(self, request: Request, answer: Response) -> None:
        """What every answer has."""
        there = {name for name, _ in answer.fields}
        answer.fields += [
            ("X-Toxiproxy-Request-Id", token_hex(10)),
            ("Loopbackd-Version", _VERSION),
            *(field for field in SHIELD if field[0] not in there),
            *warnings(request),
        ]


def uidsOf(settings: ControlSettings) -> frozenset[int]:
    """
    The users that were named.

    @raise SettingsError: there is no such user.
    """
    found = set()
    for who in settings.uids:
        try:
            found.add(who if isinstance(who, int) else pwd.getpwnam(who).pw_uid)
        except (KeyError, ValueError):
            raise SettingsError(
                f"control: uids: there is no user {who!r}; write a name of this machine's or a uid"
            ) from None
    return frozenset(found)


def _addDescription(routes: Routes) -> None:
    made: list[Document] = []

    @routes.add("/openapi.json", group="catalogue", produces=[_JSON], returns=dict[str, Any])
    def described(request: Request) -> Response:
        """This description (OpenAPI 3.1)."""
        if not made:
            made.append(Document(msgspec.json.encode(description(routes)), _JSON))
        return made[0].answer(request)


def description(routes: Routes) -> dict[str, Any]:
    """The description of the API (OpenAPI 3.1)."""
    return describe(routes, title="loopbackd's control API", version=_VERSION)
