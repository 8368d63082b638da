"""
Toxiproxy's routes (version 2.12), for its clients.

What they depend on is as it is there: paths, statuses, names of members, texts of errors. Proxies
are relays. What can be had of a C{/populate} or a C{/reset} is had, and the rest is told.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final

import msgspec

from loopbackd.control import shapes
from loopbackd.control.bodies import firstValue
from loopbackd.control.proxies import Asked, Proxies, asProxy, readMany
from loopbackd.control.toxics import asProxyToxic, change, find, put, readChange, readToxic
from loopbackd.faults.toxics import Toxics
from loopbackd.http.endpoints import Takes
from loopbackd.http.errors import HTTPError
from loopbackd.http.messages import Request, Response
from loopbackd.http.routes import Routes
from loopbackd.service import Loopback

VERSION: Final = "2.12.0"
"""Of Toxiproxy, whose API this is."""

_GROUP: Final = "Toxiproxy"
_JSON: Final = "application/json"
_A_TURN: Final = 0.01
"""Seconds that many proxies may keep everybody else waiting."""

_LONGEST: Final = 8.0
"""Seconds after which the rest of many is not begun any more."""

_CANNOT: Final = {
    500: "The address cannot be listened on.",
    503: "There are as many services as may be.",
}
_NOT_FOUND: Final = {404: "There is no such proxy, or no such toxic."}
_CHANGING: Final = ["POST", "PATCH"]


def reply(value: Any, status: int = 200) -> Response:
    """That, as JSON."""
    return Response(status, msgspec.json.encode(value), _JSON)


async def turn(request: Request, began: float) -> float:
    """
    Let others have their turn, where many things have taken long enough.

    @param began: when this turn has begun, in seconds.
    @return: when the next has.
    """
    if request.on.seconds() - began <= _A_TURN:
        return began
    await request.on.sleep(0)
    return request.on.seconds()


def proxyRoutes(proxies: Proxies) -> Routes:
    """The routes for one relay, and for the list of them."""
    routes = Routes("proxies")
    add = routes.add

    @add("/version", group=_GROUP, returns=shapes.Version)
    def version(request: Request) -> Response:
        """The version of Toxiproxy whose API this is; ours is in C{Loopbackd-Version}."""
        body = f'{{"version": "{VERSION}"}}\n'.encode()
        return Response(200, body, "application/json;charset=utf-8")

    @add("/proxies", group=_GROUP, returns=dict[str, shapes.Proxy])
    async def listed(request: Request) -> Response:
        """All proxies by name: the services that are relays."""
        found = {}
        began = request.on.seconds()
        for name in [live.name for live in proxies]:
            # Somebody else may have had it removed meanwhile.
            with suppress(HTTPError):
                found[name] = asProxy(proxies.find(name))
            began = await turn(request, began)
        return reply(found)

    @add(
        "/proxies",
        methods=["POST"],
        takes=Takes.WHOLE,
        group=_GROUP,
        usual=201,
        consumes=[_JSON],
        accepts=shapes.ProxyAsked,
        returns=shapes.Proxy,
        answers={409: "There is a service of that name.", **_CANNOT},
    )
    def created(request: Request) -> Response:
        """
        Make a proxy: a relay that closes where its upstream cannot be reached.

        Where C{listen} is left out a port of 127.0.0.1 is chosen.
        """
        live = proxies.create(Asked(request, firstValue(request.body)))
        return reply(asProxy(live), 201)

    @add("/proxies/{proxy}", group=_GROUP, returns=shapes.Proxy, answers=_NOT_FOUND)
    def shown(request: Request, proxy: str) -> Response:
        """One proxy."""
        return reply(asProxy(proxies.find(proxy)))

    @add(
        "/proxies/{proxy}",
        methods=_CHANGING,
        takes=Takes.WHOLE,
        group=_GROUP,
        consumes=[_JSON],
        accepts=shapes.ProxyChange,
        returns=shapes.Proxy,
        answers={**_NOT_FOUND, **_CANNOT},
    )
    async def changed(request: Request, proxy: str) -> Response:
        """
        Move, redirect or switch a proxy; its toxics stay.

        Its connections are closed where anything but C{enabled = true} changes; where it cannot be
        moved it goes on as it was.
        """
        live = proxies.find(proxy)
        live = proxies.change(live, Asked(request, firstValue(request.body), isNew=False))
        answer = reply(asProxy(live))
        await request.on.sleep(0)  # until what was listened on is closed
        return answer

    @add("/proxies/{proxy}", methods=["DELETE"], group=_GROUP, usual=204, answers=_NOT_FOUND)
    async def removed(request: Request, proxy: str) -> Response:
        """Be without a proxy; its connections are closed."""
        proxies.remove(proxies.find(proxy))
        await request.on.sleep(0)
        return Response(204)

    return routes


def proxyToxicRoutes(proxies: Proxies) -> Routes:
    """The routes for the toxics of a relay."""
    routes = Routes("toxics of proxies")
    add = routes.add

    @add(
        "/proxies/{proxy}/toxics",
        group=_GROUP,
        returns=list[shapes.ProxyToxic],
        answers=_NOT_FOUND,
    )
    def toxics(request: Request, proxy: str) -> Response:
        """The toxics of a proxy: the upstream ones as they were added, then the others."""
        return reply([asProxyToxic(toxic) for toxic in proxies.find(proxy).toxics])

    @add(
        "/proxies/{proxy}/toxics",
        methods=["POST"],
        takes=Takes.WHOLE,
        group=_GROUP,
        consumes=[_JSON],
        accepts=shapes.ProxyToxicAsked,
        returns=shapes.ProxyToxic,
        answers={**_NOT_FOUND, 409: "There is a toxic of that name."},
    )
    def put_(request: Request, proxy: str) -> Response:
        """Put a toxic on a proxy, on its live connections too."""
        on = proxies.find(proxy).toxics
        settings = readToxic(request, firstValue(request.body), _namesOf(on))
        return reply(asProxyToxic(put(on, settings)))

    @add(
        "/proxies/{proxy}/toxics/{toxic}",
        group=_GROUP,
        returns=shapes.ProxyToxic,
        answers=_NOT_FOUND,
    )
    def toxicShown(request: Request, proxy: str, toxic: str) -> Response:
        """One toxic."""
        return reply(asProxyToxic(find(proxies.find(proxy).toxics, toxic)))

    @add(
        "/proxies/{proxy}/toxics/{toxic}",
        methods=_CHANGING,
        takes=Takes.WHOLE,
        group=_GROUP,
        consumes=[_JSON],
        accepts=shapes.ToxicChange,
        returns=shapes.ProxyToxic,
        answers=_NOT_FOUND,
    )
    def toxicChanged(request: Request, proxy: str, toxic: str) -> Response:
        """Change how much of a toxic there is; attributes that are left out stay."""
        on = proxies.find(proxy).toxics
        one = find(on, toxic)
        attributes, toxicity = readChange(request, firstValue(request.body), one)
        return reply(asProxyToxic(change(on, toxic, attributes, toxicity)))

    @add(
        "/proxies/{proxy}/toxics/{toxic}",
        methods=["DELETE"],
        group=_GROUP,
        usual=204,
        answers=_NOT_FOUND,
    )
    def toxicRemoved(request: Request, proxy: str, toxic: str) -> Response:
        """Take a toxic away; what it holds goes on at once."""
        on = proxies.find(proxy).toxics
        find(on, toxic)
        on.remove(toxic)
        return Response(204)

    return routes


def togetherRoutes(loopback: Loopback, proxies: Proxies) -> Routes:
    """The routes for all relays at once."""
    routes = Routes("all proxies")
    add = routes.add

    @add(
        "/reset",
        methods=["POST"],
        group=_GROUP,
        usual=204,
        answers={500: "Some proxies could not be enabled; C{failed} says which, and why."},
    )
    async def reset(request: Request) -> Response:
        """Enable every proxy, and take every toxic away, those of other services too."""
        failed = []
        began = request.on.seconds()
        for live in loopback.services():
            live.toxics.clear()
            began = await turn(request, began)
        for name in [live.name for live in proxies]:
            began = await turn(request, began)
            try:
                proxies.enable(proxies.find(name))
            except HTTPError as error:
                # One that somebody else has taken away meanwhile need not be enabled.
                if error.status != 404:
                    failed.append(shapes.Failed(name=name, error=error.detail))
        return _some([], failed, 500) if failed else Response(204)

    @add(
        "/populate",
        methods=["POST"],
        takes=Takes.WHOLE,
        group=_GROUP,
        usual=201,
        consumes=[_JSON],
        accepts=list[shapes.ProxyAsked],
        returns=shapes.Populated,
        answers={500: "Some could not be had; C{failed} says which, and why."},
    )
    async def populated(request: Request) -> Response:
        """
        Have all of these proxies.

        One that is there and leads there already is left alone, one that leads elsewhere is
        replaced; other proxies are not touched. Nothing is done where one lacks a name or an
        upstream.
        """
        asked = readMany(request, firstValue(request.body))
        done, failed = [], []
        start = began = request.on.seconds()
        old = {live.name for live in proxies}
        for one in asked:
            try:
                if request.on.seconds() - start > _LONGEST:
                    raise HTTPError(503, "there was no time left; ask again for the rest")
                done.append(proxies.fill(one).name)
            except HTTPError as error:
                failed.append(shapes.Failed(name=one.name, error=error.detail))
            # Where one has left is free in the next turn; another one may want to be there.
            if one.name in old or request.on.seconds() - began > _A_TURN:
                await request.on.sleep(0)
                began = request.on.seconds()
        there = {live.name: asProxy(live) for live in proxies}
        had = [there[name] for name in done if name in there]
        return _some(had, failed, 500) if failed else reply(shapes.Populated(proxies=had), 201)

    return routes


def _namesOf(toxics: Toxics) -> frozenset[str]:
    return frozenset(toxic.name for toxic in toxics)


def _some(had: list[shapes.Proxy], failed: list[shapes.Failed], status: int) -> Response:
    first = failed[0].error
    return reply(shapes.NotAll(error=first, status=status, proxies=had, failed=failed), status)
