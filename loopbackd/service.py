"""
A running daemon: services on their endpoints, changed as one, drained at the end.

Services come from the configuration, and from whoever changes them while the daemon runs.  Reading
the configuration again brings its own services back to what it says, and leaves the others alone.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress
from twisted.logger import Logger

from loopbackd.connections import Connections
from loopbackd.faults.toxics import Toxics
from loopbackd.gate import Room
from loopbackd.listener import CannotListen
from loopbackd.live import LiveService
from loopbackd.net.alarms import Alarms
from loopbackd.net.batch import batchIfPossible
from loopbackd.net.reactor import PlainReactor
from loopbackd.peer.identity import PeerIdentity, identify
from loopbackd.peer.netlink import SocketDiag
from loopbackd.places import Places
from loopbackd.prepared import Prepared, prepareOne
from loopbackd.settings import ServiceSettings, Settings, SettingsError

_log = Logger()

# After the drain every connection is asked to close; who does not in this time is reset.
_LAST_MOMENT = 0.5


class ServiceExists(SettingsError):
    """There is a service of that name already."""


class Loopback(Service):
    """
    All services of the daemon.

    @param settings: what to serve.
    @param prepared: the services of C{settings} by name, from L{prepare}.
    @param reactor: the real reactor.
    @param plain: do without the batch reactor.
    @param directory: what paths in services that are added later are relative to.
    @ivar connections: the live table.
    @ivar settings: what the configuration says.
    @ivar core: the reactor that services are built on.
    @ivar alarms: the clock of the toxics.
    """

    def __init__(
        self,
        settings: Settings,
        prepared: Mapping[str, Prepared],
        reactor: Any,
        plain: bool = False,
        directory: Path | None = None,
    ) -> None:
        self._reactor = reactor
        self.core, self._missing = (
            (PlainReactor(reactor), None) if plain else batchIfPossible(reactor)
        )
        self.alarms = Alarms(self.core)
        self.diag = SocketDiag()
        self.connections = Connections(self.identify, reactor.seconds)
        self.room = Room(self.connections)
        self.settings = settings
        self._directory = directory or Path.cwd()
        self._prepared = prepared
        self._added: set[str] = set()
        self._hasStarted = False
        self._live: dict[str, LiveService] = {}
        self._places = Places(self.core, self.diag)
        self._waiting: Deferred[None] | None = None

    def identify(self, sock: socket.socket) -> PeerIdentity:
        """Who is at the other end of a socket."""
        return identify(self.diag, sock)

    @property
    def addresses(self) -> dict[str, list[IAddress]]:
        """What each service listens on."""
        return self._places.addresses

    def live(self, name: str) -> LiveService:
        """
        A service as it runs now.

        @raise KeyError: there is none of that name.
        """
        return self._live[name]

    def services(self) -> Iterator[LiveService]:
        """All of them as they run now, those of the configuration first."""
        return iter(list(self._live.values()))

    def isAdded(self, name: str) -> bool:
        """Whether a service was added while the daemon ran, and is not in the configuration."""
        return name in self._added

    def privilegedStartService(self) -> None:
        """
        Listen on every endpoint.

        @raise SettingsError: one of them cannot be had; then none is kept.
        """
        self._sayWhatIsMissing()
        self._hasStarted = True
        self.change(self.settings, self._prepared)

    def startService(self) -> None:
        """Listen, unless that was done with more privilege before."""
        super().startService()
        if not self._hasStarted:
            self.privilegedStartService()

    def _sayWhatIsMissing(self) -> None:
        if self._missing is not None:
            _log.warn("{missing}: connections are served, but slower.", missing=self._missing)
        blind = self.diag.missing()
        if blind is not None:
            _log.warn(
                "sock_diag(7) is missing ({blind}): the uids of TCP peers are unknown, and"
                " services with allow_uids refuse them.",
                blind=blind,
            )

    def change(self, settings: Settings, prepared: Mapping[str, Prepared]) -> None:
        """
        Serve what the configuration says from now on; services that were added stay.

        New services start, gone ones stop listening, changed ones change, and the rest is not
        touched.  Open connections go on, except those of a service that is not enabled any more.

        @raise SettingsError: it cannot be; everything is as it was.
        """
        added = {name: self._prepared[name] for name in self._added}
        for name, one in prepared.items():
            if name in added:
                raise SettingsError(
                    f"service {name!r}: one of that name was added while the daemon runs, on"
                    f" {added[name].settings.endpoint}; remove that one, or give this another name"
                )
            self._refuseSharedAddress(one, added)
        before = self.settings
        self.settings = settings
        try:
            self._become({**prepared, **added})
        except Exception:
            self.settings = before
            raise
        self.room.resize(settings.max_connections, settings.max_connections_per_uid)

    # One service at a time.

    def add(self, settings: ServiceSettings) -> LiveService:
        """
        Serve one more, that the configuration need not have.

        @raise ServiceExists: there is one of that name.
        @raise SettingsError: it cannot be; L{loopbackd.listener.CannotListen} where only its
            address is not to be had.
        """
        name = settings.name
        if name in self._live:
            raise ServiceExists(f"there is a service {name!r} already; choose another name")
        prepared = prepareOne(settings, self.settings, self._directory)
        self._refuseSharedAddress(prepared, self._prepared)
        self._become({**self._prepared, name: prepared})
        self._added.add(name)
        return self._live[name]

    def replace(self, name: str, settings: ServiceSettings, anew: bool = False) -> LiveService:
        """
        Have a service be another one of the same name, toxics kept.

        Its connections are closed, unless nothing changes.

        @param anew: choose another port, where it is ours to choose.
        @raise KeyError: there is none of that name.
        @raise SettingsError: as L{add}; the service goes on as it was.
        """
        before = self._live[name]
        prepared = prepareOne(settings, self.settings, self._directory)
        if settings.name != name:
            raise ValueError(f"service {name!r} cannot become {settings.name!r}")
        if not anew and before.prepared.isSame(prepared):
            return self._switch(name, settings.enabled)
        self._refuseSharedAddress(prepared, self._prepared)
        self._become({**self._prepared, name: prepared}, anew=name if anew else None)
        self._cut(name)
        return self._live[name]

    def remove(self, name: str) -> None:
        """
        Be without a service; its connections are closed.

        One of the configuration comes back when that is read again.

        @raise KeyError: there is none of that name.
        """
        wanted = dict(self._prepared)
        del wanted[name]
        # Before its toxics go: who is kept from beginning by one would begin then.
        self._cut(name)
        self._become(wanted)
        self._added.discard(name)
        self.connections.forget(name)

    def enable(self, name: str) -> LiveService:
        """
        Listen for a service, where it did before.

        @raise KeyError: there is none of that name.
        @raise SettingsError: that is not to be had now.
        """
        return self._switch(name, True)

    def disable(self, name: str) -> LiveService:
        """
        Listen no more for a service, and close its connections; it keeps its place and its toxics.

        @raise KeyError: there is none of that name.
        """
        return self._switch(name, False)

    def _switch(self, name: str, enabled: bool) -> LiveService:
        prepared = self._live[name].prepared
        if prepared.settings.enabled != enabled:
            wanted = prepared.switched(enabled)
            self._refuseSharedAddress(wanted, self._prepared)
            self._become({**self._prepared, name: wanted})
        return self._live[name]

    def _cut(self, name: str) -> None:
        """End all connections of a service."""
        for connection in self.connections:
            if connection.service == name:
                connection.cut()

    # From what is served to what shall be.

    def _become(self, wanted: Mapping[str, Prepared], anew: str | None = None) -> None:
        """
        Serve these and no others; all of them or none.

        @param anew: the service that does not take over its own port.
        """
        live: dict[str, LiveService] = {}
        try:
            for name, one in wanted.items():
                live[name] = self._liveFor(one)
            listening = {
                one.place: live[name] for name, one in wanted.items() if one.settings.enabled
            }
            opened = self._places.open(listening, anew)
        except Exception:
            for name, service in live.items():
                if self._live.get(name) is not service:
                    service.retire()
            raise
        # From here on nothing can fail.
        before, self._live = self._live, live
        self._places.settle(opened, listening, before)
        off = [name for name, old in before.items() if old.isEnabled and name in wanted]
        off = [name for name in off if not wanted[name].settings.enabled]
        for name, service in live.items():
            service.prepared = service.prepared.switched(wanted[name].settings.enabled)
        for name in off:
            self._cut(name)
        self._prepared = {name: service.prepared for name, service in live.items()}
        for name, old in before.items():
            new = live.get(name)
            if new is old:
                continue
            old.retire()
            if new is None:
                old.toxics.clear()
            else:
                new.toxics.reload(old.prepared.toxics, new.prepared.toxics)

    def _liveFor(self, prepared: Prepared) -> LiveService:
        """The service as it runs already, or a new one."""
        running = self._live.get(prepared.settings.name)
        if running is not None and running.prepared.isSame(prepared):
            return running
        if running is not None:
            toxics = running.toxics
        else:
            name = prepared.settings.name
            toxics = Toxics(name, self.connections, self.alarms, prepared.toxics)
        live = LiveService(prepared, self.connections, self.room, self.core, toxics)
        if running is not None and running.prepared.place == prepared.place:
            live.bound = running.bound
        return live

    def _refuseSharedAddress(self, asked: Prepared, others: Mapping[str, Prepared]) -> None:
        """Two services cannot both listen there."""
        if not asked.settings.enabled:
            return
        for name, other in others.items():
            isOther = name != asked.settings.name
            if isOther and other.settings.enabled and other.address == asked.address:
                raise CannotListen(
                    f"service {asked.settings.name!r} cannot listen on {asked.settings.endpoint}",
                    asked.endpoint,
                    errno.EADDRINUSE,
                    f"service {name!r} of this daemon does; change that one, or take another port",
                )

    async def _drain(self) -> None:
        await self._places.close()
        if len(self.connections) and self.settings.drain:
            _log.info(
                "Open connections have {drain} s to finish: {number}.",
                number=len(self.connections),
                drain=self.settings.drain,
            )
            await self._untilEmpty(self.settings.drain)
        for connection in self.connections:
            connection.hangUp()
        await self._untilEmpty(_LAST_MOMENT)
        for connection in self.connections:
            connection.abort()
        await self._untilEmpty(_LAST_MOMENT)
        for service in self._live.values():
            service.gate.close()
            service.toxics.close()
            service.retire()
        self._live = {}
        self.diag.close()
        self.alarms.close()
        self.core.close()

    async def _untilEmpty(self, seconds: float) -> None:
        """Wait until no connection is open, or the time is up, or somebody is in a hurry."""
        self._waiting = self.connections.untilEmpty(self.core, self._reactor, seconds)
        await self._waiting

    def hurry(self) -> None:
        """Do not wait for open connections any longer."""
        if self._waiting is not None and not self._waiting.called:
            self._waiting.callback(None)

    def stopService(self) -> Deferred[None]:
        """Stop listening, let connections finish for C{drain} seconds, then reset the rest."""
        super().stopService()
        return Deferred.fromCoroutine(self._drain())
