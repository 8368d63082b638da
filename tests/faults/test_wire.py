"""The wire on real connections: put in and taken out live, and nothing is lost by it."""

from __future__ import annotations

import hashlib
import random
import select
import socket
import threading
import time
from typing import Any

import pytest
import pytest_twisted
from sockets import readAll, reset, until
from suffering import call, onlyTransport, serving, toxic
from twisted.internet import reactor as realReactor
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

reactor: Any = realReactor


@pytest_twisted.ensureDeferred
async def test_in_force_from_the_first_byte() -> None:
    """A toxic of the configuration delays the first answer."""
    async with serving(toxic("latency", latency=100)) as loopback:
        with call(loopback) as client:
            began = time.monotonic()
            client.sendall(b"x")
            assert await deferToThread(client.recv, 10) == b"x"
            assert 0.095 < time.monotonic() - began < 3


@pytest_twisted.ensureDeferred
async def test_put_on_and_taken_away_live() -> None:
    """A live connection gets a toxic, and is bare again when it is gone."""
    async with serving() as loopback:
        toxics = loopback.live("main").toxics
        with call(loopback) as client:
            client.sendall(b"x")
            assert await deferToThread(client.recv, 10) == b"x"
            transport = onlyTransport(loopback)
            assert transport.wire is None
            toxics.add(toxic("latency", latency=60_000))
            assert transport.wire is not None
            client.sendall(b"y")
            await until(lambda: transport.wire.holdsUnsent)
            toxics.remove("latency_downstream")
            assert transport.wire is None
            assert await deferToThread(client.recv, 10) == b"y"
            client.sendall(b"z")
            assert await deferToThread(client.recv, 10) == b"z"


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("stream", ["upstream", "downstream"])
async def test_half_close(stream: str) -> None:
    """A client that has finished sending still gets its answer, late."""
    async with serving(toxic("latency", latency=50, stream=stream)) as loopback:
        with call(loopback) as client:
            client.sendall(b"question" * 1000)
            client.shutdown(socket.SHUT_WR)
            assert await deferToThread(readAll, client) == b"question" * 1000


@pytest_twisted.ensureDeferred
async def test_one_shot_protocols() -> None:
    """A protocol that says something and closes is heard in full."""
    async with serving(toxic("latency", latency=30), protocol="qotd") as loopback:
        with call(loopback) as client:
            assert len(await deferToThread(readAll, client)) > 10
    async with serving(toxic("latency", latency=30), protocol="chargen") as loopback:
        with call(loopback) as client:
            assert len(await deferToThread(client.recv, 10)) == 10


def exchange(client: socket.socket, enough: threading.Event) -> tuple[bytes, bytes]:
    """Send a hundred blocks, and on until it is enough; the digests of it and of what came back."""
    client.setblocking(False)
    sent, came = hashlib.sha256(), hashlib.sha256()
    number, out, finished = 0, memoryview(b""), False
    while True:
        can, may, _ = select.select([client], [] if finished else [client], [], 60)
        if may:
            if not out and number >= 100 and enough.is_set():
                client.shutdown(socket.SHUT_WR)
                finished = True
                continue
            if not out:
                number += 1
                out = memoryview(number.to_bytes(4, "big") * 10_000)
                sent.update(out)
            out = out[client.send(out) :]
        if can:
            part = client.recv(100_000)
            if not part:
                return sent.digest(), came.digest()
            came.update(part)


@pytest_twisted.ensureDeferred
async def test_coming_and_going_under_traffic() -> None:
    """A stream through toxics that come and go a thousand times arrives intact."""
    async with serving() as loopback:
        toxics = loopback.live("main").toxics
        chance = random.Random(5)
        client = call(loopback)
        enough = threading.Event()
        thread = deferToThread(exchange, client, enough)
        for _ in range(350):
            for name in ("a", "b", "c"):
                if name not in {one.name for one in toxics}:
                    stream = chance.choice(["upstream", "downstream"])
                    latency = chance.choice([0, 0.1, 1, 5])
                    toxics.add(toxic("latency", name=name, stream=stream, latency=latency))
                elif chance.random() < 0.5:
                    toxics.remove(name)
            if chance.random() < 0.1:
                toxics.clear()
            await deferLater(reactor, 0.001)
        toxics.clear()
        enough.set()
        sent, came = await thread
        client.close()
        assert came == sent


@pytest_twisted.ensureDeferred
async def test_last_words_of_a_peer_that_is_gone() -> None:
    """What a peer said before it reset the connection is still given to the protocol."""
    async with serving(
        toxic("latency", latency=50, stream="upstream"), protocol="talk"
    ) as loopback:
        client = call(loopback)
        await deferToThread(client.recv, 10)
        client.sendall(b"quit\r\n")
        await until(lambda: onlyTransport(loopback).bytesReceived)
        reset(client)
        await until(lambda: not len(loopback.connections))


@pytest_twisted.ensureDeferred
async def test_toxicity_none() -> None:
    """A toxic that hits nobody leaves connections bare."""
    async with serving(toxic("latency", latency=100, toxicity=0.0)) as loopback:
        with call(loopback) as client:
            client.sendall(b"x")
            assert await deferToThread(client.recv, 10) == b"x"
            assert onlyTransport(loopback).wire is None
            loopback.live("main").toxics.change("latency_downstream", None, 1.0)
            assert onlyTransport(loopback).wire is not None


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(
    "last",
    [
        toxic("limit_data", bytes=2, stream="upstream"),
        toxic("bandwidth", rate=0, stream="upstream"),
        toxic("loss", rate=1, stream="upstream"),
    ],
    ids=lambda one: one.type,
)
async def test_held_words_of_a_peer_that_is_gone(last: Any) -> None:
    """What is under way of a peer that is gone holds nobody up: it ends or is thrown away."""
    async with serving(toxic("latency", latency=50, stream="upstream"), last) as loopback:
        client = call(loopback)
        client.sendall(b"abc")
        await until(lambda: len(loopback.connections))
        transport = onlyTransport(loopback)
        await until(lambda: transport.bytesReceived == 3)
        ended: list[object] = []
        protocol = transport.protocol
        protocol.connectionLost = ended.append
        reset(client)
        await until(lambda: ended)
        assert transport.wire is None
        assert not loopback.live("main").toxics._wires


@pytest_twisted.ensureDeferred
async def test_toxics_of_a_peer_that_is_gone_can_be_taken_away() -> None:
    """What is under way of a peer that is gone goes on at once when its toxic goes."""
    async with serving(toxic("latency", latency=60_000, stream="upstream")) as loopback:
        client = call(loopback)
        client.sendall(b"abc")
        await until(lambda: len(loopback.connections))
        transport = onlyTransport(loopback)
        await until(lambda: transport.bytesReceived == 3)
        heard: list[bytes] = []
        transport.protocol.dataReceived = heard.append
        reset(client)
        await until(lambda: not len(loopback.connections))
        assert transport.wire is not None
        loopback.live("main").toxics.clear()
        assert heard == [b"abc"] and transport.wire is None
