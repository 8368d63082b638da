"""Tests for L{loopbackd.testing}."""

from __future__ import annotations

import gc
import socket
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet import reactor as realReactor
from twisted.internet.address import HostnameAddress, IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from loopbackd import testing
from loopbackd.net.endpoint import hasIPv6
from loopbackd.settings import ServiceSettings, Settings, SettingsError
from loopbackd.testing import Client, addressOf, connect, converse, serving, servingAll

reactor: Any = realReactor


def client() -> Client:
    """A client, connected in memory."""
    client = Client()
    client.makeConnection(StringTransport())
    return client


class TestClient:
    """What the client of a test is told."""

    def test_collects(self) -> None:
        """All of it, until the server closes."""
        one = client()
        finished: list[bytes] = []
        one.finished.addCallback(finished.append)
        one.dataReceived(b"a")
        one.dataReceived(b"b")
        assert one.heard == b"ab"
        one.readConnectionLost()
        assert one.transport.disconnecting  # type: ignore[union-attr]
        one.connectionLost(Failure(ConnectionDone()))
        assert finished == [b"ab"]

    def test_reset(self) -> None:
        """A reset by the server is a failure, of the waiting too."""
        one = client()
        failures: list[Failure] = []
        one.finished.addErrback(failures.append)
        one.hears(1).addErrback(failures.append)
        one.connectionLost(Failure(ConnectionLost()))
        assert [failure.type for failure in failures] == [ConnectionLost, ConnectionLost]

    def test_ownReset(self) -> None:
        """A client that was told to abort has not failed; nobody need wait for it."""
        one = client()
        one.dataReceived(b"x")
        one.connectionLost(Failure(ConnectionAborted()))
        assert one.finished.result == b"x"
        del one
        gc.collect()

    @given(st.lists(st.integers(0, 20)), st.lists(st.binary(max_size=5)))
    def test_hears(self, sizes: list[int], chunks: list[bytes]) -> None:
        """Each who waits is told once there are so many bytes, and not before."""
        one = client()
        waiting = [(size, one.hears(size)) for size in sizes]
        for chunk in chunks:
            one.dataReceived(chunk)
            for size, heard in waiting:
                assert heard.called == (len(one.heard) >= size)
        for _, heard in waiting:
            heard.addErrback(lambda failure: failure.trap(ConnectionDone))
        one.connectionLost(Failure(ConnectionDone()))
        assert all(heard.called for _, heard in waiting)

    @pytest.mark.parametrize("why", [ConnectionDone, ConnectionLost])
    def test_hearsAfterTheEnd(self, why: type[Exception]) -> None:
        """What was heard is told; to wait for more fails at once instead of for ever."""
        one = client()
        one.finished.addErrback(lambda _: None)
        one.dataReceived(b"ab")
        one.connectionLost(Failure(why()))
        told: list[Any] = []
        one.hears(2).addBoth(told.append)
        one.hears(3).addBoth(told.append)
        assert told[0] == b"ab"
        assert told[1].type is why


@pytest_twisted.ensureDeferred
async def test_serves() -> None:
    """A service of that protocol, with options, on a port of its own, until the block ends."""
    async with serving(reactor, "qotd", {"quotes": ["well"]}) as loopback:
        address = addressOf(loopback)
        assert isinstance(address, IPv4Address)
        assert await converse(reactor, loopback, b"") == b"well\r\n"
        assert await converse(reactor, address, b"") == b"well\r\n"
        assert loopback.connections.totals("test").opened == 2
    with pytest.raises(ConnectionRefusedError), socket.socket() as sock:
        sock.connect((address.host, address.port))


@pytest_twisted.ensureDeferred
async def test_servesElsewhere(tmp_path: Path) -> None:
    """On ::1 and on a unix socket as well."""
    async with serving(reactor, "echo", endpoint=f"unix:{tmp_path}/s") as loopback:
        assert isinstance(addressOf(loopback), UNIXAddress)
        assert await converse(reactor, loopback, b"x") == b"x"
    if hasIPv6():
        async with serving(reactor, "echo", endpoint="tcp6:0:interface=\\:\\:1") as loopback:
            assert isinstance(addressOf(loopback), IPv6Address)
            assert await converse(reactor, loopback, b"x") == b"x"


@pytest_twisted.ensureDeferred
async def test_servesAll(tmp_path: Path) -> None:
    """Several services, and protocols in files relative to a directory."""
    (tmp_path / "mine.py").write_text(
        "from twisted.internet.protocol import Protocol\n"
        "class Mine(Protocol):\n"
        "    def connectionMade(self):\n"
        "        self.transport.write(b'mine')\n"
        "        self.transport.loseConnection()\n"
    )
    free = "tcp:0:interface=127.0.0.1"
    settings = Settings(
        service=(
            ServiceSettings(name="a", endpoint=free, protocol="mine.py:Mine", twin=False),
            ServiceSettings(name="b", endpoint=free, protocol="echo", twin=False),
        ),
        drain=0,
    )
    async with servingAll(reactor, settings, tmp_path) as loopback:
        assert await converse(reactor, addressOf(loopback, "a"), b"") == b"mine"
        assert await converse(reactor, addressOf(loopback, "b"), b"x") == b"x"


@pytest_twisted.ensureDeferred
async def test_cannotBeServed() -> None:
    """It is said why, and nothing stays behind."""
    with pytest.raises(SettingsError, match="no protocol 'nonesuch'"):
        async with serving(reactor, "nonesuch"):
            pytest.fail("served")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        endpoint = f"tcp:{taken.getsockname()[1]}:interface=127.0.0.1"
        with pytest.raises(SettingsError, match="cannot listen"):
            async with serving(reactor, "echo", endpoint=endpoint):
                pytest.fail("served")


@pytest_twisted.ensureDeferred
async def test_aTestThatFails() -> None:
    """What a test raises comes through, and its service and connections are gone."""
    with pytest.raises(ZeroDivisionError):
        async with serving(reactor, "discard") as loopback:
            one = await connect(reactor, loopback)
            raise ZeroDivisionError
    assert await one.finished == b""
    assert len(loopback.connections) == 0


@pytest_twisted.ensureDeferred
async def test_conversationWithoutEnd(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that does not close is waited for so long and no longer."""
    monkeypatch.setattr(testing, "PATIENCE", 0.05)
    async with serving(reactor, "chargen") as loopback:
        with pytest.raises(TimeoutError, match=r"did not close in 0\.05 s"):
            await converse(reactor, loopback, b"")


@pytest_twisted.ensureDeferred
async def test_abortedByTheTest() -> None:
    """A client can be aborted without anybody waiting for its end."""
    async with serving(reactor, "echo") as loopback:
        one = await connect(reactor, loopback)
        one.transport.write(b"x")  # type: ignore[union-attr]
        await one.hears(1)
        transport: Any = one.transport
        gone: Deferred[None] = Deferred()
        loopback.connections.whenEmpty(lambda: gone.callback(None))
        transport.abortConnection()
        await gone
        del one, transport
        gc.collect()


@pytest_twisted.ensureDeferred
async def test_unknownAddress() -> None:
    """An address no client can connect to is the test's own mistake."""
    with pytest.raises(TypeError, match="HostnameAddress"):
        await connect(reactor, HostnameAddress(b"x", 1))
