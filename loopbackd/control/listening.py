"""Listening for the control API: a door, a table and a share of its own, whatever services do."""

from __future__ import annotations

import socket
from typing import Any, Final

from twisted.internet.interfaces import IAddress
from twisted.logger import Logger

from loopbackd.connection import Connection, Connections
from loopbackd.control.site import ControlSite, uidsOf
from loopbackd.control.visitors import behind, mayCome
from loopbackd.controlsettings import DEFAULT_CONTROL, OFF, ControlSettings
from loopbackd.faults.toxics import Toxics
from loopbackd.http.factory import Bounds, HTTPFactory
from loopbackd.http.guarding import SHIELD
from loopbackd.http.head import Limits
from loopbackd.http.patience import Patience
from loopbackd.iloopbackd import Surroundings
from loopbackd.listener import Listener
from loopbackd.logs import OncePerSecond
from loopbackd.net.closing import resetAndClose
from loopbackd.net.endpoint import EndpointError, checkKind, parse, shown
from loopbackd.peer.networks import Networks
from loopbackd.service import Loopback
from loopbackd.settings import ServiceSettings, SettingsError
from loopbackd.watching.service import Watching
from loopbackd.watchsettings import WatchSettings

_log = Logger()
NAME: Final = "control"

_LAST_MOMENT: Final = 0.5

_RATE: Final = float(1 << 30)
"""Bytes that buy another second: nobody has as many."""

_STRANGERS: Final = 16
"""How many of those who may not come can be told so at once."""


class Door:
    """
    Enters connections in the API's own table; strangers never take the place of those who may come.

    @param site: knows who may come.
    @param others: the connections of services, whose relays may lead here.
    """

    def __init__(
        self, site: ControlSite, connections: Connections, clock: Any, others: Connections
    ) -> None:
        self._site = site
        self._others = others
        self._connections = connections
        self._refusals = OncePerSecond(clock)
        self._strangers = 0

    def admit(self, sock: socket.socket, remote: IAddress) -> Connection | None:
        """See L{loopbackd.net.port.Door}."""
        who = self._connections.identify(sock)
        who = behind(who, remote, self._others, self._site.uids)
        isStranger = not mayCome(who.uid, self._site.uids)
        if isStranger:
            isFull = self._strangers >= _STRANGERS
        else:
            known = len(self._connections) - self._strangers
            isFull = known >= self._site.settings.max_connections
        if isFull:
            resetAndClose(sock)
            untold = self._refusals.take(NAME)
            if untold is not None:
                _log.warn("control: refused {remote}: there is no room.", remote=shown(remote))
            return None
        connection = self._connections.add(NAME, remote)
        connection.identified(who)
        if isStranger:
            self._strangers += 1
            connection.whenEnded += (self._left,)
        return connection

    def flooded(self, howMany: int) -> None:
        """See L{loopbackd.net.port.Door}."""
        _log.warn("control: no file descriptors are left; connections were reset.")

    def _left(self, connection: Connection) -> None:
        self._strangers -= 1


class _Served:
    """
    The API as a L{Listener} has a service.

    @ivar settings: its endpoint, as a service's.
    """

    bound: IAddress | None = None

    def __init__(self, settings: ServiceSettings, factory: Any, door: Door, toxics: Toxics) -> None:
        self.prepared = self
        self.settings = settings
        self.endpoint = parse(settings.endpoint)
        self.factory = factory
        self.gate = door
        self.toxics = toxics
        self.name = NAME


class PreparedControl:
    """
    What L{Control} is to be, before it is that.

    @ivar listener: what it will listen with.
    @ivar isNew: it was opened for this.
    """

    def __init__(self, settings: ControlSettings, listener: Listener | None, isNew: bool) -> None:
        self.settings = settings
        self.listener = listener
        self.isNew = isNew

    def forgo(self) -> None:
        """Have everything stay as it was."""
        if self.isNew and self.listener is not None:
            self.listener.close()


class Control:
    """
    The control API of a daemon.

    @param loopback: what it changes.
    @param watching: what it tells of; nothing by default.
    @ivar connections: its own table; services' connections are in another.
    """

    def __init__(self, loopback: Loopback, watching: Watching | None = None) -> None:
        settings = ControlSettings(endpoint=OFF)
        self._core = loopback.core
        self._diag = loopback.diag
        self.connections = Connections(loopback.identify, self._core.seconds)
        watching = watching or Watching(WatchSettings(), self._core, {})
        self.site = ControlSite(loopback, settings, watching)
        self._door = Door(self.site, self.connections, self._core, loopback.connections)
        self._toxics = Toxics(NAME, self.connections, self._core)
        self._listener: Listener | None = None

    @property
    def addresses(self) -> list[IAddress]:
        """What it listens on."""
        return [] if self._listener is None else self._listener.addresses

    def prepare(self, settings: ControlSettings) -> PreparedControl:
        """
        Find out whether it can be like that, and listen if need be.

        @raise SettingsError: it cannot; one line says why.
        """
        check(settings)
        if not settings.isOn:
            return PreparedControl(settings, None, False)
        before = self.site.settings
        if (before.endpoint, before.twin) == (settings.endpoint, settings.twin):
            return PreparedControl(settings, self._listener, False)
        return PreparedControl(settings, self._open(settings), True)

    def become(self, prepared: PreparedControl) -> None:
        """Be like that from now on; connections that are open stay."""
        before, self._listener = self._listener, prepared.listener
        self.site.allow(prepared.settings)
        if self._listener is not None and not prepared.isNew:
            # Those who came before keep the bounds that they came with.
            served: Any = self._listener.service.prepared
            served.factory = self._factory(prepared.settings)
        if before is not None and before is not self._listener:
            _log.info("control: no longer on {where}", where=_where(before))
            before.close()
        if prepared.isNew and self._listener is not None:
            _log.info("control: on {where}", where=_where(self._listener))

    def _open(self, settings: ControlSettings) -> Listener:
        factory = self._factory(settings)
        served: Any = _Served(check(settings), factory, self._door, self._toxics)
        listener = Listener(self._core, self._diag, served)
        try:
            listener.open()
        except SettingsError as error:
            why = str(error).removeprefix(f"service {NAME!r} ").removeprefix(f"service {NAME!r}: ")
            why = why.replace("--listen ", "--control ").replace(
                "--no-twin (twin = false)", "twin = false in [control]"
            )
            raise SettingsError(f"control: {why}; or do without the API: --control off") from error
        return listener

    def _factory(self, settings: ControlSettings) -> HTTPFactory:
        """For connections that keep these bounds, which no trickle of bytes extends."""
        factory = HTTPFactory(
            self.site,
            limits=Limits(head=settings.max_head, line=settings.max_head, fields=100),
            bounds=Bounds(body=settings.max_body),
            patience=patienceOf(settings),
            always=SHIELD,
        )
        factory.servedBy(Surroundings(NAME, self._core, self.connections))
        return factory

    async def close(self) -> None:
        """Listen no more, and close what is open; afterwards nothing is left."""
        listener, self._listener = self._listener, None
        if listener is not None:
            await listener.close()
        for connection in self.connections:
            connection.hangUp()
        await self.connections.untilEmpty(self._core, self._core, _LAST_MOMENT)
        for connection in self.connections:
            connection.cut()
        await self.connections.untilEmpty(self._core, self._core, _LAST_MOMENT)


def check(settings: ControlSettings) -> ServiceSettings:
    """
    The API as a service, found good as far as that can be before it is listened on.

    @raise SettingsError: it cannot be had.
    """
    uidsOf(settings)
    try:
        Networks(settings.allow_addresses)
    except ValueError as error:
        raise SettingsError(f"control: allow_addresses: {error}") from None
    text = _private(settings.endpoint) if settings.isOn else DEFAULT_CONTROL
    try:
        endpoint = parse(text)
        checkKind(endpoint)
    except EndpointError as error:
        raise SettingsError(f"control: {error}; or --control off") from error
    if endpoint.isRemote:
        raise SettingsError(
            f"control: endpoint {text!r}: other machines could reach it, whose users are unknown;"
            " add interface=127.0.0.1"
        )
    return ServiceSettings(name=NAME, endpoint=text, protocol="http", twin=settings.twin)


def _where(listener: Listener) -> str:
    return ", ".join(shown(address) for address in listener.addresses) or listener.endpoint.text


def _private(endpoint: str) -> str:
    """The same endpoint; a path is its owner's alone."""
    isPath = endpoint.startswith("unix:")
    return f"{endpoint}:mode=600" if isPath and ":mode=" not in endpoint else endpoint


def patienceOf(settings: ControlSettings) -> Patience:
    """
    How long somebody who asks may take, whatever trickles.

    Between two requests, too: an answer that nobody reads may all be in the kernel, where it looks
    as if it had been taken.
    """
    return Patience(
        first=settings.timeout,
        head=settings.timeout,
        body=settings.timeout,
        request=settings.timeout,
        sending=settings.timeout,
        rate=_RATE,
        idle=settings.timeout,
    )
