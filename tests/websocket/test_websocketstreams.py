"""WebSockets on real streams: what only a kernel shows."""

from __future__ import annotations

import resource
import selectors
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest_twisted
from memorysocket import masked
from sockets import reset
from twisted.internet import reactor as realReactor
from twisted.internet.threads import deferToThread

from loopbackd.service import Loopback
from loopbackd.testing import addressOf, serving
from loopbackd.websocket.connection import PATIENCE
from loopbackd.websocket.deflate import Deflater, Deflating

reactor: Any = realReactor

ASK = (
    b"GET %b HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def opened(address: Any, target: bytes = b"/websocket/echo", asking: bytes = ASK) -> socket.socket:
    """A WebSocket, its answer read."""
    client = socket.create_connection((address.host, address.port), 10)
    client.sendall(asking % target)
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += client.recv(1)
    assert head.startswith(b"HTTP/1.1 101 ")
    return client


def toTheEnd(client: socket.socket) -> bytes:
    """Everything that comes until the other side closes."""
    found = b""
    while piece := client.recv(1 << 16):
        found += piece
    return found


async def visited(visit: Callable[[Any], Any]) -> Any:
    """What a visitor finds, in a thread; afterwards no connection is left."""
    async with serving(reactor, "http") as loopback:
        found = await deferToThread(visit, addressOf(loopback))
        await emptied(loopback)
        return found


async def emptied(loopback: Loopback) -> None:
    """The table is."""
    deadline = reactor.seconds() + 10
    while len(loopback.connections):
        assert reactor.seconds() < deadline
        await deferToThread(time.sleep, 0.01)


@pytest_twisted.ensureDeferred
async def test_a_client_that_does_not_read_is_not_read_from() -> None:
    """What it can send is bounded by the buffers of the kernel and one message of ours."""

    def visit(address: Any) -> int:
        with opened(address) as client:
            client.settimeout(1)
            frame = masked(0x82, bytes(60000))
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            sent = 0
            try:
                while sent < 100 << 20:
                    sent += client.send(frame)
            except TimeoutError:
                pass
            assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20 << 10
        return sent

    assert await visited(visit) < 50 << 20


@pytest_twisted.ensureDeferred
async def test_our_last_words_arrive_at_a_client_that_goes_on_sending() -> None:
    """A message that is too big is closed with 1009; no reset overtakes that."""

    def visit(address: Any) -> bytes:
        with opened(address, b"/websocket/echo?max_message_size=10") as client:
            client.sendall(masked(0x82, b"", b"\x7f" + (1 << 20).to_bytes(8, "big")))
            client.sendall(bytes(1 << 20))
            return toTheEnd(client)

    assert (await visited(visit))[2:4] == b"\x03\xf1"


@pytest_twisted.ensureDeferred
async def test_bombs_hold_nobody_up() -> None:
    """Twenty sockets that inflate sixteen megabytes each, and one that is answered meanwhile."""
    compressed = ASK.replace(
        b"\r\n\r\n", b"\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
    )
    bomb = masked(0xC2, Deflater(Deflating()).deflate(bytes(1 << 24)))

    def visit(address: Any) -> tuple[int, int]:
        with ExitStack() as stack:
            plain = stack.enter_context(opened(address))
            bombers = []
            for _ in range(20):
                client = stack.enter_context(opened(address, asking=compressed))
                bombers.append(client)
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            for client in bombers:
                client.sendall(bomb)
            asked = 0
            with selectors.DefaultSelector() as selector:
                for client in bombers:
                    selector.register(client, selectors.EVENT_READ)
                while not selector.select(0):
                    plain.sendall(masked(0x81, b"Hello"))
                    assert plain.recv(100) == b"\x81\x05Hello"
                    asked += 1
            return asked, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before

    asked, grown = await visited(visit)
    # Before the first of them is done; all at once, it would be one or two.
    assert asked > 20
    assert grown < 60 << 10


@pytest_twisted.ensureDeferred
async def test_a_client_that_has_finished_sending_gets_its_echo() -> None:
    """And then the end."""

    def visit(address: Any) -> bytes:
        with opened(address) as client:
            client.sendall(masked(0x81, b"Hello"))
            client.shutdown(socket.SHUT_WR)
            return toTheEnd(client)

    assert (await visited(visit))[:7] == b"\x81\x05Hello"


@pytest_twisted.ensureDeferred
async def test_what_comes_with_the_request_is_heard() -> None:
    """A client need not wait for the answer before it sends."""

    def visit(address: Any) -> bytes:
        with socket.create_connection((address.host, address.port), 10) as client:
            client.sendall(ASK % b"/websocket/echo" + masked(0x81, b"Hi") + masked(0x88, b""))
            return toTheEnd(client)

    assert (await visited(visit)).endswith(b"\r\n\r\n\x81\x02Hi\x88\x00")


@pytest_twisted.ensureDeferred
async def test_a_client_that_resets() -> None:
    """Leaves nothing behind, in a chat neither."""

    def visit(address: Any) -> bytes:
        with opened(address, b"/ws?name=a") as first:
            second = opened(address, b"/ws?name=b")
            first.recv(1000)
            reset(second)
            heard = b""
            while b'"leave"' not in heard:
                heard += first.recv(1000)
            return heard

    assert b'"name": "b"' in await visited(visit)


@pytest_twisted.ensureDeferred
async def test_a_client_that_never_closes() -> None:
    """Is left after the time for its close frame and the time for its end."""

    def visit(address: Any) -> float:
        with opened(address, b"/ws/close/1000") as client:
            began = time.monotonic()
            assert toTheEnd(client) == b"\x88\x02\x03\xe8"
            assert time.monotonic() - began > PATIENCE - 0.5
            while time.monotonic() - began < 10 * PATIENCE:
                try:
                    client.send(b"\x00")
                except (ConnectionResetError, BrokenPipeError):
                    return time.monotonic() - began
                time.sleep(0.05)
            raise AssertionError("it is still there")

    assert await visited(visit) > 2 * PATIENCE - 0.5
