"""Listening ports whose accepted streams are eager and pass a door first."""

from __future__ import annotations

import errno
import os
import socket
from typing import TYPE_CHECKING, Any, Protocol

from twisted.internet import tcp, unix
from twisted.internet.interfaces import IAddress
from twisted.logger import Logger
from twisted.python.failure import Failure

from loopbackd.connection import Connection
from loopbackd.net.closing import resetAndClose
from loopbackd.net.delivering import protocolFailed
from loopbackd.net.transport import Server, UnixServer

_log = Logger()
_WILDCARDS = ("0.0.0.0", "::", "")

# Seconds until accepting is tried again where there is no descriptor left at all.
_PAUSE = 0.1


class Door(Protocol):
    """Who decides which accepted streams come in."""

    def admit(self, sock: socket.socket, remote: IAddress) -> Connection | None:
        """
        Enter the stream in the table, or refuse it.

        @return: L{None} when it was refused; the door has closed the socket.
        """

    def attach(self, transport: Any, protocol: Any) -> None:
        """Connect the protocol of a stream that was let in with its transport, now or later."""

    def flooded(self, howMany: int) -> None:
        """There were no descriptors left; that many connections were reset unseen."""


class _Spare:
    """
    A descriptor kept open so that C{accept} can always be called once more.

    Without it a full descriptor table leaves connections in the queue, where their owners wait and
    the reactor spins on a listener that is always readable.
    """

    def __init__(self) -> None:
        self._descriptor: int | None = None

    def hold(self) -> None:
        """Open the descriptor if it is not open; where there is no room, try again next time."""
        if self._descriptor is None:
            try:
                self._descriptor = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                self._descriptor = None

    def release(self) -> None:
        """Give the descriptor up."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


class EagerPort:
    """
    The mixin that makes a Twisted port accept eagerly.

    @ivar door: asked for each accepted stream; L{None} lets everybody in and keeps no table.
    @ivar onlyHost: the address all accepted streams have at our end, if there is only one.
    """

    door: Door | None = None
    onlyHost: IAddress | None = None
    mostAccepts = 64
    _pause: Any = None

    if TYPE_CHECKING:
        socket: socket.socket
        factory: Any
        reactor: Any
        transport: Any
        addressFamily: Any
        disconnecting: Any

        def getHost(self) -> IAddress: ...
        def startReading(self) -> None: ...
        def stopReading(self) -> None: ...

    def startListening(self) -> None:
        """See L{twisted.internet.interfaces.IListeningPort}."""
        super().startListening()  # type: ignore[misc]
        self._spare = _Spare()
        self._spare.hold()
        host = self.getHost()
        if getattr(host, "host", "") not in _WILDCARDS:
            self.onlyHost = host

    def connectionLost(self, reason: Failure) -> None:
        """The port was closed."""
        self._spare.release()
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None
        super().connectionLost(reason)  # type: ignore[misc]

    def doRead(self) -> None:
        """Accept what is waiting, a bounded number at a time."""
        listening = self.socket
        for _ in range(self.mostAccepts):
            try:
                # socket.accept() without what it looks up anew for every stream.
                fd, address = listening._accept()  # type: ignore[attr-defined]
                sock = socket.socket(self.addressFamily, socket.SOCK_STREAM, 0, fd)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in (errno.EMFILE, errno.ENFILE):
                    self._acceptWithoutRoom()
                elif error.errno not in (errno.ECONNABORTED, errno.EPERM, errno.EPROTO):
                    _log.warn("Could not accept on {port}: {error}.", port=self, error=error)
                return
            try:
                self._accepted(sock, address)
            except BaseException:
                # As in Twisted: not even a SystemExit of one client's may end the listening.
                _log.failure("{port}: an accepted connection failed and is closed.", port=self)
                sock.close()

    def _acceptWithoutRoom(self) -> None:
        refused = 0
        self._spare.release()
        try:
            for _ in range(self.mostAccepts):
                resetAndClose(self.socket.accept()[0])
                refused += 1
        except OSError:
            pass
        finally:
            self._spare.hold()
        if not refused:
            # Somebody else has the last descriptor: the reactor would come here again at once.
            self.stopReading()
            self._pause = self.reactor.callLater(_PAUSE, self._goOn)
        if self.door is not None:
            self.door.flooded(refused)

    def _goOn(self) -> None:
        self._pause = None
        if not self.disconnecting:
            self.startReading()

    def _accepted(self, sock: Any, address: Any) -> None:
        remote = self._remote(address)
        connection = None
        if self.door is not None:
            connection = self.door.admit(sock, remote)
            if connection is None:
                return
        try:
            protocol = self.factory.buildProtocol(remote)
        except BaseException:
            protocol = None
            _log.failure("{port}: its factory failed; the connection is reset.", port=self)
        if protocol is None:
            resetAndClose(sock)
            if connection is not None:
                connection.ended("refused")
            return
        try:
            transport = self.transport(sock, protocol, address, self, 0, self.reactor)
        except BaseException as error:
            if connection is not None:
                connection.ended(type(error).__name__)
            raise
        if connection is not None:
            transport.connection = connection
            transport.client = None  # the connection knows; two thousand of them add up
            connection.carriedBy(transport)
        try:
            if self.door is not None:
                self.door.attach(transport, protocol)
            else:
                protocol.makeConnection(transport)
        except BaseException:
            protocolFailed(transport, "makeConnection")
            transport.abortConnection()

    def _remote(self, address: Any) -> IAddress:
        return self._buildAddr(address)  # type: ignore[attr-defined,no-any-return]


class Port(EagerPort, tcp.Port):
    """A listening TCP port."""

    transport = Server

    def _remote(self, address: Any) -> IAddress:
        if len(address) == 4 and "%" not in address[0] and address[3]:
            # A link-local peer: Python leaves the scope out of the host.
            host, _ = socket.getnameinfo(address, socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)
            address = (host, *address[1:])
        return super()._remote(address)


class UnixPort(EagerPort, unix.Port):
    """A listening unix socket."""

    transport = UnixServer

    def connectionLost(self, reason: Failure) -> None:
        """Close and take our path away; that somebody did so already is no error."""
        try:
            super().connectionLost(reason)
        except FileNotFoundError:
            # Twisted unlinks first and closes afterwards: it has closed nothing yet.
            self._bindPath = b"\0"
            super().connectionLost(reason)
