"""Listening for a service: its endpoint, its twin, and why not."""

from __future__ import annotations

import errno
import os
import socket
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IAddress, IListeningPort, IProtocol, IProtocolFactory
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from loopbackd.connection import Connection
from loopbackd.doctor.busy import whoHoldsPath, whyNotListen
from loopbackd.exposed import whyNot
from loopbackd.live import LiveService
from loopbackd.net.endpoint import (
    Endpoint,
    EndpointError,
    hasIPv6,
    listen,
    reachableByOthers,
    shown,
    twinOf,
    withPort,
)
from loopbackd.net.reactor import Doorway, PlainReactor
from loopbackd.peer.netlink import SocketDiag
from loopbackd.settings import ServiceSettings, SettingsError
from loopbackd.systemd import explainSystemd

_log = Logger()

# How often a free port is looked for that is free on both loopback addresses.
_TRIES = 8


class CannotListen(SettingsError):
    """
    An address cannot be bound.

    The message looks for whoever is in the way when it is read, which can take milliseconds.

    @param who: in the way, or whom to ask about it.
    @ivar number: the C{errno}.
    @ivar endpoint: what was to be bound.
    """

    def __init__(self, start: str, endpoint: Endpoint, number: int, who: SocketDiag | str) -> None:
        super().__init__(start, endpoint.text, number)
        self.endpoint = endpoint
        self.number = number
        self._start = start
        self._who = who

    def __str__(self) -> str:
        endpoint, number = self.endpoint, self.number
        if isinstance(self._who, str):
            return f"{self._start}: {self._who}"
        if endpoint.path is not None and number == errno.EADDRINUSE:
            return f"{self._start}: {whoHoldsPath(endpoint.path)}"
        if endpoint.port is not None:
            why = whyNotListen(self._who, endpoint.host or "", endpoint.port, number)
            return f"{self._start}: {why}"
        return f"{self._start}: {os.strerror(number)}"


def _whereItWas(service: LiveService) -> Endpoint:
    """The endpoint of a service; where the port was ours to choose, the one it got before."""
    endpoint = service.prepared.endpoint
    port = getattr(service.bound, "port", 0)
    return withPort(endpoint, port) if endpoint.port == 0 and port else endpoint


@implementer(IProtocolFactory)
class Listener:
    """
    One endpoint that is listened on, for whichever service has it now.

    It is the door of its ports and the factory of its endpoint; both go to the service, so that a
    reload can hand a port over without closing it.

    @param core: the reactor that streams are built on.
    @param diag: asked who is in the way.
    @ivar service: whose connections these are.
    """

    def __init__(self, core: PlainReactor, diag: SocketDiag, service: LiveService) -> None:
        self._core = core
        self._diag = diag
        self.service = service
        self.endpoint = _whereItWas(service)
        self.ports: list[IListeningPort] = []
        self._closed = False

    @property
    def addresses(self) -> list[IAddress]:
        """What is listened on, the twin last."""
        return [port.getHost() for port in self.ports if hasattr(port, "getHost")]

    def open(self) -> None:
        """
        Listen, on the twin too.

        @raise SettingsError: it cannot be; says who is in the way.
        """
        for _ in range(_TRIES):
            self._closed = False
            self._bind(self.endpoint)
            try:
                self.openTwin()
                if self.addresses:
                    self.service.bound = self.addresses[0]
                return
            except SettingsError:
                self.close()
                # For a port that was ours to choose, choose another.
                if self.endpoint.port != 0:
                    raise
        raise SettingsError(f"service {self._name!r}: no port is free on both loopback addresses")

    def openTwin(self) -> None:
        """
        Claim the same port on the other loopback address, where there is one.

        @raise SettingsError: somebody has it.
        """
        if len(self.ports) == 1 and self._settings.twin and hasIPv6():
            twin = twinOf(self.endpoint, getattr(self.ports[0].getHost(), "port", 0))
            if twin is not None:
                self._bindTwin(twin)

    def _bindTwin(self, twin: Endpoint) -> None:
        try:
            self._bind(twin)
        except SettingsError as error:
            raise SettingsError(
                f"{error}; or do without [::1], where localhost may lead: --no-twin (twin = false)"
            ) from error

    def closeTwin(self) -> None:
        """Give the twin up if the service does not want it any more."""
        if len(self.ports) == 2 and not self._settings.twin:
            self.ports.pop().stopListening()

    @property
    def _settings(self) -> ServiceSettings:
        return self.service.prepared.settings

    @property
    def _name(self) -> str:
        return self._settings.name

    def _bind(self, endpoint: Endpoint) -> None:
        unfit = explainSystemd(endpoint.text, os.environ)
        if unfit is not None:
            raise SettingsError(f"service {self._name!r}: {unfit}")
        if endpoint.kind == "stdio" and (
            why := whyNot(self._settings, "standard input", hasAddresses=False)
        ):
            # It would be in use before anybody could ask where it leads.
            raise SettingsError(why)
        failures: list[Failure] = []
        ports: list[IListeningPort] = []
        listening = Deferred.fromCoroutine(listen(Doorway(self._core, self), endpoint, self))
        listening.addCallbacks(ports.append, failures.append)
        if failures:
            raise self._explained(failures[0], endpoint)
        if ports:
            self._opened(ports[0])
        else:
            # An endpoint of somebody else's, that takes its time.
            listening.addCallback(lambda _: self._openedLate(ports, failures, endpoint))

    def _opened(self, port: IListeningPort) -> None:
        if self._closed:
            # An endpoint that took its time, and its service is gone.
            port.stopListening()
            return
        host = port.getHost() if hasattr(port, "getHost") else None
        if host is not None and reachableByOthers(host):
            # One that does not ask the gate lets everybody in.
            isSeen = getattr(port, "door", None) is self
            hasAddresses = isSeen and isinstance(host, (IPv4Address, IPv6Address))
            why = whyNot(self._settings, shown(host), hasAddresses)
            if why:
                port.stopListening()
                raise SettingsError(why)
        self.ports.append(port)

    def _openedLate(
        self, ports: list[IListeningPort], failures: list[Failure], endpoint: Endpoint
    ) -> None:
        try:
            for failure in failures:
                raise self._explained(failure, endpoint)
            for port in ports:
                self._opened(port)
        except SettingsError as error:
            _log.critical("{error}", error=error)

    def _explained(self, failure: Failure, endpoint: Endpoint) -> SettingsError:
        error = failure.value
        start = f"service {self._name!r} cannot listen on {endpoint.text}"
        if isinstance(error, EndpointError):
            return SettingsError(f"service {self._name!r}: {error}")
        if not isinstance(error, CannotListenError):
            return SettingsError(f"{start}: {type(error).__name__}: {error}")
        problem = error.socketError
        number = getattr(problem, "errno", None)
        if number is None and endpoint.path is not None:
            # Twisted's lock file is taken.
            number = errno.EADDRINUSE
        if number is None:
            return SettingsError(f"{start}: {getattr(problem, 'strerror', None) or problem}")
        return CannotListen(start, endpoint, number, self._diag)

    def close(self) -> Deferred[Any]:
        """Listen no more; open connections stay."""
        self._closed = True
        ports, self.ports = self.ports, []
        stopping = [port.stopListening() for port in ports if hasattr(port, "stopListening")]
        return DeferredList([d for d in stopping if isinstance(d, Deferred)], consumeErrors=True)

    # Being a factory and a door.

    def doStart(self) -> None:
        """The service's factory is started with the service, not with each port."""

    def doStop(self) -> None:
        """See L{doStart}."""

    def buildProtocol(self, addr: IAddress) -> IProtocol | None:
        """The protocol of the service that has this endpoint now."""
        return self.service.prepared.factory.buildProtocol(addr)

    def admit(self, sock: socket.socket, remote: IAddress) -> Connection | None:
        """See L{loopbackd.net.port.Door}."""
        return self.service.gate.admit(sock, remote)

    def attach(self, transport: Any, protocol: IProtocol) -> None:
        """See L{loopbackd.net.port.Door}."""
        toxics = self.service.toxics
        if toxics.isEmpty:
            protocol.makeConnection(transport)
        else:
            toxics.attach(transport, protocol)

    def flooded(self, howMany: int) -> None:
        """See L{loopbackd.net.port.Door}."""
        self.service.gate.flooded(howMany)
