"""Relays as Toxiproxy's proxies: listed, made, moved, switched, and brought back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec

from loopbackd.control import shapes
from loopbackd.control.addresses import (
    AddressError,
    endpointFor,
    listenOf,
    resolved,
    splitListen,
    upstreamOf,
    whyNot,
)
from loopbackd.control.bodies import Members, bad, checkName
from loopbackd.control.files import namedByTarget, refuseFiles
from loopbackd.control.notes import warnOfUnknown
from loopbackd.control.toxics import MOST_TOXICS, asProxyToxic, readToxic
from loopbackd.controlsettings import ControlSettings
from loopbackd.exposed import speaksOnlyTLS
from loopbackd.faultsettings import ToxicSettings
from loopbackd.hostport import joined
from loopbackd.http.errors import HTTPError
from loopbackd.http.messages import Request
from loopbackd.listener import CannotListen
from loopbackd.live import LiveService
from loopbackd.net.endpoint import isLoopback
from loopbackd.relaysettings import RelaySettings
from loopbackd.service import Loopback, ServiceExists
from loopbackd.settings import ServiceSettings, SettingsError

_MEMBERS: Final = frozenset(["name", "listen", "upstream", "enabled", "toxics"])
_NO_PROXY: Final = "a service of that name already exists, and is no relay"
_IGNORED: Final = frozenset(["logger"])
"""What Toxiproxy tells of a proxy, and clients may send back."""


class Asked:
    """
    A proxy as it is asked for.

    @param isNew: its toxics count; those of a change do not, which clients may send back.
    @ivar toxics: those it begins with.
    """

    def __init__(
        self, request: Request, value: Any, what: str = "the body", isNew: bool = True
    ) -> None:
        members = Members(value, _MEMBERS, what)
        self.request = request
        self.members = members
        self.name = members.text("name", "")
        self.upstream = members.text("upstream", "")
        self.listen = members.text("listen", "")
        self.enabled = members.truth("enabled", True)
        self.toxics: tuple[ToxicSettings, ...] = ()
        if isNew and "toxics" in members:
            self.toxics = _toxics(request, members.array("toxics"))
        unknown = (name for name in members.unknown if name.lower() not in _IGNORED)
        warnOfUnknown(request, f"proxy {self.name[:100]}", unknown)


def _toxics(request: Request, values: list[Any]) -> tuple[ToxicSettings, ...]:
    if len(values) > MOST_TOXICS:
        raise HTTPError(400, f"toxics: {len(values)} of them; {MOST_TOXICS} are the most")
    found: list[ToxicSettings] = []
    for value in values:
        found.append(readToxic(request, value, frozenset(one.name for one in found)))
    return tuple(found)


class Proxies:
    """
    The relays of a daemon.

    @ivar settings: what is allowed.
    """

    def __init__(self, loopback: Loopback, settings: Callable[[], ControlSettings]) -> None:
        self._loopback = loopback
        self._settings = settings

    def __iter__(self) -> Iterator[LiveService]:
        for live in self._loopback.services():
            if live.prepared.settings.protocol == "relay":
                yield live

    def find(self, name: str) -> LiveService:
        """
        The relay of that name.

        @raise HTTPError: 404.
        """
        try:
            live = self._loopback.live(name)
        except KeyError:
            live = None
        if live is None or live.prepared.settings.protocol != "relay":
            raise HTTPError(404, "proxy not found")
        return live

    def create(self, asked: Asked) -> LiveService:
        """
        One more relay.

        @raise HTTPError: 400, 409 or 500; then there is none.
        """
        for member in ("name", "upstream"):
            if not getattr(asked, member):
                raise HTTPError(400, f"missing required field: {member}")
        return self._add(asked)

    def _add(self, asked: Asked) -> LiveService:
        checkName(asked.name)
        for live in self._loopback.services():
            if live.name == asked.name:
                isProxy = live.prepared.settings.protocol == "relay"
                raise HTTPError(409, "proxy already exists" if isProxy else _NO_PROXY)
        refuseFiles(asked.request, namedByTarget(asked.upstream))
        self.refuseTooMany()
        try:
            host, port = splitListen(asked.listen)
            # One that does not listen yet is told as it was asked for.
            where = resolved(host) if asked.enabled else host
        except AddressError as error:
            raise HTTPError(500, f"listen tcp: {error}") from None
        networks = self._mayCome(where, port)
        settings = ServiceSettings(
            name=asked.name,
            enabled=asked.enabled,
            endpoint=endpointFor(where, port),
            protocol="relay",
            target=asked.upstream,
            relay=RelaySettings(refused="close"),
            toxic=asked.toxics,
            twin=False,
            allow_remote=bool(networks),
            allow_addresses=networks,
        )
        return self._do(lambda: self._loopback.add(settings))

    def refuseTooMany(self) -> None:
        """
        Make sure that there is room for one more service.

        @raise HTTPError: 503.
        """
        most = self._settings().max_services
        added = sum(self._loopback.isAdded(live.name) for live in self._loopback.services())
        if added >= most:
            raise HTTPError(503, f"{most} services were added already; remove some")

    def _mayCome(
        self, host: str, port: int, before: ServiceSettings | None = None
    ) -> tuple[str, ...]:
        """
        The networks that may come to a relay on that host; none where it is this machine's.

        @param before: what the relay is now, which may say who comes.
        @raise HTTPError: 400; other machines could reach it, and that is not allowed.
        """
        if isLoopback(host):
            return ()
        control = self._settings()
        where = f"listen = {joined(host, port)}: other machines could reach that"
        if not control.allow_remote:
            raise HTTPError(
                400,
                f"{where}; listen on 127.0.0.1, or let allow_remote = true stand in [control]",
            )
        networks = (before.allow_addresses if before else ()) or control.allow_addresses
        if not networks and not (before and speaksOnlyTLS(before)):
            raise HTTPError(
                400,
                f"{where} without TLS; listen on 127.0.0.1, let allow_addresses ="
                ' ["192.0.2.0/24"] in [control] say which may come, or add it with POST /services'
                " and a tls table",
            )
        return networks

    def change(self, live: LiveService, asked: Asked) -> LiveService:
        """
        Move, redirect or switch a relay; one that cannot be moved goes on as it was.

        @raise HTTPError: 400 or 500.
        """
        members, before = asked.members, live.prepared.settings
        after = msgspec.structs.replace(before, enabled=members.truth("enabled", before.enabled))
        isMoved = False
        if "listen" in members and asked.listen != listenOf(live):
            try:
                host, port = splitListen(asked.listen)
                where = resolved(host)
            except AddressError as error:
                raise HTTPError(500, str(error)) from None
            if joined(where, port) != listenOf(live):
                networks = self._mayCome(where, port, before)
                remote = not isLoopback(where)
                # One that does not listen yet is told as it was asked for.
                endpoint = endpointFor(where if after.enabled else host, port)
                isMoved = port == 0
                after = msgspec.structs.replace(
                    after,
                    endpoint=endpoint,
                    allow_remote=remote or before.allow_remote,
                    allow_addresses=networks or before.allow_addresses,
                )
        if "upstream" in members and asked.upstream != upstreamOf(live):
            if not asked.upstream:
                raise HTTPError(400, "missing required field: upstream")
            refuseFiles(asked.request, namedByTarget(asked.upstream))
            after = msgspec.structs.replace(after, target=asked.upstream)
        if after == before and not isMoved:
            return live
        return self._do(lambda: self._loopback.replace(live.name, after, anew=isMoved))

    def remove(self, live: LiveService) -> None:
        """Be without a relay; its connections are closed."""
        self._loopback.remove(live.name)

    def fill(self, asked: Asked) -> LiveService:
        """
        Have a relay as asked: make it, leave it alone where it leads there already, or make it
        anew.

        @raise HTTPError: it cannot be had; one that was there goes on as it was.
        """
        try:
            live = self.find(asked.name)
        except HTTPError:
            return self._add(asked)
        try:
            host, port = splitListen(asked.listen)
            where = joined(resolved(host), port)
        except AddressError as error:
            raise HTTPError(500, str(error)) from None
        if where == listenOf(live) and asked.upstream == upstreamOf(live):
            return live
        # As if it had been removed, which it must not be before the other one is there.
        asked.members = Members(
            {"listen": asked.listen, "upstream": asked.upstream, "enabled": asked.enabled}, _MEMBERS
        )
        live = self.change(live, asked)
        live.toxics.clear()
        for settings in asked.toxics:
            live.toxics.add(settings)
        return live

    def enable(self, live: LiveService) -> None:
        """
        Listen for a relay.

        @raise HTTPError: 500; its address is not to be had.
        """
        self._do(lambda: self._loopback.enable(live.name))

    def _do(self, what: Callable[[], LiveService]) -> LiveService:
        try:
            return what()
        except ServiceExists:
            raise HTTPError(409, "proxy already exists") from None
        except CannotListen as error:
            raise HTTPError(500, whyNot(error)) from None
        except SettingsError as error:
            raise HTTPError(400, str(error)) from None


def asProxy(live: LiveService) -> shapes.Proxy:
    """A relay in Toxiproxy's words."""
    return shapes.Proxy(
        name=live.name,
        listen=listenOf(live),
        upstream=upstreamOf(live),
        enabled=live.prepared.settings.enabled,
        toxics=[asProxyToxic(toxic) for toxic in live.toxics],
    )


def readMany(request: Request, value: Any) -> list[Asked]:
    """
    The proxies of C{/populate}, all of which must be good.

    @raise HTTPError: 400.
    """
    if value is None:
        return []
    if not isinstance(value, list):
        raise bad("it is no array of proxies")
    found = []
    for number, one in enumerate(value, 1):
        asked = Asked(request, one, f"proxy {number}")
        if not asked.name:
            raise HTTPError(400, f"missing required field: name at proxy {number}")
        if not asked.upstream:
            raise HTTPError(400, f"missing required field: upstream at proxy {number}")
        checkName(asked.name)
        found.append(asked)
    return found
