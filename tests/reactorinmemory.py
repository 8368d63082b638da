"""A clock with threads whose work is done when the test says so, and connections on it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from loopbackd.connections import Connections
from loopbackd.iloopbackd import Surroundings
from loopbackd.peer.identity import PeerIdentity

OURS = IPv4Address("TCP", "127.0.0.1", 2323)
THEIRS = IPv4Address("TCP", "127.0.0.1", 50000)
SHUT = PeerIdentity(4711, 0, None, "FIN_WAIT1", "")


class Reactor(Clock):
    """
    A clock with threads.

    @ivar work: what is to be done in a thread.
    """

    def __init__(self) -> None:
        super().__init__()
        self.work: list[tuple[Callable[..., object], Callable[[], Any]]] = []

    def getThreadPool(self) -> Reactor:
        """It is its own."""
        return self

    def callInThreadWithCallback(
        self, onResult: Callable[..., object], call: Callable[..., Any], *args: Any
    ) -> None:
        """Keep it for L{run}."""
        self.work.append((onResult, partial(call, *args)))

    def callFromThread(self, call: Callable[..., object], *args: Any) -> None:
        """There is only one thread here."""
        call(*args)

    def run(self) -> int:
        """Do all of it; how much it was."""
        done = 0
        while self.work:
            onResult, call = self.work.pop(0)
            onResult(True, call())
            done += 1
        return done


class Transport(StringTransport):
    """A transport in memory that is a connection of a service, and can be half-closed."""

    connection: Any = None
    bytesReceived = bytesSent = 0
    peerFinished = finished = hasUnsent = False
    socket: Any = None
    protocol: Any = None

    def loseWriteConnection(self) -> None:
        """Our side is closed."""
        self.finished = True

    @property
    def isPaused(self) -> bool:
        """Whether nothing is read."""
        return self.producerState == "paused"


class Visitor:
    """One connection to a factory, in memory."""

    def __init__(self, surroundings: Surroundings, factory: Any) -> None:
        self.transport = Transport(hostAddress=OURS, peerAddress=THEIRS)
        connection = surroundings.connections.add(surroundings.service, THEIRS)
        self.transport.connection = connection
        connection.carriedBy(self.transport)  # type: ignore[arg-type]
        self.protocol: Any = factory.buildProtocol(THEIRS)
        self.transport.protocol = self.protocol
        self.protocol.makeConnection(self.transport)

    def says(self, data: bytes) -> None:
        """It sends something."""
        self.transport.protocol.dataReceived(data)

    def ends(self) -> None:
        """The connection is gone."""
        self.transport.connection.ended("done")
        self.transport.protocol.connectionLost(Failure(ConnectionDone()))


def served(factory: Any, who: PeerIdentity = SHUT) -> tuple[Reactor, Surroundings]:
    """A factory in its service, whose clients are all that one."""
    reactor = Reactor()
    table = Connections(lambda _: who, reactor.seconds)
    surroundings = Surroundings("wire", reactor, table)
    factory.servedBy(surroundings)
    return reactor, surroundings
