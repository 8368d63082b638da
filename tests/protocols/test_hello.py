"""Tests for L{loopbackd.protocols.hello} and, through it, L{loopbackd.protocols.oneshot}."""

from __future__ import annotations

import socket
from typing import Any

import pytest
import pytest_twisted
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet import reactor
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.interfaces import IAddress, IHalfCloseableProtocol, ISSLTransport
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from zope.interface import directlyProvides, implementer
from zope.interface.verify import verifyObject

from loopbackd.net.linger import LINGER, LINGER_BYTES, hasUnreadInput
from loopbackd.protocols.classic import DaytimeFactory, QotdFactory, TimeFactory
from loopbackd.protocols.hello import HelloFactory, shownAddress
from loopbackd.protocols.oneshot import LastWordsFactory

OURS = IPv4Address("TCP", "127.0.0.1", 62893)


def timedBy(clock: Clock) -> HelloFactory:
    """A factory whose clients' time is this clock's."""
    factory = HelloFactory()
    factory.clock = clock
    return factory


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        (OURS, "127.0.0.1:62893"),
        (IPv6Address("TCP", "::1", 62893), "[::1]:62893"),
        (UNIXAddress("/run/hello.sock"), "/run/hello.sock"),
        (UNIXAddress(b"/run/\xff\n.sock"), r"/run/\xff\n.sock"),
        (UNIXAddress(b"\0abstract"), "@abstract"),
        (UNIXAddress(None), "an unnamed unix socket"),
    ],
)
def test_shownAddress(address: IAddress, shown: str) -> None:
    """Addresses are shown as users write them, on one line of ASCII."""
    assert shownAddress(address) == shown


@given(st.binary())
def test_anyPathIsOneLine(path: bytes) -> None:
    """Whatever a unix socket is called, its name is one line."""
    shown = shownAddress(UNIXAddress(path))
    assert shown.isascii()
    assert shown.isprintable()


def test_greetsAndCloses() -> None:
    """One line with the address the client reached, then the end."""
    hello = HelloFactory().buildProtocol(None)
    transport = StringTransport(hostAddress=OURS)
    hello.makeConnection(transport)
    assert transport.value() == b"Hello from 127.0.0.1:62893!\n"
    assert transport.disconnecting
    assert HelloFactory.noisy is False


@given(st.lists(st.binary()))
def test_inputIsIgnored(chunks: list[bytes]) -> None:
    """Any bytes in any chunks change nothing and raise nothing."""
    hello = HelloFactory().buildProtocol(None)
    transport = StringTransport(hostAddress=OURS)
    hello.makeConnection(transport)
    for chunk in chunks:
        hello.dataReceived(chunk)
    hello.readConnectionLost()
    hello.connectionLost(Failure(ConnectionDone()))
    assert transport.value() == b"Hello from 127.0.0.1:62893!\n"


class Socketed(StringTransport):
    """A transport in memory that has a socket to ask for unread input."""

    finished = False

    def __init__(self, handle: socket.socket) -> None:
        super().__init__(hostAddress=OURS)
        self._handle = handle

    def getHandle(self) -> socket.socket:
        """The socket."""
        return self._handle

    def loseWriteConnection(self) -> None:
        """Remember that our side was closed."""
        self.finished = True


class TestClientThatSpokeFirst:
    """What happens where input is unread at the time of the answer."""

    def setup_method(self) -> None:
        """A greeting on a socket that has unread input."""
        self.near, self.far = socket.socketpair()
        self.far.send(b"x")
        self.clock = Clock()
        self.hello: Any = timedBy(self.clock).buildProtocol(None)
        self.transport = Socketed(self.near)
        self.hello.makeConnection(self.transport)

    def teardown_method(self) -> None:
        """The connection ends, and no delayed call is left."""
        self.near.close()
        self.far.close()
        self.hello.connectionLost(Failure(ConnectionDone()))
        assert self.clock.getDelayedCalls() == []

    def test_halfClosed(self) -> None:
        """Only our side is closed until the client closes its own."""
        assert verifyObject(IHalfCloseableProtocol, self.hello)
        assert self.transport.value() == b"Hello from 127.0.0.1:62893!\n"
        assert self.transport.finished
        assert not self.transport.disconnecting
        self.hello.writeConnectionLost()
        self.hello.dataReceived(b"x")
        self.hello.readConnectionLost()
        assert self.transport.disconnecting
        assert not self.transport.disconnected

    def test_endless(self) -> None:
        """A client that does not stop is cut off after a megabyte."""
        self.hello.dataReceived(bytes(LINGER_BYTES))
        assert not self.transport.disconnected
        self.hello.dataReceived(b"x")
        assert self.transport.disconnected

    def test_silent(self) -> None:
        """A client that does not close is cut off when its time is up."""
        self.clock.advance(LINGER - 0.1)
        assert not self.transport.disconnected
        self.clock.advance(0.1)
        assert self.transport.disconnected


def test_withoutClockItCloses() -> None:
    """Where nothing can time the wait, there is none."""
    near, far = socket.socketpair()
    with near, far:
        far.send(b"x")
        hello = HelloFactory().buildProtocol(None)
        transport = Socketed(near)
        hello.makeConnection(transport)
        assert transport.disconnecting
        assert not transport.finished


def test_tlsClosesInItsOwnWords() -> None:
    """The socket under TLS is not half-closed: that would cut the goodbye off."""
    near, far = socket.socketpair()
    with near, far:
        far.send(b"x")
        hello = timedBy(Clock()).buildProtocol(None)
        transport = Socketed(near)
        directlyProvides(transport, ISSLTransport)
        hello.makeConnection(transport)
        assert transport.disconnecting
        assert not transport.finished


def test_unreadInput() -> None:
    """Input counts, an end alone does not, and neither does a transport without a socket."""
    near, far = socket.socketpair()
    with near, far:
        transport = Socketed(near)
        assert not hasUnreadInput(transport)
        far.send(b"x")
        assert hasUnreadInput(transport)
        near.recv(1)
        far.shutdown(socket.SHUT_WR)
        assert not hasUnreadInput(transport)
    assert not hasUnreadInput(transport)
    assert not hasUnreadInput(StringTransport())


@implementer(IHalfCloseableProtocol)
class Client(Protocol):
    """Collects what it is sent, and goes on sending when it is greeted."""

    def __init__(self, more: bytes, closes: bool) -> None:
        self._more = more
        self._closes = closes
        self.received = b""
        self.finished: Deferred[None] = Deferred()
        self.lost: Deferred[BaseException | None] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        """Keep it and send more."""
        self.received += data
        self.transport.write(self._more)  # type: ignore[union-attr]
        self._more = b""

    def readConnectionLost(self) -> None:
        """The server has said everything."""
        self.finished.callback(None)
        if self._closes:
            self.transport.loseConnection()  # type: ignore[union-attr]

    def writeConnectionLost(self) -> None:
        """Expected where it was asked for."""

    def connectionLost(self, reason: Failure | None = None) -> None:
        """Say how it ended."""
        self.lost.callback(reason.value if reason else None)


class Served:
    """A factory listening on a port of its own, and a client that spoke before it was accepted."""

    def __init__(
        self, factory: LastWordsFactory, first: bytes, more: bytes = b"", closes: bool = True
    ) -> None:
        self.ended: Deferred[BaseException] = Deferred()
        build = factory.buildProtocol

        def buildProtocol(addr: Any) -> Any:
            protocol: Any = build(addr)
            lost = protocol.connectionLost

            def connectionLost(reason: Failure) -> None:
                lost(reason)
                self.ended.callback(reason.value)

            protocol.connectionLost = connectionLost
            return protocol

        factory.buildProtocol = buildProtocol  # type: ignore[method-assign]
        self.port = reactor.listenTCP(0, factory, interface="127.0.0.1")
        self.address = self.port.getHost()
        self.client = Client(more, closes)
        with socket.create_connection((self.address.host, self.address.port)) as early:
            # The kernel takes this before the reactor has had a turn to accept.
            early.sendall(first)
            reactor.adoptStreamConnection(
                early.fileno(), socket.AF_INET, Factory.forProtocol(lambda: self.client)
            )

    async def stop(self) -> None:
        """Both ends gone, nothing left listening."""
        await self.client.lost
        await self.ended
        await self.port.stopListening()


@pytest_twisted.ensureDeferred
async def test_silentClient() -> None:
    """A client that says nothing is greeted and let go without waiting."""
    served = Served(HelloFactory(), b"", closes=False)
    await served.ended
    await served.client.finished
    shown = f"Hello from 127.0.0.1:{served.address.port}!\n"
    assert served.client.received == shown.encode()
    served.client.transport.loseConnection()  # type: ignore[union-attr]
    await served.stop()


@pytest_twisted.ensureDeferred
async def test_clientThatGoesOnSending() -> None:
    """100 KB before the answer and 100 KB after it: the client is never reset."""
    served = Served(HelloFactory(), bytes(100_000), more=bytes(100_000))
    assert isinstance(await served.client.lost, ConnectionDone)
    shown = f"Hello from 127.0.0.1:{served.address.port}!\n"
    assert served.client.received == shown.encode()
    assert isinstance(await served.ended, ConnectionDone)
    await served.stop()


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("make", [QotdFactory, DaytimeFactory, TimeFactory])
async def test_everyOneShot(make: type[LastWordsFactory]) -> None:
    """The others that answer once let a client finish in the same way."""
    served = Served(make(), b"now, please\r\n", more=bytes(100_000))
    assert isinstance(await served.client.lost, ConnectionDone)
    assert len(served.client.received) >= 4
    await served.stop()


@pytest_twisted.ensureDeferred
async def test_clientThatStays() -> None:
    """One that spoke, has its answer and does not leave is cut off when its time is up."""
    clock = Clock()
    served = Served(timedBy(clock), b"x", closes=False)
    await served.client.finished
    assert not served.ended.called
    clock.advance(LINGER)
    assert isinstance(await served.ended, ConnectionAborted)
    served.client.transport.abortConnection()  # type: ignore[union-attr]
    await served.stop()
