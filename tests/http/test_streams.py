"""The HTTP stack on real streams: what only a kernel shows."""

from __future__ import annotations

import gc
import hashlib
import socket
import struct
import time
from collections.abc import Iterator
from typing import Any

import pytest_twisted
from sockets import readAll
from twisted.internet import reactor as realReactor
from twisted.internet.threads import deferToThread
from visiting import answers, request

from loopbackd.http.endpoints import Takes
from loopbackd.http.factory import HTTPFactory
from loopbackd.http.messages import ByHand, Request, Response, Wire
from loopbackd.http.routes import Routes
from loopbackd.service import Loopback
from loopbackd.testing import addressOf, serving

reactor: Any = realReactor

produced = 0
stopped = 0


def makeFactory() -> HTTPFactory:
    """A site of extremes."""
    routes = Routes("extremes")

    @routes.add("/endless")
    def endless(request: Request) -> Response:
        def body() -> Iterator[bytes]:
            global produced, stopped
            try:
                while True:
                    produced += 1 << 14
                    yield bytes(1 << 14)
            finally:
                stopped += 1

        return Response(200, body())

    @routes.add("/big")
    def big(request: Request) -> Response:
        return Response(200, bytes(8 << 20))

    @routes.add("/digest", methods=["POST"], takes=Takes.PIECES)
    async def digest(request: Request) -> Response:
        assert request.pieces is not None
        seen = hashlib.sha256()
        async for piece in request.pieces:
            seen.update(piece)
        return Response(200, seen.hexdigest().encode())

    @routes.add("/hello")
    def hello(request: Request) -> Response:
        return Response(200, b"hello")

    @routes.add("/reset")
    def reset(request: Request) -> ByHand:
        async def script(wire: Wire) -> None:
            wire.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
            await wire.sleep(0.01)
            wire.reset()

        return ByHand(script)

    @routes.add("/end")
    def end(request: Request) -> ByHand:
        async def script(wire: Wire) -> None:
            wire.write(b"half")
            wire.finish()

        return ByHand(script)

    return HTTPFactory(routes)


def client(loopback: Loopback) -> socket.socket:
    """A connection with a deadline."""
    where: Any = addressOf(loopback)
    return socket.create_connection((where.host, where.port), 10)


async def within(seconds: float, isSo: Any) -> None:
    """Let the reactor run until that is so."""
    deadline = time.monotonic() + seconds
    while not isSo():
        assert time.monotonic() < deadline
        await deferToThread(gc.collect)


@pytest_twisted.ensureDeferred
async def test_slowReader() -> None:
    """Who does not read an endless answer makes it wait; others are served; it stops with him."""
    global produced
    produced = 0
    before = stopped
    async with serving(reactor, "test_streams:makeFactory") as loopback:
        with client(loopback) as slow, client(loopback) as other:
            await deferToThread(slow.sendall, request("/endless"))
            await deferToThread(other.sendall, request("/hello"))
            assert b"hello" in await deferToThread(other.recv, 1000)
            await within(5, lambda: produced > 0)
            settled = -1
            while settled != produced:
                settled = produced
                await deferToThread(other.sendall, request("/hello"))
                assert b"hello" in await deferToThread(other.recv, 1000)
            assert 0 < produced < 16 << 20
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await within(5, lambda: stopped == before + 1)


@pytest_twisted.ensureDeferred
async def test_fastReader() -> None:
    """An answer without end that is read as fast as it is written leaves turns for others."""

    def readOn(sock: socket.socket, size: int) -> None:
        while size > 0:
            size -= len(sock.recv(1 << 20))

    async with serving(reactor, "test_streams:makeFactory") as loopback:
        with client(loopback) as greedy, client(loopback) as other:
            greedy.sendall(request("/endless"))
            reading = deferToThread(readOn, greedy, 100 << 20)
            for _ in range(20):
                await deferToThread(other.sendall, request("/hello"))
                assert b"hello" in await deferToThread(other.recv, 1000)
            await reading


@pytest_twisted.ensureDeferred
async def test_refusedUpload() -> None:
    """A client that sends all of a big body before it reads still gets its 404, and no reset."""

    def upload(sock: socket.socket) -> bytes:
        sock.sendall(request("/nowhere", "POST", [("Content-Length", str(20 << 20))]))
        for _ in range(20):
            sock.sendall(bytes(1 << 20))
        return readAll(sock)

    async with serving(reactor, "test_streams:makeFactory") as loopback:
        with client(loopback) as sock:
            (one,) = answers(await deferToThread(upload, sock), ["POST"], True)
            assert (one.status, one.get("Connection")) == (404, "close")


@pytest_twisted.ensureDeferred
async def test_bigUploadInPieces() -> None:
    """Every byte of a big body arrives, in order, though the handler takes it piece by piece."""
    block = bytes(range(256)) * 4096

    def upload(sock: socket.socket) -> bytes:
        sock.sendall(request("/digest", "POST", [("Transfer-Encoding", "chunked")]))
        for _ in range(16):
            sock.sendall(b"%x\r\n%b\r\n" % (len(block), block))
        sock.sendall(b"0\r\n\r\n")
        sock.shutdown(socket.SHUT_WR)
        return readAll(sock)

    async with serving(reactor, "test_streams:makeFactory") as loopback:
        with client(loopback) as sock:
            (one,) = answers(await deferToThread(upload, sock), ["POST"], True)
            assert one.text == hashlib.sha256(block * 16).hexdigest()


@pytest_twisted.ensureDeferred
async def test_halfClosedAndPipelined() -> None:
    """Answers of many megabytes all come, though the client finished sending before the first."""

    def converse(sock: socket.socket) -> bytes:
        sock.sendall(request("/big") * 3 + request("/hello"))
        sock.shutdown(socket.SHUT_WR)
        return readAll(sock)

    async with serving(reactor, "test_streams:makeFactory") as loopback:
        with client(loopback) as sock:
            found = answers(await deferToThread(converse, sock), ["GET"] * 4, True)
            assert [len(one.body) for one in found] == [8 << 20] * 3 + [5]


@pytest_twisted.ensureDeferred
async def test_resetAndEndByHand() -> None:
    """A reset arrives as one, an end as one."""

    def converse(sock: socket.socket, target: str) -> bytes | str:
        sock.sendall(request(target))
        try:
            return readAll(sock)
        except ConnectionResetError:
            return "reset"

    async with serving(reactor, "test_streams:makeFactory") as loopback:
        for target, wanted in (("/reset", "reset"), ("/end", b"half")):
            with client(loopback) as sock:
                assert await deferToThread(converse, sock, target) == wanted


@pytest_twisted.ensureDeferred
async def test_manyAbandoned() -> None:
    """Clients that leave in the middle leave nothing behind."""

    async def leave(loopback: Loopback, data: bytes) -> None:
        with client(loopback) as sock:
            await deferToThread(sock.sendall, data)
            if data.endswith(b"!"):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    async with serving(reactor, "test_streams:makeFactory") as loopback:
        for data in (
            request("/endless"),
            request("/big"),
            request("/digest", "POST", [("Content-Length", "100")]) + b"half",
            b"GET /hel",
        ):
            for end in (b"", b"!"):
                await leave(loopback, data + end)
        await within(10, lambda: not len(loopback.connections))
