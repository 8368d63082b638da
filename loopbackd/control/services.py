"""Our own routes for services, whatever they speak: C{/services}."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from difflib import get_close_matches
from typing import Any, Final, TypeVar

import msgspec
from twisted.internet.interfaces import IAddress

from loopbackd.connection import Connection
from loopbackd.control import shapes
from loopbackd.control.bodies import checkName
from loopbackd.control.proxies import Proxies
from loopbackd.control.servicesettings import asked, settingsFrom
from loopbackd.control.toxics import asToxic
from loopbackd.control.toxiproxy import reply, turn
from loopbackd.controlsettings import ControlSettings
from loopbackd.faults.profiles import inUse
from loopbackd.http.endpoints import Takes
from loopbackd.http.errors import HTTPError
from loopbackd.http.messages import Request, Response
from loopbackd.http.routes import Routes
from loopbackd.listener import CannotListen
from loopbackd.live import LiveService
from loopbackd.net.endpoint import shown
from loopbackd.service import Loopback, ServiceExists
from loopbackd.settings import SettingsError

T = TypeVar("T")

GROUP: Final = "services"
JSON: Final = "application/json"
NOT_FOUND: Final = {404: "There is no such service, or not what is asked for."}
_TAKEN: Final = {
    409: "The name, or the address, is taken.",
    503: "There are as many services as may be.",
}


def findService(loopback: Loopback, name: str) -> LiveService:
    """
    The service of that name.

    @raise HTTPError: 404.
    """
    try:
        return loopback.live(name)
    except KeyError:
        names = [live.prepared.settings.name for live in loopback.services()]
        near = get_close_matches(name[:200], names, 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise HTTPError(404, f"there is no service {name[:200]!r}{hint}") from None


def readAs(body: bytes, kind: type[T]) -> T:
    """
    What a body says, in our own strict way.

    @raise HTTPError: 400; it is no JSON, or not that.
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise HTTPError(400, f"the body: {str(error).replace('`', '')}") from None


def readObject(body: bytes) -> dict[str, Any]:
    """
    The object that a body is.

    @raise HTTPError: 400; it is none.
    """
    return readAs(body, dict[str, Any])


def asService(
    loopback: Loopback, live: LiveService, addresses: Mapping[str, list[IAddress]]
) -> shapes.Service:
    """
    A service in our words.

    @param addresses: what all services listen on.
    """
    settings = live.prepared.settings
    totals = loopback.connections.totals(live.name)
    current = list(_open(loopback, live.name)) if totals.open else []
    return shapes.Service(
        name=live.name,
        protocol=settings.protocol,
        endpoint=settings.endpoint,
        enabled=settings.enabled,
        added=loopback.isAdded(live.name),
        listening=[shown(address) for address in addresses.get(live.name, ())],
        target=settings.target,
        profile=None if live.toxics.isEmpty else inUse(live.toxics),
        toxics=[asToxic(toxic) for toxic in live.toxics],
        connections=shapes.Counts(
            open=totals.open,
            opened=totals.opened,
            refused=totals.refused,
            bytes_received=totals.bytesReceived + sum(one.bytesReceived for one in current),
            bytes_sent=totals.bytesSent + sum(one.bytesSent for one in current),
        ),
        settings=asked(settings),
    )


def _open(loopback: Loopback, service: str) -> Iterator[Connection]:
    for connection in loopback.connections:
        if connection.service == service:
            yield connection


def _done(loopback: Loopback, what: Callable[[], LiveService], status: int = 200) -> Response:
    """
    The answer to what changes a service.

    @raise HTTPError: 400 or 409; it cannot be done.
    """
    try:
        return reply(asService(loopback, what(), loopback.addresses), status)
    except ServiceExists as error:
        raise HTTPError(409, str(error)) from None
    except CannotListen as error:
        raise HTTPError(409, str(error)) from None
    except SettingsError as error:
        raise HTTPError(400, str(error)) from None


def serviceRoutes(
    loopback: Loopback, proxies: Proxies, settings: Callable[[], ControlSettings]
) -> Routes:
    """The routes for the services of a daemon."""
    routes = Routes("services")
    add = routes.add

    @add("/services", group=GROUP, returns=shapes.Services)
    async def listed(request: Request) -> Response:
        """All services, those of the configuration first."""
        addresses = loopback.addresses
        found = []
        began = request.on.seconds()
        for name in [live.name for live in loopback.services()]:
            # Somebody else may have had it removed meanwhile.
            with suppress(KeyError):
                found.append(asService(loopback, loopback.live(name), addresses))
            began = await turn(request, began)
        return reply(shapes.Services(services=found))

    @add(
        "/services",
        methods=["POST"],
        takes=Takes.WHOLE,
        group=GROUP,
        usual=201,
        consumes=[JSON],
        accepts=shapes.ServiceAsked,
        returns=shapes.Service,
        answers=_TAKEN,
    )
    def added(request: Request) -> Response:
        """
        Serve one more; the members are those of C{[[service]]} in a configuration.

        It is there until it is removed, or the daemon ends.
        """
        given = readObject(request.body)
        name = given.get("name")
        if not isinstance(name, str) or not name:
            raise HTTPError(400, "the body: name is missing; give the service one")
        checkName(name)
        wanted = settingsFrom(request, given, name, settings())
        proxies.refuseTooMany()
        return _done(loopback, lambda: loopback.add(wanted), 201)

    @add("/services/{service}", group=GROUP, returns=shapes.Service, answers=NOT_FOUND)
    def one(request: Request, service: str) -> Response:
        """One service."""
        return reply(asService(loopback, findService(loopback, service), loopback.addresses))

    @add(
        "/services/{service}",
        methods=["PATCH"],
        takes=Takes.WHOLE,
        group=GROUP,
        consumes=[JSON],
        accepts=dict[str, Any],
        returns=shapes.Service,
        answers={**NOT_FOUND, **_TAKEN},
    )
    async def changed(request: Request, service: str) -> Response:
        """
        Change the members of a service that the body has; C{null} is the default.

        Its connections are closed unless nothing changes, its toxics stay unless C{toxic} is given.
        """
        before = findService(loopback, service).prepared.settings
        given = readObject(request.body)
        if given.get("name", service) != service:
            raise HTTPError(400, "name: a service keeps its name; add another one")
        merged = {**asked(before), **given}
        merged = {k: v for k, v in merged.items() if v is not None}
        wanted = settingsFrom(request, merged, service, settings(), before)
        answer = _done(loopback, lambda: loopback.replace(service, wanted))
        await request.on.sleep(0)
        return answer

    @add("/services/{service}", methods=["DELETE"], group=GROUP, usual=204, answers=NOT_FOUND)
    async def removed(request: Request, service: str, *, reset: bool = False) -> Response:
        """
        Be without a service; its connections are closed, or reset.

        One of the configuration comes back when that is read again.
        """
        findService(loopback, service)
        if reset:
            _reset(loopback, service)
        loopback.remove(service)
        await request.on.sleep(0)
        return Response(204)

    return routes


def switchRoutes(loopback: Loopback) -> Routes:
    """The routes that switch the services of a daemon on and off."""
    routes = Routes("switches")

    def switching(path: str, wanted: bool | None, said: str) -> None:
        async def switch(request: Request, service: str, *, reset: bool = False) -> Response:
            settings = findService(loopback, service).prepared.settings
            enabled = not settings.enabled if wanted is None else wanted
            if reset and not enabled:
                _reset(loopback, service)
            how = loopback.enable if enabled else loopback.disable
            answer = _done(loopback, lambda: how(service))
            await request.on.sleep(0)
            return answer

        switch.__doc__ = said
        routes.add(
            f"/services/{{service}}/{path}",
            methods=["POST"],
            group=GROUP,
            returns=shapes.Service,
            answers={**NOT_FOUND, 409: "The address is taken."},
        )(switch)

    switching("enable", True, "Have a service listen, where it did before.")
    switching("disable", False, "Have a service not listen; its connections are closed, or reset.")
    switching("toggle", None, "Enable a service that is disabled, and the reverse.")
    return routes


def _reset(loopback: Loopback, service: str) -> None:
    for connection in _open(loopback, service):
        connection.abort()
