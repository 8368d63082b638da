"""
Connecting to addresses that are known, without waiting where nobody has to.

Twisted's own way puts every attempt off to another turn of the reactor and counts it with a timer.
On this machine the kernel is done before C{connect(2)} is asked a second time, and then so are we.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Sequence
from typing import Any, Final

from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure

from loopbackd.net.delivering import protocolFailed
from loopbackd.net.transport import Server, UnixServer

_UNDER_WAY = (errno.EINPROGRESS, errno.EALREADY, errno.EINTR)
_DONE = (0, errno.EISCONN)

_AGAIN: Final = 0.01
"""Seconds until a unix socket whose queue is full is tried again; poll(2) cannot say when."""

Address = tuple[int, Any]
"""A family and what C{connect(2)} is to be given."""


class Dial:
    """
    An attempt to connect a protocol to the first of some addresses that takes the connection.

    @param core: the reactor that streams are built on.
    @param addresses: tried one after the other.
    @param protocol: gets the transport; perhaps before L{start} has returned.
    @param failed: called with the last address's error when none has taken it; perhaps before
        L{start} has returned, and not after L{cancel}.
    """

    def __init__(
        self,
        core: Any,
        addresses: Sequence[Address],
        protocol: Any,
        failed: Callable[[OSError], object],
    ) -> None:
        self._core = core
        self._addresses = list(addresses)
        self._protocol = protocol
        self._failed = failed
        self._sock: socket.socket | None = None
        self._address: Any = None
        self._again: Any = None

    def start(self) -> None:
        """Try the next address."""
        family, self._address = self._addresses.pop(0)
        try:
            self._sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        except OSError as error:
            self._fail(error)
            return
        self._try()

    def cancel(self) -> None:
        """It is not wanted any more."""
        self._addresses.clear()
        self._close()

    def _try(self) -> None:
        self._again = None
        sock = self._sock
        if sock is None:
            return
        number = sock.connect_ex(self._address)
        if number == errno.EINPROGRESS:
            number = sock.connect_ex(self._address)
        if number in _UNDER_WAY:
            self._core.addWriter(self)
        elif number == errno.EAGAIN and sock.family == socket.AF_UNIX:
            self._again = self._core.callLater(_AGAIN, self._try)
        else:
            self._settle(number)

    def _settle(self, number: int) -> None:
        """The kernel has an answer."""
        if number not in _DONE:
            self._close()
            self._fail(OSError(number, os.strerror(number)))
            return
        sock, self._sock = self._sock, None
        assert sock is not None
        kind = UnixServer if sock.family == socket.AF_UNIX else Server
        transport = kind(sock, self._protocol, self._address, None, 0, self._core)
        try:
            self._protocol.makeConnection(transport)
        except BaseException:
            protocolFailed(transport, "makeConnection")
            transport.abortConnection()

    def _fail(self, error: OSError) -> None:
        if self._addresses:
            self.start()
        else:
            self._failed(error)

    def _close(self) -> None:
        if self._again is not None:
            self._again.cancel()
            self._again = None
        sock = self._sock
        if sock is not None:
            self._core.removeWriter(self)
            self._sock = None
            sock.close()

    # Being a descriptor of the reactor, while the attempt is under way.

    def fileno(self) -> int:
        """The socket's descriptor; -1 when it is closed or somebody else's."""
        return -1 if self._sock is None else self._sock.fileno()

    def logPrefix(self) -> str:
        """What the reactor names us in its log."""
        return "dial"

    def doWrite(self) -> None:
        """The kernel has an answer."""
        self._asked()

    def connectionLost(self, reason: Failure) -> None:
        """The same, where it is no; or the reactor is being emptied."""
        if self._sock is not None:
            self._asked(isOver=not reason.check(ConnectionDone))

    def _asked(self, isOver: bool = False) -> None:
        assert self._sock is not None
        number = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if not number and isOver:
            self._addresses.clear()
            number = errno.ECONNABORTED
        self._core.removeWriter(self)
        self._settle(number)
