"""Our own routes for the stubs and the journals of services with HTTP."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Final

import msgspec

from loopbackd.control import shapes
from loopbackd.control.bodies import checkName
from loopbackd.control.files import namedByStub, refuseFiles
from loopbackd.control.services import JSON, NOT_FOUND, findService, readAs
from loopbackd.control.servicesettings import asked
from loopbackd.control.toxiproxy import reply
from loopbackd.http.endpoints import Takes
from loopbackd.http.errors import HTTPError
from loopbackd.http.messages import Request, Response
from loopbackd.http.routes import Routes
from loopbackd.httpsettings import StubSettings
from loopbackd.service import Loopback
from loopbackd.stubs.reporting import Format, reported, searched
from loopbackd.stubs.site import StubSite
from loopbackd.stubs.table import Stub

if TYPE_CHECKING:
    from loopbackd.protocols.httpbin.factory import HTTPServiceFactory

_STUBS: Final = "stubs of HTTP services"


def _httpOf(loopback: Loopback, service: str) -> HTTPServiceFactory:
    """
    The HTTP test service that a service has.

    @raise HTTPError: 404; there is no such service, or it has no HTTP.
    """
    http = findService(loopback, service).prepared.http
    if http is None:
        raise HTTPError(404, f"service {service[:200]!r} has no HTTP test service")
    return http


def _siteOf(loopback: Loopback, service: str) -> StubSite:
    """The stubs and the journal of a service, which are put in front of it if need be."""
    return _httpOf(loopback, service).stubs()


def stubRoutes(loopback: Loopback) -> Routes:
    """The routes for the stubs and the journals of services with HTTP."""
    routes = Routes("stubs")
    add = routes.add

    of = partial(_siteOf, loopback)

    def found(service: str, name: str) -> Stub:
        try:
            return of(service).stubs[name]
        except KeyError:
            raise HTTPError(404, f"there is no stub {name[:200]!r}") from None

    def read(request: Request) -> StubSettings:
        settings = readAs(request.body, StubSettings)
        refuseFiles(request, namedByStub(settings))
        if settings.name is not None:
            checkName(settings.name)
        return settings

    @add("/services/{service}/stubs", group=_STUBS, returns=shapes.Stubs, answers=NOT_FOUND)
    def listed(request: Request, service: str) -> Response:
        """The stubs of a service in the order they are asked, and the states of their scenarios."""
        http = _httpOf(loopback, service)
        if http.stubbed is None:
            # There are none, and nothing need be put in the way of requests to say so.
            return reply(shapes.Stubs(stubs=[], states={}))
        stubs = http.stubbed.stubs
        shown = [_asStub(stub) for stub in stubs]
        return reply(shapes.Stubs(stubs=shown, states=stubs.states))

    @add(
        "/services/{service}/stubs",
        methods=["POST"],
        takes=Takes.WHOLE,
        group=_STUBS,
        usual=201,
        consumes=[JSON],
        accepts=StubSettings,
        returns=shapes.Stub,
        answers={**NOT_FOUND, 409: "There is a stub of that name."},
    )
    def added(request: Request, service: str) -> Response:
        """Add a stub; the members are those of C{[[service.http.stub]]} in a configuration."""
        stubs = of(service).stubs
        settings = read(request)
        if settings.name is not None and any(one.name == settings.name for one in stubs):
            raise HTTPError(409, f"there is a stub {settings.name!r} already")
        try:
            return reply(_asStub(stubs.add(settings)), 201)
        except ValueError as error:
            raise HTTPError(400, str(error)) from None

    @add(
        "/services/{service}/stubs", methods=["DELETE"], group=_STUBS, usual=204, answers=NOT_FOUND
    )
    def cleared(request: Request, service: str) -> Response:
        """Be without any stub."""
        of(service).stubs.clear()
        return Response(204)

    @add(
        "/services/{service}/stubs/reset",
        methods=["POST"],
        group=_STUBS,
        usual=204,
        answers=NOT_FOUND,
    )
    def reset(request: Request, service: str) -> Response:
        """Counts, sequences and scenarios begin anew."""
        of(service).stubs.reset()
        return Response(204)

    @add("/services/{service}/stubs/{stub}", group=_STUBS, returns=shapes.Stub, answers=NOT_FOUND)
    def shown(request: Request, service: str, stub: str) -> Response:
        """One stub."""
        return reply(_asStub(found(service, stub)))

    @add(
        "/services/{service}/stubs/{stub}",
        methods=["PUT"],
        takes=Takes.WHOLE,
        group=_STUBS,
        consumes=[JSON],
        accepts=StubSettings,
        returns=shapes.Stub,
        answers=NOT_FOUND,
    )
    def replaced(request: Request, service: str, stub: str) -> Response:
        """Have another stub in the place of one, with counts of its own."""
        found(service, stub)
        settings = read(request)
        if settings.name not in (None, stub):
            raise HTTPError(400, "name: a stub keeps its name; add another one")
        try:
            settings = msgspec.structs.replace(settings, name=stub)
            return reply(_asStub(of(service).stubs.replace(settings)))
        except ValueError as error:
            raise HTTPError(400, str(error)) from None

    @add(
        "/services/{service}/stubs/{stub}",
        methods=["DELETE"],
        group=_STUBS,
        usual=204,
        answers=NOT_FOUND,
    )
    def removed(request: Request, service: str, stub: str) -> Response:
        """Be without a stub."""
        found(service, stub)
        of(service).stubs.remove(stub)
        return Response(204)

    return routes


def _asStub(stub: Stub) -> shapes.Stub:
    return shapes.Stub(name=stub.name, count=stub.count, settings=asked(stub.settings))


def requestRoutes(loopback: Loopback) -> Routes:
    """The routes for the journals of services with HTTP."""
    routes = Routes("requests")
    add = routes.add

    of = partial(_siteOf, loopback)

    @add(
        "/services/{service}/requests",
        group=_STUBS,
        produces=[JSON, "text/plain"],
        answers=NOT_FOUND,
    )
    async def listed(
        request: Request,
        service: str,
        *,
        format: Format = "json",
        method: str | None = None,
        path: str | None = None,
        stub: str | None = None,
        last: Annotated[int, msgspec.Meta(ge=1)] | None = None,
    ) -> Response:
        """What a service was asked, the oldest first; from the first time this is asked on."""
        journal = of(service).journal
        return await reported(request, journal, format, method, path, stub, last)

    @add(
        "/services/{service}/requests",
        methods=["DELETE"],
        group=_STUBS,
        usual=204,
        answers=NOT_FOUND,
    )
    def forgotten(request: Request, service: str) -> Response:
        """Forget what a service was asked."""
        of(service).journal.clear()
        return Response(204)

    @add(
        "/services/{service}/requests/find",
        methods=["POST"],
        takes=Takes.WHOLE,
        group=_STUBS,
        consumes=[JSON],
        produces=[JSON, "text/plain"],
        answers=NOT_FOUND,
    )
    async def chosen(request: Request, service: str, *, format: Format = "json") -> Response:
        """What a service was asked that meets the conditions in the body, which are a stub's."""
        return await searched(request, of(service).journal, format)

    return routes
