"""A running daemon: services on their endpoints, changed as one, drained at the end."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IAddress
from twisted.logger import Logger

from loopbackd.connection import Connections
from loopbackd.faults.toxics import Toxics
from loopbackd.gate import Room
from loopbackd.listener import Listener
from loopbackd.live import LiveService
from loopbackd.net.batch import batchIfPossible
from loopbackd.net.endpoint import shown
from loopbackd.net.reactor import PlainReactor
from loopbackd.peer.identity import PeerIdentity, identify
from loopbackd.peer.netlink import SocketDiag
from loopbackd.prepared import Prepared
from loopbackd.settings import Settings, SettingsError

_log = Logger()

# After the drain every connection is asked to close; who does not in this time is reset.
_LAST_MOMENT = 0.5


class Loopback(Service):
    """
    All services of the daemon.

    @param settings: what to serve.
    @param prepared: the services of C{settings} by name, from L{prepare}.
    @param reactor: the real reactor.
    @param plain: do without the batch reactor.
    @ivar connections: the live table.
    @ivar core: the reactor that services are built on.
    """

    def __init__(
        self,
        settings: Settings,
        prepared: Mapping[str, Prepared],
        reactor: Any,
        plain: bool = False,
    ) -> None:
        self._reactor = reactor
        self.core, self._missing = (
            (PlainReactor(reactor), None) if plain else batchIfPossible(reactor)
        )
        self.diag = SocketDiag()
        self.connections = Connections(self.identify, reactor.seconds)
        self.room = Room(self.connections)
        self.settings = settings
        self._prepared = prepared
        self._live: dict[str, LiveService] = {}
        self._listeners: dict[object, Listener] = {}
        self._waiting: Deferred[None] | None = None

    def identify(self, sock: socket.socket) -> PeerIdentity:
        """Who is at the other end of a socket."""
        return identify(self.diag, sock)

    @property
    def addresses(self) -> dict[str, list[IAddress]]:
        """What each service listens on."""
        return {
            listener.service.prepared.settings.name: listener.addresses
            for listener in self._listeners.values()
        }

    def live(self, name: str) -> LiveService:
        """
        A service as it runs now.

        @raise KeyError: there is none of that name.
        """
        return self._live[name]

    def privilegedStartService(self) -> None:
        """
        Listen on every endpoint.

        @raise SettingsError: one of them cannot be had; then none is kept.
        """
        self._sayWhatIsMissing()
        self.change(self.settings, self._prepared)

    def startService(self) -> None:
        """Listen, unless that was done with more privilege before."""
        super().startService()
        if not self._listeners:
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
        Serve this from now on.

        New services start, gone ones stop listening, changed ones change, and the rest is not
        touched.  Open connections go on in any case.

        @raise SettingsError: it cannot be; everything is as it was.
        """
        live: dict[str, LiveService] = {}
        try:
            for name, one in prepared.items():
                live[name] = self._liveFor(one)
            opened = self._open(live)
        except Exception:
            for name, service in live.items():
                if self._live.get(name) is not service:
                    service.retire()
            raise
        # From here on nothing can fail.
        self.settings = settings
        self._prepared = prepared
        self.room.resize(settings.max_connections, settings.max_connections_per_uid)
        before, self._live = self._live, live
        wanted = {service.prepared.place: service for service in live.values()}
        for text, listener in list(self._listeners.items()):
            if text not in wanted:
                del self._listeners[text]
                self._say(listener, "no longer on")
                listener.close()
            elif listener.service is not before.get(wanted[text].name):
                listener.closeTwin()
                self._say(listener, "now on")
        self._listeners.update(opened)
        for name, old in before.items():
            new = live.get(name)
            if new is not old:
                old.retire()
            if new is None:
                old.toxics.clear()
            elif new.prepared.settings.toxic != old.prepared.settings.toxic:
                new.toxics.replace(new.prepared.settings.toxic)

    def _liveFor(self, prepared: Prepared) -> LiveService:
        """The service as it runs already, or a new one."""
        running = self._live.get(prepared.settings.name)
        if running is not None and running.prepared.isSame(prepared):
            return running
        if running is not None:
            toxics = running.toxics
        else:
            asked = prepared.settings.toxic
            toxics = Toxics(prepared.settings.name, self.connections, self.core, asked)
        return LiveService(prepared, self.connections, self.room, self.core, toxics)

    def _open(self, live: Mapping[str, LiveService]) -> dict[object, Listener]:
        """Listen on the endpoints that are new; on all of them or on none."""
        opened: dict[object, Listener] = {}
        twins: list[tuple[Listener, LiveService]] = []
        try:
            for service in live.values():
                place = service.prepared.place
                listener = self._listeners.get(place)
                if listener is None:
                    self._refuseToRewrite(service.prepared)
                    listener = Listener(self.core, self.diag, service)
                    listener.open()
                    opened[place] = listener
                    self._say(listener, "on")
                elif listener.service is not service:
                    twins.append((listener, listener.service))
                    listener.service = service
                    listener.openTwin()
        except Exception:
            for listener in opened.values():
                listener.close()
            for listener, before in twins:
                listener.service = before
                listener.closeTwin()
            raise
        return opened

    def _refuseToRewrite(self, prepared: Prepared) -> None:
        """Another way of listening where we listen already would have to stop listening first."""
        for listener in self._listeners.values():
            if listener.service.prepared.address == prepared.address:
                asked = prepared.settings
                raise SettingsError(
                    f"service {asked.name!r}: {asked.endpoint!r} is listened on already, as"
                    f" {listener.endpoint.text!r}; leave it so, or start the daemon anew"
                )

    def _say(self, listener: Listener, what: str) -> None:
        settings = listener.service.prepared.settings
        where = ", ".join(shown(address) for address in listener.addresses) or settings.endpoint
        _log.info(
            "{service}: {protocol} {what} {where}",
            service=settings.name,
            protocol=settings.protocol,
            what=what,
            where=where,
        )

    async def _drain(self) -> None:
        listeners, self._listeners = list(self._listeners.values()), {}
        await DeferredList([listener.close() for listener in listeners], consumeErrors=True)
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
        self.core.close()

    async def _untilEmpty(self, seconds: float) -> None:
        """Wait until no connection is open, or the time is up, or somebody is in a hurry."""
        done: Deferred[None] = Deferred()

        def finish() -> None:
            if not done.called:
                done.callback(None)

        # Not at once: the last connection's protocol has not been told that it ended, and the batch
        # it ended in goes on.
        self.connections.whenEmpty(lambda: self.core.callLater(0, finish))
        timer = self._reactor.callLater(seconds, finish)
        self._waiting = done
        await done
        if timer.active():
            timer.cancel()

    def hurry(self) -> None:
        """Do not wait for open connections any longer."""
        if self._waiting is not None and not self._waiting.called:
            self._waiting.callback(None)

    def stopService(self) -> Deferred[None]:
        """Stop listening, let connections finish for C{drain} seconds, then reset the rest."""
        super().stopService()
        return Deferred.fromCoroutine(self._drain())
