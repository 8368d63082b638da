"""Where the daemon listens: endpoints that are opened and closed as one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IAddress
from twisted.logger import Logger

from loopbackd.listener import Listener
from loopbackd.live import LiveService
from loopbackd.loglines import escape
from loopbackd.net.endpoint import shown
from loopbackd.net.reactor import PlainReactor
from loopbackd.peer.netlink import SocketDiag
from loopbackd.prepared import Prepared
from loopbackd.settings import SettingsError

_log = Logger()

Place = tuple[object, str]
"""See L{Prepared.place}."""


class Places:
    """
    All endpoints that are listened on.

    @param core: the reactor that services are built on.
    @param diag: asked who is in the way.
    @ivar listeners: by their places.
    """

    def __init__(self, core: PlainReactor, diag: SocketDiag) -> None:
        self._core = core
        self._diag = diag
        self.listeners: dict[Place, Listener] = {}

    @property
    def addresses(self) -> dict[str, list[IAddress]]:
        """What each service listens on."""
        return {one.service.name: one.addresses for one in self.listeners.values()}

    def open(
        self, wanted: Mapping[Place, LiveService], anew: str | None = None
    ) -> dict[Place, Listener]:
        """
        Listen where nobody does yet, on all of these or on none; hand over the rest.

        @param wanted: who shall listen, each at its place.
        @param anew: the service that does not take over its own port.
        @return: the new listeners, for L{settle}.
        @raise SettingsError: one cannot be had; everything is as it was.
        """
        opened: dict[Place, Listener] = {}
        twins: list[tuple[Listener, LiveService]] = []
        try:
            for place, service in wanted.items():
                listener = self.listeners.get(place)
                if service.name == anew:
                    service.bound = listener = None
                if listener is None:
                    if anew is None:
                        self._refuseToRewrite(service.prepared)
                    listener = Listener(self._core, self._diag, service)
                    listener.open()
                    opened[place] = listener
                    say(listener, "on")
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

    def settle(
        self,
        opened: Mapping[Place, Listener],
        wanted: Mapping[Place, LiveService],
        before: Mapping[str, LiveService],
    ) -> None:
        """
        Keep what was opened, and close what nobody wants; nothing can fail any more.

        @param before: the services there were.
        """
        for place, listener in list(self.listeners.items()):
            if place in opened or place not in wanted:
                del self.listeners[place]
                say(listener, "no longer on")
                listener.close()
            elif listener.service is not before.get(wanted[place].name):
                listener.closeTwin()
                say(listener, "now on")
        self.listeners.update(opened)

    def _refuseToRewrite(self, prepared: Prepared) -> None:
        """Another way of listening where we listen already would have to stop listening first."""
        for listener in self.listeners.values():
            if listener.service.prepared.address == prepared.address:
                asked = prepared.settings
                raise SettingsError(
                    f"service {asked.name!r}: {asked.endpoint!r} is listened on already, as"
                    f" {listener.endpoint.text!r}; leave it so, or start the daemon anew"
                )

    def close(self) -> Deferred[Any]:
        """Listen no more; open connections stay."""
        listeners, self.listeners = self.listeners, {}
        closing = [listener.close() for listener in listeners.values()]
        return DeferredList(closing, consumeErrors=True)


def say(listener: Listener, what: str) -> None:
    """Tell the log where a service listens, or not any more."""
    settings = listener.service.prepared.settings
    where = ", ".join(shown(address) for address in listener.addresses) or settings.endpoint
    _log.info(
        "{service}: {protocol} {what} {where}",
        service=escape(settings.name),
        protocol=settings.protocol,
        what=what,
        where=where,
    )
