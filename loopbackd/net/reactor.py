"""
The reactor that services are built on: a real one, whose streams are made eager.

Endpoints are built on it (C{serverFromString(reactor, "tcp:...")}), so every endpoint string works.
L{loopbackd.net.batch} adds the batches.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from twisted.internet import tcp, unix
from twisted.internet.interfaces import IReactorSocket, IReactorSSL, IReactorTCP, IReactorUNIX
from zope.interface import directlyProvides, implementer, providedBy

from loopbackd.net.pipes import Pipes
from loopbackd.net.port import Door, Port, UnixPort
from loopbackd.net.transport import Client, Server, UnixClient, UnixServer


class _Connector(tcp.Connector):
    def _makeTransport(self) -> Client:
        return Client(self.host, self.port, self.bindAddress, self, self.reactor)


class _UnixConnector(unix.Connector):
    def _makeTransport(self) -> UnixClient:  # type: ignore[override]
        return UnixClient(self.address, self, self.reactor, self.checkPID)


@implementer(IReactorTCP, IReactorUNIX, IReactorSSL, IReactorSocket)
class Streams:
    """
    The calls of a reactor that make streams, made eager.

    @ivar core: the L{PlainReactor} the streams get as their reactor.
    @ivar door: the door of every port that is opened here.
    """

    core: PlainReactor
    door: Door | None = None

    def listenTCP(self, port: int, factory: Any, backlog: int = 50, interface: str = "") -> Port:
        """See L{IReactorTCP.listenTCP}."""
        opened: Port = self._listening(Port(port, factory, backlog, interface, self.core))
        return opened

    def listenUNIX(
        self, address: Any, factory: Any, backlog: int = 50, mode: int = 0o666, wantPID: int = 0
    ) -> UnixPort:
        """See L{IReactorUNIX.listenUNIX}."""
        port = UnixPort(address, factory, backlog, mode, self.core, wantPID)
        opened: UnixPort = self._listening(port)
        return opened

    def listenSSL(
        self, port: int, factory: Any, contextFactory: Any, backlog: int = 50, interface: str = ""
    ) -> Port:
        """See L{IReactorSSL.listenSSL}."""
        from twisted.protocols.tls import TLSMemoryBIOFactory

        wrapped = TLSMemoryBIOFactory(contextFactory, False, factory)
        return self.listenTCP(port, wrapped, backlog, interface)

    def adoptStreamPort(self, fileDescriptor: int, addressFamily: int, factory: Any) -> Any:
        """See L{IReactorSocket.adoptStreamPort}."""
        if addressFamily == socket.AF_UNIX:
            return self._listening(
                UnixPort._fromListeningDescriptor(self.core, fileDescriptor, factory)
            )
        return self._listening(
            Port._fromListeningDescriptor(self.core, fileDescriptor, addressFamily, factory)
        )

    def _listening(self, port: Any) -> Any:
        port.door = self.door
        port.startListening()
        return port

    def adoptStreamConnection(self, fileDescriptor: int, addressFamily: int, factory: Any) -> Any:
        """See L{IReactorSocket.adoptStreamConnection}; such a stream passes no door."""
        if addressFamily == socket.AF_UNIX:
            return UnixServer._fromConnectedSocket(fileDescriptor, factory, self.core)
        return Server._fromConnectedSocket(fileDescriptor, addressFamily, factory, self.core)

    def connectTCP(
        self,
        host: str,
        port: int,
        factory: Any,
        timeout: float = 30,
        bindAddress: Any = None,
    ) -> Any:
        """See L{IReactorTCP.connectTCP}."""
        return self._connecting(_Connector(host, port, factory, timeout, bindAddress, self.core))

    def connectUNIX(
        self, address: Any, factory: Any, timeout: float = 30, checkPID: int = 0
    ) -> Any:
        """See L{IReactorUNIX.connectUNIX}."""
        return self._connecting(_UnixConnector(address, factory, timeout, self.core, checkPID))

    def connectSSL(
        self,
        host: str,
        port: int,
        factory: Any,
        contextFactory: Any,
        timeout: float = 30,
        bindAddress: Any = None,
    ) -> Any:
        """See L{IReactorSSL.connectSSL}."""
        from twisted.protocols.tls import TLSMemoryBIOFactory

        wrapped = TLSMemoryBIOFactory(contextFactory, True, factory)
        return self.connectTCP(host, port, wrapped, timeout, bindAddress)

    def adoptDatagramPort(self, *args: Any, **named: Any) -> Any:
        """See L{IReactorSocket.adoptDatagramPort}; datagrams are the real reactor's own."""
        return self.core.adoptDatagramPort(*args, **named)

    def _connecting(self, connector: Any) -> Any:
        connector.connect()
        return connector


class PlainReactor(Streams):
    """
    A real reactor with eager streams.

    What is not a stream (time, threads, name resolution, processes) is the real reactor's own.

    @ivar pipes: for streams that go through one.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self.core = self
        self.pipes = Pipes()
        directlyProvides(self, providedBy(reactor))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)

    def adoptDatagramPort(self, *args: Any, **named: Any) -> Any:
        """See L{IReactorSocket.adoptDatagramPort}."""
        return self._reactor.adoptDatagramPort(*args, **named)

    def rest(self, reader: Any) -> None:
        """Watch it no more for something to read; where that can be, still for a reset."""
        self._reactor.removeReader(reader)

    def isReading(self, selectable: Any) -> bool:
        """Whether it is watched for something to read."""
        return selectable in self._reactor.getReaders()

    def soon(self, call: Callable[[], object]) -> None:
        """Call after what runs now has returned, before anything is waited for."""
        self._reactor.callLater(0, call)

    def close(self) -> None:
        """Give back what this reactor holds; the streams must be closed by then."""
        self.pipes.close()


class Doorway(Streams):
    """
    A reactor's streams for one service: every port that is opened here has its door.

    Endpoint strings are parsed with this as their reactor.
    """

    def __init__(self, core: PlainReactor, door: Door) -> None:
        self.core = core
        self.door = door
        directlyProvides(self, providedBy(core))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.core, name)
