"""The eager transports: accepted and opened streams of both kinds."""

from __future__ import annotations

import socket
from functools import partial
from typing import TYPE_CHECKING, Any

from twisted.internet import endpoints, error, main, tcp, unix
from twisted.internet.address import IPv6Address
from twisted.internet.interfaces import IAddress
from twisted.python.failure import Failure

from loopbackd.connection import reasonOf
from loopbackd.net.closing import endAndClose, resetAndClose
from loopbackd.net.delivering import CONNECTION_DONE, protocolFailed
from loopbackd.net.eager import EagerWrites


class _EagerServer(EagerWrites):
    """What the accepted streams have in common: a small instance, and a cached own address."""

    # What Twisted keeps on each instance and is only printed; here it is worked out when it is.
    repstr = ""
    sessionno = 0
    _shouldShutdown = False

    if TYPE_CHECKING:
        server: Any
        client: Any
        disconnected: int | bool

    def _begin(self, sock: socket.socket, protocol: Any, server: Any, reactor: Any) -> None:
        # Not what Twisted's own does: that also works out what is only printed.
        sock.setblocking(False)
        self.reactor = reactor
        self._tempDataLen = 0
        self.socket = sock
        self.protocol = protocol
        self.server = server
        self.connected = 1
        self.startReading()

    def connectionLost(self, reason: Failure) -> None:
        """The stream ended: close the socket, settle the facts, then tell the protocol."""
        if not hasattr(self, "socket"):
            return
        self._eager = False
        self.disconnected = 1
        self.connected = 0
        producer, self.producer = self.producer, None
        self.stopReading()
        self.stopWriting()
        sock = self.socket
        del self.socket
        if reason.type is error.ConnectionAborted:
            if self._isCut:
                reason = CONNECTION_DONE
                endAndClose(sock)
            else:
                resetAndClose(sock)
        else:
            sock.close()
        if self.connection is not None:
            self.connection.ended(reasonOf(reason))
        try:
            if producer is not None:
                producer.stopProducing()
        except BaseException:
            protocolFailed(self, "stopProducing")
        if self.wire is None:
            self._tell(reason)
        else:
            isClean = reason.type in (error.ConnectionDone, error.ConnectionLost)
            isOver = self._isCut or not isClean
            self.wire.lost(isOver, partial(self._tell, reason))

    def _tell(self, reason: Failure) -> None:
        """The last that the protocol hears."""
        try:
            self.protocol.connectionLost(reason)
        except BaseException:
            protocolFailed(self, "connectionLost")
        del self.protocol

    def fileno(self) -> int:
        """The descriptor's number; -1 when it is closed."""
        try:
            return self.socket.fileno()
        except AttributeError:
            return -1

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.logPrefix()}>"

    def logPrefix(self) -> str:
        """The protocol's class and the connection's number, for log prefixes."""
        protocol = getattr(self, "protocol", None)
        number = "-" if self.connection is None else self.connection.id
        return f"{type(protocol).__name__},{number}"

    def getPeer(self) -> IAddress:
        """The peer's address."""
        if self.connection is not None:
            return self.connection.remote
        return super().getPeer()  # type: ignore[misc,no-any-return]

    def getHost(self) -> IAddress:
        """Our own address; not asked of the kernel where the port has only one."""
        known = None if self.server is None else self.server.onlyHost
        return super().getHost() if known is None else known  # type: ignore[misc,no-any-return]


class Server(_EagerServer, tcp.Server):  # type: ignore[misc]
    """An accepted TCP stream."""

    def __init__(
        self,
        sock: socket.socket,
        protocol: Any,
        client: Any,
        server: Any,
        sessionno: int,
        reactor: Any,
    ) -> None:
        self.client = client
        if len(client) != 2:
            self._addressType = IPv6Address
        self._begin(sock, protocol, server, reactor)

    def doRead(self) -> Any:
        """Read once and give the protocol what came."""
        try:
            data = self.socket.recv(self.bufferSize)
        except BlockingIOError:
            return None
        except OSError:
            return main.CONNECTION_LOST
        return self._dataReceived(data)


class _PassesDescriptors:
    """What unix streams add: a descriptor to be sent goes before the bytes written after it."""

    if TYPE_CHECKING:
        _eager: bool
        _sendmsgQueue: list[int]

    def _mayPass(self) -> bool:
        return not self._sendmsgQueue and super()._mayPass()  # type: ignore[misc]

    def sendFileDescriptor(self, fileno: int) -> None:
        """See L{twisted.internet.interfaces.IUNIXTransport}."""
        self._eager = False
        super().sendFileDescriptor(fileno)  # type: ignore[misc]


class UnixServer(_PassesDescriptors, _EagerServer, unix.Server):  # type: ignore[misc]
    """An accepted unix stream; descriptors can be passed as on Twisted's own."""

    def __init__(
        self,
        sock: socket.socket,
        protocol: Any,
        client: Any,
        server: Any,
        sessionno: int,
        reactor: Any,
    ) -> None:
        self._sendmsgQueue = []
        self.client = (client, None)
        self.hostname = client
        self._begin(sock, protocol, server, reactor)


class Client(EagerWrites, tcp.Client):  # type: ignore[misc]
    """A TCP stream we opened."""


class UnixClient(_PassesDescriptors, EagerWrites, unix.Client):  # type: ignore[misc]
    """A unix stream we opened."""


def switchProtocol(transport: Any, protocol: Any) -> None:
    """
    Give a live transport another protocol; from the next byte on it has the connection to itself.

    The caller calls C{makeConnection} and hands over what was received already.
    """
    if getattr(transport, "TLS", False):
        transport = transport.protocol
    if hasattr(transport, "wrappedProtocol"):
        transport.wrappedProtocol = protocol
    else:
        transport.protocol = protocol


def tellDirectly(transport: Any, protocol: Any) -> None:
    """
    Have a stream that one of Twisted's endpoints opened tell its protocol without a detour.

    Those endpoints leave a protocol of theirs in between, which has nothing more to do once the
    Deferred of C{connect} has fired.
    """
    between = getattr(transport, "protocol", None)
    if isinstance(between, endpoints._WrappingProtocol) and between._wrappedProtocol is protocol:
        transport.protocol = protocol
