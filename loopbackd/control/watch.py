"""What the watch sees: C{/watch}."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from loopbackd.control import shapes
from loopbackd.control.toxiproxy import reply
from loopbackd.http.messages import Request, Response
from loopbackd.http.routes import Routes
from loopbackd.watching.events import asFinding
from loopbackd.watching.service import Watching
from loopbackd.watching.watch import Watched

MOST: Final = 500
"""How many listeners are shown, the lowest ports first."""


def watchRoutes(watching: Watching) -> Routes:
    """The route for what a daemon's watch sees."""
    routes = Routes("watch")

    @routes.add("/watch", group="watch", returns=shapes.Watch)
    def watched(request: Request) -> Response:
        """
        Who listens on this machine, what is suspicious about it, and what was new.

        Empty unless the configuration says C{enabled = true} in C{[watch]}.
        """
        seen = watching.seen
        there = sorted(seen.watched, key=lambda one: one.listener.place[1::-1])[:MOST]
        answer = shapes.Watch(
            enabled=watching.settings.enabled,
            missing=watching.missing,
            listeners=[asListener(one, seen.counts) for one in there],
            findings=[
                shapes.Finding(**asFinding(event).asValue()) for one in there for event in one.wrong
            ],
            events=list(watching.events),
        )
        return reply(answer)

    return routes


def asListener(one: Watched, counts: Mapping[int, int]) -> shapes.WatchedListener:
    """
    A listener in the API's words.

    @param counts: how many connections are open at each port.
    """
    place, program = one.listener.place, one.program
    return shapes.WatchedListener(
        host=place.host,
        port=place.port,
        uid=place.uid,
        user=one.user,
        pid=None if program is None else program.pid,
        command=None if program is None else program.command,
        program=None if program is None or not program.path else program.path,
        since=one.since,
        older=one.wasThere,
        connections=counts.get(place.port, 0),
        suspicious=[event.kind for event in one.wrong],
    )
