"""Our own routes for the toxics of services, whatever these speak."""

from __future__ import annotations

from typing import Final

from loopbackd.control import shapes
from loopbackd.control.bodies import checkName
from loopbackd.control.services import JSON, NOT_FOUND, findService, readAs, readObject
from loopbackd.control.toxics import asToxic, change, put, settingsOf
from loopbackd.control.toxiproxy import reply
from loopbackd.faults.profiles import inUse, use
from loopbackd.faults.toxic import Toxic
from loopbackd.faults.toxics import Toxics
from loopbackd.http.endpoints import Takes
from loopbackd.http.errors import HTTPError
from loopbackd.http.messages import Request, Response
from loopbackd.http.routes import Routes
from loopbackd.service import Loopback

_TOXICS: Final = "toxics of services"


def _find(toxics: Toxics, service: str, name: str) -> Toxic:
    """
    The toxic of that name.

    @raise HTTPError: 404; the service has none.
    """
    try:
        return toxics.get(name)
    except KeyError:
        raise HTTPError(404, f"service {service[:200]!r} has no toxic {name[:200]!r}") from None


def toxicRoutes(loopback: Loopback) -> Routes:
    """The routes for the toxics of services."""
    routes = Routes("toxics")
    add = routes.add

    @add("/services/{service}/toxics", group=_TOXICS, returns=shapes.Toxics, answers=NOT_FOUND)
    def listed(request: Request, service: str) -> Response:
        """The toxics of a service: the upstream ones as they were added, then the others."""
        toxics = findService(loopback, service).toxics
        return reply(shapes.Toxics(toxics=[asToxic(toxic) for toxic in toxics]))

    @add(
        "/services/{service}/toxics",
        methods=["POST"],
        takes=Takes.WHOLE,
        group=_TOXICS,
        usual=201,
        consumes=[JSON],
        accepts=shapes.ToxicAsked,
        returns=shapes.Toxic,
        answers={**NOT_FOUND, 409: "There is a toxic of that name."},
    )
    def added(request: Request, service: str) -> Response:
        """Put a toxic on a service, on its live connections too; C{/toxics} has the kinds."""
        toxics = findService(loopback, service).toxics
        settings = settingsOf(readObject(request.body))
        checkName(settings.name)
        return reply(asToxic(put(toxics, settings)), 201)

    @add(
        "/services/{service}/toxics",
        methods=["DELETE"],
        group=_TOXICS,
        usual=204,
        answers=NOT_FOUND,
    )
    def cleared(request: Request, service: str) -> Response:
        """Take all toxics of a service away."""
        findService(loopback, service).toxics.clear()
        return Response(204)

    @add(
        "/services/{service}/toxics/{toxic}",
        group=_TOXICS,
        returns=shapes.Toxic,
        answers=NOT_FOUND,
    )
    def shown(request: Request, service: str, toxic: str) -> Response:
        """One toxic."""
        return reply(asToxic(_find(findService(loopback, service).toxics, service, toxic)))

    @add(
        "/services/{service}/toxics/{toxic}",
        methods=["PATCH"],
        takes=Takes.WHOLE,
        group=_TOXICS,
        consumes=[JSON],
        accepts=shapes.ToxicChange,
        returns=shapes.Toxic,
        answers=NOT_FOUND,
    )
    def changed(request: Request, service: str, toxic: str) -> Response:
        """Change how much of a toxic there is; attributes that are left out stay."""
        toxics = findService(loopback, service).toxics
        _find(toxics, service, toxic)
        wanted = readAs(request.body, shapes.ToxicChange)
        return reply(asToxic(change(toxics, toxic, wanted.attributes, wanted.toxicity)))

    @add(
        "/services/{service}/toxics/{toxic}",
        methods=["DELETE"],
        group=_TOXICS,
        usual=204,
        answers=NOT_FOUND,
    )
    def removed(request: Request, service: str, toxic: str) -> Response:
        """Take a toxic away; what it holds goes on at once."""
        toxics = findService(loopback, service).toxics
        _find(toxics, service, toxic)
        toxics.remove(toxic)
        return Response(204)

    return routes


def profileRoutes(loopback: Loopback) -> Routes:
    """The routes for the profiles of services."""
    routes = Routes("profiles")
    add = routes.add

    @add(
        "/services/{service}/profile",
        group=_TOXICS,
        returns=shapes.ProfileChoice,
        answers=NOT_FOUND,
    )
    def profile(request: Request, service: str) -> Response:
        """The profile whose toxics a service has, all of them unchanged."""
        return reply(shapes.ProfileChoice(profile=inUse(findService(loopback, service).toxics)))

    @add(
        "/services/{service}/profile",
        methods=["PUT"],
        takes=Takes.WHOLE,
        group=_TOXICS,
        consumes=[JSON],
        accepts=shapes.ProfileChoice,
        returns=shapes.Toxics,
        answers=NOT_FOUND,
    )
    def profileChosen(request: Request, service: str) -> Response:
        """
        Give a service the toxics of a profile, and take those of any other profile away.

        All other toxics stay; C{/profiles} has the names.
        """
        toxics = findService(loopback, service).toxics
        wanted = readAs(request.body, shapes.ProfileChoice)
        try:
            use(toxics, wanted.profile)
        except ValueError as error:
            raise HTTPError(400, str(error)) from None
        return reply(shapes.Toxics(toxics=[asToxic(toxic) for toxic in toxics]))

    return routes
