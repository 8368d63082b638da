"""A service as it runs."""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IAddress
from twisted.logger import Logger

from loopbackd.connections import Connections
from loopbackd.faults.toxics import Toxics
from loopbackd.gate import Gate, Room
from loopbackd.iloopbackd import IServedFactory, Surroundings
from loopbackd.prepared import Prepared
from loopbackd.settings import SettingsError

_log = Logger()


class LiveService:
    """
    A prepared service with its gate, its factory started.

    @param core: the reactor that services are built on.
    @param toxics: what its connections suffer.
    @raise SettingsError: its factory does not want to be used there.
    @ivar bound: where it listens, or did last.
    """

    def __init__(
        self,
        prepared: Prepared,
        connections: Connections,
        room: Room,
        core: Any,
        toxics: Toxics,
    ) -> None:
        self.prepared = prepared
        self.toxics = toxics
        self.bound: IAddress | None = None
        self.gate = Gate(
            prepared.settings, prepared.allowed, connections, room, core, prepared.networks
        )
        factory = prepared.factory
        if IServedFactory.providedBy(factory):
            try:
                factory.servedBy(Surroundings(self.name, core, connections, prepared.store))
            except ValueError as error:
                raise SettingsError(f"service {self.name!r}: {error}") from error
        try:
            factory.doStart()
        except Exception as error:
            _log.failure("{service}: its factory failed while it was started.", service=self.name)
            what = f"{type(error).__name__}: {error}"
            raise SettingsError(f"service {self.name!r}: its factory failed: {what}") from error

    @property
    def name(self) -> str:
        """What it is called."""
        return self.prepared.settings.name

    @property
    def isEnabled(self) -> bool:
        """Whether it is to listen."""
        return self.prepared.settings.enabled

    def retire(self) -> None:
        """No new connections will come; those that are open go on."""
        try:
            self.prepared.factory.doStop()
        except BaseException:
            _log.failure("{service}: its factory failed while it was stopped.", service=self.name)
