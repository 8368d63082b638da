"""Listening for the control API: a door, a table and a share of its own, whatever services do."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import Any, Final

from twisted.internet.interfaces import IAddress
from twisted.logger import Logger

from loopbackd.connection import Connection
from loopbackd.connections import Connections
from loopbackd.control.site import ControlSite, uidsOf
from loopbackd.control.socketplace import checkSocket, endpointAt, room, socketPath
from loopbackd.control.visitors import behind, mayCome
from loopbackd.controlsettings import AUTO, DEFAULT_CONTROL, OFF, ControlSettings
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

    Nor does a page, which has the browser of somebody who may come open any number: where there is
    no room, whoever has waited longest without having been let in to anything makes it.

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
        self._waiting: dict[Connection, None] = {}
        self._leaving = 0
        site.whenAdmitted = self._letIn

    def admit(self, sock: socket.socket, remote: IAddress) -> Connection | None:
        """See L{loopbackd.net.port.Door}."""
        who = self._connections.identify(sock)
        who = behind(who, remote, self._others, self._site.uids)
        isStranger = not mayCome(who.uid, self._site.uids)
        if isStranger:
            isFull = self._strangers >= _STRANGERS
        else:
            known = len(self._connections) - self._strangers - self._leaving
            isFull = known >= self._site.settings.max_connections and not self._makesRoom()
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
        else:
            self._waiting[connection] = None
            connection.whenEnded += (self._letIn,)
        return connection

    def _letIn(self, connection: Connection) -> None:
        """It has been let in to something, or has ended: it makes no room for others any more."""
        self._waiting.pop(connection, None)

    def _makesRoom(self) -> bool:
        """Reset whoever has waited longest; whether there was somebody."""
        oldest = next(iter(self._waiting), None)
        if oldest is None or oldest.transport is None:
            return False
        self._letIn(oldest)
        self._leaving += 1
        oldest.whenEnded += (self._madeRoom,)
        oldest.abort()
        untold = self._refusals.take(NAME)
        if untold is not None:
            _log.warn("{who} was let in to nothing, and is reset to make room.", who=oldest)
        return True

    def _madeRoom(self, connection: Connection) -> None:
        self._leaving -= 1

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

    @ivar listeners: what it will listen with, the Unix socket last.
    @ivar opened: those of them that were opened for this.
    """

    def __init__(self, settings: ControlSettings) -> None:
        self.settings = settings
        self.listeners: list[Listener] = []
        self.opened: list[Listener] = []

    def forgo(self) -> None:
        """Have everything stay as it was."""
        for listener in self.opened:
            listener.close()


class Control:
    """
    The control API of a daemon.

    @param loopback: what it changes.
    @param watching: what it tells of; nothing by default.
    @param environ: what says where its Unix socket is to be; without it there is none but one that
        the settings name.
    @ivar connections: its own table; services' connections are in another.
    """

    def __init__(
        self,
        loopback: Loopback,
        watching: Watching | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        settings = ControlSettings(endpoint=OFF)
        self._core = loopback.core
        self._diag = loopback.diag
        self.connections = Connections(loopback.identify, self._core.seconds)
        watching = watching or Watching(WatchSettings(), self._core, {})
        self.site = ControlSite(loopback, settings, watching)
        self._door = Door(self.site, self.connections, self._core, loopback.connections)
        self._toxics = Toxics(NAME, self.connections, self._core)
        self._environ = environ
        self._listeners: list[Listener] = []

    @property
    def addresses(self) -> list[IAddress]:
        """What it listens on, the Unix socket last."""
        return [address for listener in self._listeners for address in listener.addresses]

    def prepare(self, settings: ControlSettings, isPrivileged: bool = False) -> PreparedControl:
        """
        Find out whether it can be like that, and listen if need be.

        @param isPrivileged: this is before twistd gives up its user, whose a file would be.
        @raise SettingsError: it cannot; one line says why.
        """
        check(settings)
        ready = PreparedControl(settings)
        if not settings.isOn:
            return ready
        before = self.site.settings
        if (before.endpoint, before.twin) == (settings.endpoint, settings.twin):
            ready.listeners += self._listeners[:1]
        else:
            ready.listeners.append(self._open(settings))
            ready.opened += ready.listeners
        if not isPrivileged:
            try:
                self._prepareSocket(ready)
            except Exception:
                ready.forgo()
                raise
        return ready

    def _prepareSocket(self, ready: PreparedControl) -> None:
        """Listen on the Unix socket, too; one that nobody has named is done without."""
        settings = ready.settings
        first = next(iter(ready.listeners[0].addresses), None)
        path = socketPath(settings, first, self._environ)
        if path is None:
            return
        endpoint = endpointAt(path)
        for listener in self._listeners[1:]:
            if listener.endpoint.text == endpoint:
                ready.listeners.append(listener)
                return
        asked = ServiceSettings(name=NAME, endpoint=endpoint, protocol="http", twin=False)
        served: Any = _Served(asked, self._factory(settings), self._door, self._toxics)
        listener = Listener(self._core, self._diag, served)
        try:
            with room(path):
                listener.open()
        except SettingsError as error:
            listener.close()
            why = _inOurWords(error)
            if settings.socket != AUTO:
                raise SettingsError(
                    f'control: socket = {settings.socket!r}: {why}; or socket = "off" in [control]'
                ) from error
            _log.warn("control: it has no Unix socket: {why}", why=why)
        else:
            ready.listeners.append(listener)
            ready.opened.append(listener)

    def become(self, prepared: PreparedControl) -> None:
        """Be like that from now on; connections that are open stay."""
        before, self._listeners = self._listeners, prepared.listeners
        self.site.allow(prepared.settings)
        for listener in before:
            if listener not in self._listeners:
                _log.info("control: no longer on {where}", where=_where(listener))
                listener.close()
        for listener in self._listeners:
            if listener in prepared.opened:
                _log.info("control: on {where}", where=_where(listener))
            else:
                # Those who came before keep the bounds that they came with.
                served: Any = listener.service.prepared
                served.factory = self._factory(prepared.settings)

    def _open(self, settings: ControlSettings) -> Listener:
        factory = self._factory(settings)
        served: Any = _Served(check(settings), factory, self._door, self._toxics)
        listener = Listener(self._core, self._diag, served)
        try:
            listener.open()
        except SettingsError as error:
            why = _inOurWords(error)
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
        listeners, self._listeners = self._listeners, []
        for listener in listeners:
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
    checkSocket(settings)
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


def _inOurWords(error: SettingsError) -> str:
    why = str(error).removeprefix(f"service {NAME!r} ").removeprefix(f"service {NAME!r}: ")
    return why.replace("--listen ", "--control ").replace(
        "--no-twin (twin = false)", "twin = false in [control]"
    )


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
