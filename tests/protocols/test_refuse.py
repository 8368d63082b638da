"""Tests for L{loopbackd.protocols.refuse}."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest
import pytest_twisted
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet import reactor as realReactor
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.internet.threads import deferToThread
from twisted.logger import LogLevel
from twisted.python.failure import Failure
from zope.interface.verify import verifyObject

from loopbackd.net.linger import LINGER, LINGER_BYTES
from loopbackd.protocols.refuse import RefuseFactory
from loopbackd.testing import addressOf, converse, serving

reactor: Any = realReactor

PEER = IPv4Address("TCP", "127.0.0.1", 50000)
HELLO = b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03" + bytes(100)


class Transport(StringTransport):
    """A transport in memory that can be half-closed."""

    finished = False

    def loseWriteConnection(self) -> None:
        """Our side is closed."""
        self.finished = True


class Attempt:
    """One connection that is refused, in memory."""

    def __init__(self, factory: RefuseFactory | None = None) -> None:
        factory = factory or RefuseFactory()
        self.clock: Any = factory.clock or Clock()
        factory.clock = self.clock
        self.refuse: Any = factory.buildProtocol(None)
        self.transport = Transport(peerAddress=PEER)
        self.refuse.makeConnection(self.transport)

    def end(self) -> None:
        """The connection is gone, and no delayed call is left."""
        self.refuse.connectionLost(Failure(ConnectionDone()))
        assert self.clock.getDelayedCalls() == []


@pytest.fixture
def lines(logged: Callable[[str], Any]) -> Any:
    """What C{refuse} logs meanwhile."""
    return logged("loopbackd.protocols.refuse")


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (HELLO, "TLS"),
        (b"GET / HTTP/1.1\r\n\r\n", "HTTP"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP/2"),
        (b"PROXY TCP4 1.2.3.4 1.2.3.4 5 6\r\n", "a PROXY header"),
        (b"\x1b[2Jhello\nworld and so on", r"b'\x1b[2Jhello\nworld '"),
        (b"\x16", r"b'\x16'"),
    ],
)
def test_namesWhatItBeganWith(data: bytes, named: str, lines: Any) -> None:
    """One line with what the client seems to speak, escaped; then only our side is closed."""
    attempt = Attempt()
    attempt.refuse.dataReceived(data)
    assert len(lines) == 1
    assert lines.events[0]["log_level"] == LogLevel.info
    assert f"it began with {named}, which" in lines[0]
    assert "127.0.0.1" in lines[0]
    assert attempt.transport.value() == b""
    assert attempt.transport.finished
    assert not attempt.transport.disconnecting
    attempt.refuse.dataReceived(b"more")
    attempt.refuse.readConnectionLost()
    assert attempt.transport.disconnecting
    assert not attempt.transport.disconnected
    assert len(lines) == 1
    attempt.end()


def test_nothingWasSaid(lines: Any) -> None:
    """A silent client is told no after a moment; the line says that it began with nothing."""
    attempt = Attempt()
    assert verifyObject(IHalfCloseableProtocol, attempt.refuse)
    attempt.clock.advance(LINGER - 0.1)
    assert not lines
    attempt.clock.advance(0.2)
    assert len(lines) == 1
    assert "began with nothing" in lines[0]
    assert attempt.transport.finished
    attempt.end()


def test_endBeforeAnything(lines: Any) -> None:
    """A client that ends without a word has been refused nothing: its end is answered with ours."""
    attempt = Attempt()
    attempt.refuse.readConnectionLost()
    assert attempt.transport.disconnecting
    attempt.end()
    assert not lines


@pytest.mark.parametrize("begun", [b"", b"x"])
def test_staysAnyway(begun: bytes) -> None:
    """A client that neither closes nor goes on is cut off in the end."""
    attempt = Attempt()
    if begun:
        attempt.refuse.dataReceived(begun)
    attempt.clock.advance(LINGER)
    attempt.clock.advance(LINGER)
    assert attempt.transport.disconnected
    attempt.end()


def test_goesOnAnyway() -> None:
    """So is one that never stops sending."""
    attempt = Attempt()
    attempt.refuse.dataReceived(b"x")
    attempt.refuse.dataReceived(bytes(LINGER_BYTES + 1))
    assert attempt.transport.disconnected
    attempt.end()


@given(chunks=st.lists(st.binary(min_size=1), min_size=1))
def test_anyBytesAreOneLine(chunks: list[bytes], lines: Any) -> None:
    """Whatever is said, it is one line of printable ASCII in the log, and no answer."""
    lines.clear()
    attempt = Attempt()
    for chunk in chunks:
        attempt.refuse.dataReceived(chunk)
    (line,) = lines
    assert line.isascii()
    assert line.isprintable()
    assert attempt.transport.value() == b""
    attempt.end()


@pytest_twisted.ensureDeferred
async def test_aRealClientSeesTheEnd(lines: Any) -> None:
    """Not a reset, however much it has sent; and the line names the connection."""
    async with serving(reactor, "refuse") as loopback:
        assert await converse(reactor, loopback, HELLO + bytes(500_000)) == b""
        host: Any = addressOf(loopback)

        def speaks() -> bytes:
            with socket.create_connection((host.host, host.port), 10) as client:
                client.sendall(HELLO)
                client.settimeout(LINGER / 2)
                return client.recv(1)

        assert await deferToThread(speaks) == b""
        assert len(lines) == 1
        assert lines[0].startswith("test: connection 1 from 127.0.0.1:")


def test_manyAreOneLineASecond(lines: Any) -> None:
    """A flood of clients is no flood in the log; the next line says how many were not told."""
    factory = RefuseFactory()
    clock = factory.clock = Clock()
    for second in range(2):
        clock.advance(second)
        for _ in range(5):
            attempt = Attempt(factory)
            attempt.refuse.dataReceived(b"x")
            attempt.end()
    assert len(lines) == 2
    assert lines[1].endswith(" (4 more like it since the last such line)")
