"""What there is to be had: toxics, with their attributes and bounds, and networks by name."""

from __future__ import annotations

import inspect
from typing import Any

import msgspec
from twisted.logger import Logger

from loopbackd.control import shapes
from loopbackd.control.toxiproxy import reply
from loopbackd.faults.kinds import kindClass, known
from loopbackd.faults.profiles import PROFILES, expand
from loopbackd.http.endpoints import withoutMarks
from loopbackd.http.messages import Request, Response
from loopbackd.http.routes import Routes

_log = Logger()


def catalogueRoutes() -> Routes:
    """The routes for what there is."""
    routes = Routes("catalogue")

    @routes.add("/toxics", group="catalogue", returns=shapes.ToxicKinds)
    def kinds(request: Request) -> Response:
        """The kinds of toxics, with a JSON Schema for each attribute."""
        return reply(shapes.ToxicKinds(toxics=list(_kinds())))

    @routes.add("/profiles", group="catalogue", returns=shapes.ProfileKinds)
    def profiles(request: Request) -> Response:
        """The networks by name, and the toxics each amounts to."""
        found = [
            shapes.ProfileKind(
                name=name, toxics=list(expand(name)), **msgspec.structs.asdict(profile)
            )
            for name, profile in PROFILES.items()
        ]
        return reply(shapes.ProfileKinds(profiles=found))

    return routes


def _kinds() -> list[shapes.ToxicKind]:
    found = []
    for name, origin in known():
        try:
            kind = kindClass(name)
        except ValueError as error:
            _log.warn("The toxic {name} cannot be had: {error}.", name=name, error=error)
            continue
        said = (inspect.getdoc(kind) or "").partition("\n\n")[0].replace("\n", " ")
        found.append(
            shapes.ToxicKind(
                type=name, origin=origin, what=withoutMarks(said), attributes=_attributes(kind)
            )
        )
    return found


def _attributes(kind: type) -> dict[str, Any]:
    """A schema for each attribute, which refers to nothing outside of it."""
    (whole,), components = msgspec.json.schema_components([kind])
    schema = components.get(kind.__name__, whole)
    found: dict[str, Any] = schema.get("properties", {})
    return found
