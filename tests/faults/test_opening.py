"""Connections that begin late or never: what is kept, and what frees them."""

from __future__ import annotations

import select
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest
import pytest_twisted
from sockets import readAll, reset, until
from suffering import call, onlyTransport, serving, toxic
from twisted.internet import reactor as realReactor
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock, deferLater
from twisted.internet.threads import deferToThread

from loopbackd.faults.kind import NEVER, Context, Mark, Opening
from loopbackd.faults.kinds import makeKind
from loopbackd.faults.opening import KEPT, together
from loopbackd.service import Loopback

reactor: Any = realReactor
RESET = b"\1\0\0\0\0\0\0\0"


@asynccontextmanager
async def timed(*toxics: Any, **others: Any) -> AsyncIterator[tuple[Loopback, Clock]]:
    """A service whose toxics keep the time of a clock, which stands still."""
    async with serving(**others) as loopback:
        clock = Clock()
        clock.advance(reactor.seconds())
        live = loopback.live("main").toxics
        live._clock = clock
        loopback.connections.seconds = clock.seconds
        for one in toxics:
            live.add(one)
        yield loopback, clock
        await until(lambda: not len(loopback.connections))
        assert not [one for one in clock.getDelayedCalls() if one.active()]


async def isSilent(client: socket.socket) -> bool:
    """Whether nothing comes, in as long as it would take."""
    await deferLater(reactor, 0.03)
    return not select.select([client], [], [], 0)[0]


async def waiting(loopback: Loopback, number: int = 1) -> None:
    """Until so many connections wait for their beginning."""
    await until(lambda: len(loopback.live("main").toxics._waiting) == number)


def openingOf(type: str, seed: int = 1, **attributes: Any) -> Opening | None:
    context = Context(Random(seed), opened=10.0)
    return makeKind(type, attributes).opening(context)


def test_kinds() -> None:
    """When and how each kind lets a connection begin."""
    assert openingOf("slow_open", delay=1500) == Opening(11.5)
    assert openingOf("refuse") == Opening(10.0, Mark.RESET)
    assert openingOf("refuse", delay=20) == Opening(10.02, Mark.RESET)
    assert openingOf("blackhole") == Opening(NEVER)
    assert openingOf("latency", latency=1) is None
    whens = [opening.when for n in range(200) if (opening := openingOf("slow_open", n, jitter=1e3))]
    assert min(whens) == 10.0 and 10.9 < max(whens) <= 11.0
    for type in ("slow_open", "refuse", "blackhole"):
        assert makeKind(type, {}).effect(Context(Random(1))) is None


def test_together() -> None:
    """An end comes before any beginning, and the slowest of these counts."""
    slow, slower, never = Opening(2.0), Opening(3.0), Opening(NEVER)
    end, sooner = Opening(5.0, Mark.RESET), Opening(4.0, Mark.RESET)
    assert together([], 1.0) is None
    assert together([slow], 2.0) is None
    assert together([slow, slower], 1.0) == slower
    assert together([slow, never], 1.0) == never
    assert together([end, slow, sooner, never], 1.0) == sooner


@pytest_twisted.ensureDeferred
async def test_slow_open() -> None:
    """Nobody is greeted before its time, and what was said meanwhile is answered."""
    async with timed(toxic("slow_open", delay=5000), protocol="talk") as (loopback, clock):
        with call(loopback) as client:
            client.sendall(b"quit\r\n")
            await waiting(loopback)
            await until(lambda: onlyTransport(loopback).bytesReceived == 6)
            clock.advance(4)
            assert await isSilent(client)
            clock.advance(2)
            said = await deferToThread(readAll, client)
            assert said.count(b"\n") > 1
        assert not loopback.live("main").toxics._waiting


@pytest_twisted.ensureDeferred
async def test_leaves_nothing() -> None:
    """Once it has begun the connection is bare."""
    async with timed(toxic("slow_open", delay=1000)) as (loopback, clock):
        with call(loopback) as client:
            await waiting(loopback)
            assert onlyTransport(loopback).wire is not None
            clock.advance(1.5)
            assert onlyTransport(loopback).wire is None
            client.sendall(b"x")
            assert await deferToThread(client.recv, 10) == b"x"


@pytest_twisted.ensureDeferred
async def test_half_close_meanwhile() -> None:
    """A client that has said all, and finished, still gets its answer."""
    async with timed(toxic("slow_open", delay=60_000)) as (loopback, clock):
        with call(loopback) as client:
            client.sendall(b"question")
            client.shutdown(socket.SHUT_WR)
            await waiting(loopback)
            await until(lambda: onlyTransport(loopback).peerFinished)
            for _ in range(70):
                clock.advance(1)
            assert await deferToThread(readAll, client) == b"question"


@pytest_twisted.ensureDeferred
async def test_kept_within_a_bound() -> None:
    """Who says much is not read any more, and nothing is lost."""
    async with timed(toxic("blackhole")) as (loopback, clock):
        with call(loopback) as client:
            client.setblocking(False)
            stream, sent = bytes(range(256)) * 65536, 0
            await waiting(loopback)
            for _ in range(50):
                try:
                    while sent < len(stream):
                        sent += client.send(stream[sent : sent + 65536])
                except BlockingIOError:
                    pass
                await deferLater(reactor, 0.002)
            transport = onlyTransport(loopback)
            assert KEPT <= transport.bytesReceived < 3 * KEPT + (1 << 18)
            clock.advance(1)
            assert len(loopback.connections) == 1
            loopback.live("main").toxics.clear()
            client.setblocking(True)
            thread = deferToThread(readAll, client)

            def finish() -> None:
                client.sendall(stream[sent:])
                client.shutdown(socket.SHUT_WR)

            await deferToThread(finish)
            assert await thread == stream


@pytest_twisted.ensureDeferred
async def test_refuse() -> None:
    """A reset, and no protocol has seen it."""
    async with timed(toxic("refuse")) as (loopback, _):
        with call(loopback) as client, pytest.raises(ConnectionResetError):
            await deferToThread(client.recv, 1)
        await until(lambda: not len(loopback.connections))


@pytest_twisted.ensureDeferred
async def test_blackhole() -> None:
    """Silence, and when it is taken away all begins with what was said."""
    async with timed(toxic("blackhole"), protocol="talk") as (loopback, clock):
        with call(loopback) as client:
            client.sendall(b"quit\r\n")
            await waiting(loopback)
            clock.advance(1000)
            assert await isSilent(client)
            loopback.live("main").toxics.remove("blackhole_downstream")
            assert b"\n" in await deferToThread(readAll, client)


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("said", [b"", b"something", b"x" * 3_000_000], ids=len)
@pytest.mark.parametrize("family", ["tcp", "unix"])
async def test_client_goes_away(said: bytes, family: str, tmp_path: Path) -> None:
    """Who closes is freed within a second, also where much of it has not been read."""
    others = {"endpoint": f"unix:{tmp_path}/s"} if family == "unix" else {}
    async with timed(toxic("blackhole"), **others) as (loopback, clock):
        if family == "unix":
            client = socket.socket(socket.AF_UNIX)
            client.connect(f"{tmp_path}/s")
        else:
            client = call(loopback)
        await waiting(loopback)
        client.setblocking(False)
        try:
            while said:
                said = said[client.send(said) :]
        except BlockingIOError:
            pass
        await until(lambda: onlyTransport(loopback).bytesReceived or not said)
        clock.advance(1)
        assert len(loopback.connections) == 1
        client.close()
        await deferLater(reactor, 0.02)
        clock.advance(1)
        await until(lambda: not len(loopback.connections))
        assert not loopback.live("main").toxics._waiting


@pytest_twisted.ensureDeferred
async def test_client_resets() -> None:
    """A reset is noticed at once, and what is under way on the wire is forgotten."""
    late = toxic("latency", latency=60_000, stream="upstream")
    async with timed(late, toxic("blackhole")) as (loopback, clock):
        client = call(loopback)
        await waiting(loopback)
        client.sendall(b"x")
        await until(lambda: onlyTransport(loopback).bytesReceived == 1)
        transport = onlyTransport(loopback)
        reset(client)
        await until(lambda: not len(loopback.connections))
        assert transport.wire is None and not clock.getDelayedCalls()


@pytest_twisted.ensureDeferred
async def test_half_closed_clients_wait() -> None:
    """Who has only finished sending is not gone, however long it takes."""
    async with timed(toxic("blackhole")) as (loopback, clock):
        with call(loopback) as client:
            client.sendall(b"question")
            client.shutdown(socket.SHUT_WR)
            await until(lambda: len(loopback.connections) and onlyTransport(loopback).peerFinished)
            for _ in range(100):
                clock.advance(1)
            assert await isSilent(client)
            loopback.live("main").toxics.clear()
            assert await deferToThread(readAll, client) == b"question"


@pytest_twisted.ensureDeferred
async def test_daemon_stops() -> None:
    """Connections that wait are closed when the daemon stops."""
    async with timed(toxic("blackhole")) as (loopback, _):
        with call(loopback) as client:
            await waiting(loopback)
            await loopback.stopService()
            assert await deferToThread(client.recv, 1) == b""


@pytest_twisted.ensureDeferred
async def test_several() -> None:
    """Several at once: each must have let it go, and a refusal ends it."""
    both = (toxic("slow_open", delay=2000), toxic("blackhole"))
    async with timed(*both, toxic("slow_open", name="other", delay=5000)) as (loopback, clock):
        toxics = loopback.live("main").toxics
        with call(loopback) as client:
            client.sendall(b"x")
            await waiting(loopback)
            clock.advance(3)
            toxics.remove("blackhole_downstream")
            assert await isSilent(client)
            toxics.remove("other")
            assert await deferToThread(client.recv, 1) == b"x"
        with call(loopback) as client:
            await waiting(loopback)
            toxics.add(toxic("refuse", delay=500))
            clock.advance(0.4)
            assert await isSilent(client)
            clock.advance(0.2)
            with pytest.raises(ConnectionResetError):
                await deferToThread(client.recv, 1)


@pytest_twisted.ensureDeferred
async def test_changed_meanwhile() -> None:
    """Another delay counts for those that wait, and another toxicity."""
    async with timed(toxic("slow_open", delay=60_000)) as (loopback, clock):
        toxics = loopback.live("main").toxics
        with call(loopback) as client, call(loopback) as other:
            client.sendall(b"x")
            other.sendall(b"y")
            await waiting(loopback, 2)
            clock.advance(2)
            toxics.change("slow_open_downstream", {"delay": 4000})
            assert await isSilent(client)
            clock.advance(2.5)
            assert await deferToThread(client.recv, 1) == b"x"
            assert await deferToThread(other.recv, 1) == b"y"
        toxics.change("slow_open_downstream", {"delay": 60_000})
        with call(loopback) as client:
            client.sendall(b"z")
            await waiting(loopback)
            toxics.change("slow_open_downstream", None, 0.0)
            assert await deferToThread(client.recv, 1) == b"z"


@pytest_twisted.ensureDeferred
async def test_open_ones_are_left_alone() -> None:
    """What has begun does not care."""
    async with timed() as (loopback, _):
        with call(loopback) as client:
            client.sendall(b"x")
            assert await deferToThread(client.recv, 1) == b"x"
            for type in ("refuse", "blackhole", "slow_open"):
                loopback.live("main").toxics.add(toxic(type))
            client.sendall(b"y")
            assert await deferToThread(client.recv, 1) == b"y"
            assert onlyTransport(loopback).wire is None


@pytest_twisted.ensureDeferred
async def test_with_toxics_of_the_link() -> None:
    """What passes the link meanwhile has suffered by the time the connection begins."""
    late = toxic("latency", latency=2000, stream="upstream")
    async with timed(late, toxic("slow_open", delay=3000)) as (loopback, clock):
        with call(loopback) as client:
            client.sendall(b"x")
            await until(lambda: len(loopback.connections))
            await until(lambda: onlyTransport(loopback).bytesReceived == 1)
            clock.advance(2.5)
            assert await isSilent(client)
            clock.advance(1)
            assert await deferToThread(client.recv, 1) == b"x"


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("how", ["disable", "remove"])
async def test_service_goes_away(how: str) -> None:
    """Who waits is cut when the service is switched off or removed, and nobody begins for that."""
    async with timed(toxic("blackhole"), protocol="talk") as (loopback, clock):
        with call(loopback) as client:
            client.sendall(b"help\r\n")
            await waiting(loopback)
            getattr(loopback, how)("main")
            assert await deferToThread(readAll, client) == b""
        await until(lambda: not len(loopback.connections))
        assert not [one for one in clock.getDelayedCalls() if one.active()]


@pytest_twisted.ensureDeferred
async def test_relay_dials_nobody() -> None:
    """A target hears nothing of a connection that has not begun."""
    dialled: list[Protocol] = []

    class Target(Protocol):
        def connectionMade(self) -> None:
            dialled.append(self)

        def dataReceived(self, data: bytes) -> None:
            transport: Any = self.transport
            transport.write(data)

    factory: Any = Factory.forProtocol(Target)
    factory.noisy = False
    port = reactor.listenTCP(0, factory, interface="127.0.0.1")
    relay = {"protocol": "relay", "target": f"127.0.0.1:{port.getHost().port}"}
    async with timed(toxic("slow_open", delay=5000), **relay) as (loopback, clock):
        with call(loopback) as client:
            client.sendall(b"early")
            await waiting(loopback)
            assert await isSilent(client) and not dialled
            clock.advance(6)
            assert await deferToThread(client.recv, 10) == b"early"
            assert len(dialled) == 1
        toxics = loopback.live("main").toxics
        toxics.add(toxic("refuse"))
        with call(loopback) as client, pytest.raises(ConnectionResetError):
            await deferToThread(client.recv, 1)
        assert len(dialled) == 1
    await port.stopListening()


class Reluctant(Protocol):
    """Wants to hear nothing at first, as a relay does."""

    def connectionMade(self) -> None:
        transport: Any = self.transport
        transport.pauseProducing()
        self.heard = b""

    def dataReceived(self, data: bytes) -> None:
        self.heard += data


class Failing(Protocol):
    """Does not want to be connected."""

    def connectionMade(self) -> None:
        raise RuntimeError("no")


def given(loopback: Loopback, protocol: type[Protocol]) -> None:
    """Have connections served by this instead."""
    factory: Any = Factory.forProtocol(protocol)
    factory.noisy = False
    loopback.live("main").prepared.factory.buildProtocol = factory.buildProtocol  # type: ignore[method-assign]


@pytest_twisted.ensureDeferred
async def test_protocol_that_does_not_read() -> None:
    """A protocol that wants nothing at first gets what was kept when it does."""
    async with timed(toxic("slow_open", delay=1000)) as (loopback, clock):
        given(loopback, Reluctant)
        with call(loopback) as client:
            client.sendall(b"kept")
            await until(lambda: len(loopback.connections))
            await until(lambda: onlyTransport(loopback).bytesReceived == 4)
            clock.advance(2)
            transport = onlyTransport(loopback)
            assert transport.protocol.heard == b""
            transport.resumeProducing()
            await until(lambda: transport.protocol.heard == b"kept")


@pytest_twisted.ensureDeferred
async def test_protocol_that_fails(loggedFailures: Any) -> None:
    """A protocol that fails while it is connected is logged, and its client reset."""
    async with timed(toxic("slow_open", delay=1000)) as (loopback, clock):
        given(loopback, Failing)
        with call(loopback) as client:
            client.sendall(b"kept")
            await waiting(loopback)
            clock.advance(2)
            with pytest.raises(ConnectionResetError):
                await deferToThread(client.recv, 1)
        assert len(loggedFailures.flush(RuntimeError)) == 1


@pytest_twisted.ensureDeferred
async def test_real_time() -> None:
    """On the clock of the daemon."""
    async with serving(toxic("slow_open", delay=80)) as loopback:
        with call(loopback) as client:
            began = reactor.seconds()
            client.sendall(b"x")
            assert await deferToThread(client.recv, 1) == b"x"
            assert 0.07 < reactor.seconds() - began < 3
