"""TLS on real streams: what only a kernel shows."""

from __future__ import annotations

import random
import socket
import struct
from typing import Any

import pytest
import pytest_twisted
from sockets import until
from twisted.internet import reactor as realReactor
from twisted.internet.protocol import Protocol
from twisted.internet.threads import deferToThread

from loopbackd.settings import TLSSettings
from loopbackd.testing import addressOf, serving
from tls.ends import Client, client, clientContext
from tls.served import served

reactor: Any = realReactor
BOTH = pytest.mark.parametrize("version", ["1.2", "1.3"])
PLAIN = TLSSettings()


@BOTH
@pytest_twisted.ensureDeferred
async def test_everything_comes_back_after_the_client_has_finished(version: str) -> None:
    """Four megabytes in odd pieces through an echo, close_notify behind them, all of it back."""
    chance = random.Random(62893)
    data = chance.randbytes(4_000_000)

    def talk(port: int) -> bytes:
        with client(port, clientContext(version)) as one:
            heard = []
            at = 0
            while at < len(data):
                size = chance.randrange(1, 40_000)
                one.say(data[at : at + size])
                heard.append(one.hear(min(size, len(data) - at)))
                at += size
            one.finish()
            heard.append(one.hear())
            assert one.ended
            return b"".join(heard)

    async with serving(reactor, "echo", tls=PLAIN) as loopback:
        port = addressOf(loopback).port  # type: ignore[attr-defined]
        assert await deferToThread(talk, port) == data


@BOTH
@pytest.mark.parametrize("protocol", ["echo", "auto"])
@pytest_twisted.ensureDeferred
async def test_half_close_on_the_wire(version: str, protocol: str) -> None:
    """All is sent and finished before anything is read; it comes back, then close_notify."""

    def talk(port: int) -> tuple[bytes, bool]:
        with client(port, clientContext(version)) as one:
            one.say(b"\0whatever I say")
            one.finish()
            return one.hear(), one.ended

    async with serving(reactor, protocol, tls=PLAIN) as loopback:
        port = addressOf(loopback).port  # type: ignore[attr-defined]
        assert await deferToThread(talk, port) == (b"\0whatever I say", True)


@pytest_twisted.ensureDeferred
async def test_a_cut_off_client_gets_its_answer() -> None:
    """FIN without close_notify: the echo still comes, and close_notify from our side."""

    def talk(port: int) -> tuple[bytes, bool]:
        with client(port, clientContext()) as one:
            one.say(b"said")
            one.sock.shutdown(socket.SHUT_WR)
            return one.hear(), one.ended

    async with serving(reactor, "echo", tls=PLAIN) as loopback:
        port = addressOf(loopback).port  # type: ignore[attr-defined]
        assert await deferToThread(talk, port) == (b"said", True)


@pytest_twisted.ensureDeferred
async def test_a_reset_stays_a_reset() -> None:
    """abortConnection of the protocol inside, seen by the client."""

    class Abort(Protocol):
        def dataReceived(self, data: bytes) -> None:
            self.transport.abortConnection()  # type: ignore[union-attr]

    def talk(port: int) -> None:
        with client(port, clientContext()) as one:
            one.say(b"x")
            with pytest.raises(ConnectionResetError):
                one.hear()

    await served(reactor, Abort, talk, PLAIN)


@pytest_twisted.ensureDeferred
async def test_a_client_that_does_not_read_is_not_read_from() -> None:
    """What is held for it stays small, however much it says."""
    async with serving(reactor, "echo", tls=PLAIN) as loopback:
        port = addressOf(loopback).port  # type: ignore[attr-defined]

        def flood() -> tuple[Client, int]:
            one = Client(port, clientContext()).shake()
            one.sock.settimeout(0.5)
            sent = 0
            with pytest.raises(TimeoutError):
                while sent < 200 << 20:
                    one.say(bytes(1 << 16))
                    sent += 1 << 16
            return one, sent

        one, sent = await deferToThread(flood)
        assert sent < 40 << 20
        (connection,) = loopback.connections
        transport: Any = connection._transport
        assert transport._tempDataLen + len(transport.dataBuffer) < 1 << 20
        one.close()
        await until(lambda: not len(loopback.connections))


@pytest_twisted.ensureDeferred
async def test_the_table_names_the_protocol_inside() -> None:
    """And says goodbye in TLS when it hangs up."""
    async with serving(reactor, "echo", tls=PLAIN) as loopback:
        port = addressOf(loopback).port  # type: ignore[attr-defined]
        one = await deferToThread(lambda: Client(port, clientContext()).shake())
        one.say(b"x")
        assert await deferToThread(one.hear, 1) == b"x"
        (connection,) = loopback.connections
        assert connection.protocol == "Echo"
        connection.hangUp()
        assert await deferToThread(one.hear) == b""
        assert one.ended
        one.close()


@pytest_twisted.ensureDeferred
async def test_the_table_shows_a_half_close() -> None:
    """By close_notify as by FIN."""
    async with serving(reactor, "chargen", tls=PLAIN) as loopback:
        port = addressOf(loopback).port  # type: ignore[attr-defined]
        one = await deferToThread(lambda: Client(port, clientContext()).shake())
        one.finish()
        (connection,) = loopback.connections
        await until(lambda: connection.state == "half-closed")
        one.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        one.close()
