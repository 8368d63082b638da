"""The wire where a protocol, a producer or a peer does what is not expected at that moment."""

from __future__ import annotations

import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import pytest_twisted
from sockets import readAll, reset, until
from suffering import call, effectOf, serving, toxic
from twisted.internet import reactor as realReactor
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from zope.interface import implementer

from loopbackd.faults.kinds import makeKind
from loopbackd.faults.wire import Wire
from loopbackd.net.alarms import Alarms
from loopbackd.net.batch import BatchReactor

reactor: Any = realReactor


@implementer(IHalfCloseableProtocol)
class Probe(Protocol):
    """Remembers what it is told, and does what a test wants of it."""

    transport: Any

    def __init__(self) -> None:
        self.data = b""
        self.told: list[str] = []
        self.doing: Callable[[bytes], object] = lambda data: None

    def dataReceived(self, data: bytes) -> None:
        self.data += data
        self.doing(data)

    def readConnectionLost(self) -> None:
        self.told.append("end")

    def writeConnectionLost(self) -> None:
        self.told.append("finished")

    def connectionLost(self, reason: Any = None) -> None:
        self.told.append("lost")


class Ends:
    """A client, and the daemon's end of its connection, with a wire."""

    def __init__(self, client: socket.socket, probe: Probe, clock: Any) -> None:
        self.client = client
        self.probe = probe
        self.clock = clock
        self.transport = probe.transport
        self.wire = Wire(self.transport, clock, lambda wire: None)

    def reset(self) -> None:
        reset(self.client)


@asynccontextmanager
async def ends() -> AsyncIterator[Ends]:
    """Both ends of a connection; afterwards nothing of it may be left."""
    core = BatchReactor(reactor)
    alarms = Alarms(core)
    probe = Probe()
    factory = Factory.forProtocol(lambda: probe)
    factory.noisy = False
    port = core.listenTCP(0, factory, interface="127.0.0.1")
    client = socket.create_connection(("127.0.0.1", port.getHost().port), 10)
    await until(lambda: probe.transport)
    made = Ends(client, probe, alarms)
    try:
        yield made
        client.close()
        made.transport.abortConnection()
        await until(lambda: probe.told[-1:] == ["lost"])
        assert probe.told.count("lost") == 1
        assert not alarms.getDelayedCalls()
        assert made.wire.upstream.isEmpty and made.wire.downstream.isEmpty
    finally:
        client.close()
        await port.stopListening()
        alarms.close()
        core.close()


@pytest_twisted.ensureDeferred
async def test_written_after_a_half_close() -> None:
    """What is written after a half-close is thrown away, as without a wire; the rest goes on."""
    async with ends() as here:
        here.wire.downstream.put(effectOf("latency", latency=20), 0)
        here.transport.write(b"before")
        here.transport.loseWriteConnection()
        here.transport.write(b"after")
        here.transport.loseWriteConnection()
        assert await deferToThread(readAll, here.client) == b"before"
        here.client.sendall(b"still here")
        await until(lambda: here.probe.data == b"still here")
        assert here.probe.told == ["finished"]


@pytest_twisted.ensureDeferred
async def test_aborted_after_the_peer_has_gone() -> None:
    """A protocol that has had enough of somebody's last words is told of the end at once."""
    async with ends() as here:
        here.wire.upstream.put(effectOf("latency", latency=60_000), 0)
        here.client.sendall(b"x")
        await until(lambda: here.transport.bytesReceived)
        here.reset()
        await until(lambda: not here.transport.connected)
        assert here.probe.told == []
        here.transport.abortConnection()
        assert here.probe.told == []
        await until(lambda: here.probe.told == ["lost"])


@pytest_twisted.ensureDeferred
async def test_ended_by_a_toxic_after_the_peer_has_gone() -> None:
    """A limit that is reached by somebody's last words is the end of them."""
    async with ends() as here:
        here.wire.upstream.put(effectOf("latency", latency=50), 0)
        here.wire.upstream.put(effectOf("limit_data", bytes=3), 1)
        here.client.sendall(b"12345")
        await until(lambda: here.transport.bytesReceived)
        here.reset()
        await until(lambda: here.probe.told == ["lost"])
        assert here.probe.data == b"123"


@pytest_twisted.ensureDeferred
async def test_stuck_after_the_peer_has_gone() -> None:
    """Last words that would wait for a toxic to go away are given up."""
    async with ends() as here:
        effect = effectOf("bandwidth", rate=1)
        here.wire.upstream.put(effect, 0)
        here.client.sendall(bytes(50_000))
        await until(lambda: here.transport.bytesReceived)
        here.reset()
        await until(lambda: not here.transport.connected)
        assert here.probe.told == []
        here.wire.upstream.change(effect, makeKind("bandwidth", {"rate": 0}))
        await until(lambda: here.probe.told == ["lost"])


@pytest_twisted.ensureDeferred
async def test_paused_after_the_peer_has_gone() -> None:
    """A protocol that pauses while it hears last words is told of the end, and no more."""
    async with ends() as here:
        here.wire.upstream.put(effectOf("bandwidth", rate=100), 0)
        here.probe.doing = lambda data: here.transport.pauseProducing()
        here.client.sendall(bytes(50_000))
        await until(lambda: here.transport.bytesReceived)
        here.reset()
        await until(lambda: here.probe.told == ["lost"])
        assert 0 < len(here.probe.data) < 50_000


@pytest_twisted.ensureDeferred
async def test_failing_after_the_peer_has_gone(loggedFailures: Any) -> None:
    """A protocol that fails on somebody's last words hears no more of them."""
    async with ends() as here:
        here.wire.upstream.put(effectOf("slicer", average_size=1), 0)
        here.wire.upstream.put(effectOf("latency", latency=50), 1)
        here.probe.doing = lambda data: 1 / 0
        here.client.sendall(b"abc")
        await until(lambda: here.transport.bytesReceived)
        here.reset()
        await until(lambda: here.probe.told == ["lost"])
        assert here.probe.data == b"a"
        assert len(loggedFailures.flush(ZeroDivisionError)) == 1


class Endless:
    """A producer that is never done."""

    def __init__(self, transport: Any, most: int) -> None:
        self.transport = transport
        self.most = most
        self.asked = 0
        self.stopped = self.paused = False

    def resumeProducing(self) -> None:
        self.paused = False
        self.asked += 1
        assert self.asked < self.most
        self.transport.write(bytes(1000))

    def pauseProducing(self) -> None:
        self.paused = True

    def stopProducing(self) -> None:
        self.stopped = True


@pytest_twisted.ensureDeferred
async def test_a_pull_producer_whose_words_are_thrown_away() -> None:
    """It is asked for more again and again, and everybody else gets their turn."""
    async with ends() as here:
        here.wire.downstream.put(effectOf("timeout", timeout=100), 0)
        producer = Endless(here.transport, 1_000_000)
        here.transport.registerProducer(producer, False)
        began = time.monotonic()
        assert await deferToThread(readAll, here.client) == b""
        assert 0.09 < time.monotonic() - began < 5
        assert producer.stopped and producer.asked > 10


@pytest_twisted.ensureDeferred
async def test_a_pull_producer_that_has_nothing_now() -> None:
    """It is asked for more once it has written something, not all the time."""
    async with ends() as here:
        here.wire.downstream.put(effectOf("latency", latency=1), 0)
        producer = Endless(here.transport, 3)
        producer.resumeProducing = lambda: setattr(producer, "asked", producer.asked + 1)  # type: ignore[method-assign]
        here.transport.registerProducer(producer, False)
        await deferLater(reactor, 0.05)
        assert producer.asked == 1
        here.transport.write(b"x")
        assert await deferToThread(here.client.recv, 10) == b"x"
        await until(lambda: producer.asked == 2)
        here.transport.unregisterProducer()


@pytest_twisted.ensureDeferred
async def test_the_last_write_of_a_wire() -> None:
    """A producer that has written much is not paused by a wire that has just left."""
    async with ends() as here:
        producer = Endless(here.transport, 2)
        here.transport.registerProducer(producer, True)
        here.wire._unasked = 1 << 20
        here.transport.write(b"x")
        assert here.transport.wire is None and not producer.paused
        here.transport.unregisterProducer()


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("isPulled", [False, True])
async def test_limit_is_exact_with_a_slow_reader(isPulled: bool) -> None:
    """What a protocol writes after the limit is not sent, although the connection is still open."""
    async with ends() as here:
        limit = 8_000_000
        here.wire.downstream.put(effectOf("limit_data", bytes=limit), 0)
        if isPulled:
            here.transport.registerProducer(Endless(here.transport, 100_000), False)
        else:
            here.transport.write(bytes(limit + 5))
        await deferLater(reactor, 0.1)
        here.transport.write(b"more")
        assert len(await deferToThread(readAll, here.client)) == limit


@pytest_twisted.ensureDeferred
async def test_limit_is_exact_for_a_client_that_goes_on_sending() -> None:
    """A client that does not stop sending gets all it may get, then an end and no reset."""
    async with serving(toxic("limit_data", bytes=3_000_000)) as loopback:
        with call(loopback) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)

            def flood() -> None:
                for _ in range(400):
                    try:
                        client.sendall(bytes(100_000))
                    except OSError:
                        return

            flooding = deferToThread(flood)
            assert len(await deferToThread(readAll, client)) == 3_000_000
            await flooding
        await until(lambda: not len(loopback.connections))


@pytest_twisted.ensureDeferred
async def test_timeout_although_the_peer_never_reads() -> None:
    """A connection ends in time although what was written before the toxic came cannot be sent."""
    async with ends() as here:
        here.wire.downstream.put(effectOf("latency"), 0)
        here.transport.write(bytes(30_000_000))
        assert here.transport.hasUnsent
        here.wire.downstream.put(effectOf("timeout", timeout=50), 1)
        await until(lambda: here.probe.told == ["lost"])
        assert 1000 < len(await deferToThread(readAll, here.client)) < 30_000_000


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("isStreaming", [False, True])
async def test_tls_started_with_a_producer(isStreaming: bool) -> None:
    """The producer of a protocol stays its own when TLS begins above a wire."""
    async with ends() as here:
        here.wire.downstream.put(effectOf("latency", latency=1), 0)
        producer = Endless(here.transport, 1000)
        producer.resumeProducing = lambda: None  # type: ignore[method-assign]
        here.transport.registerProducer(producer, isStreaming)
        here.transport.startTLS(tlsContext())
        assert here.transport.producer is here.wire
        assert here.wire.waiting.producer is not here.wire
        assert here.wire.waiting.producer is not None
        here.transport.unregisterProducer()
        assert here.wire.waiting.producer is None
        here.transport.abortConnection()
        await until(lambda: here.probe.told == ["lost"])


def tlsContext() -> Any:
    from twisted.internet.ssl import CertificateOptions

    return CertificateOptions()


@pytest_twisted.ensureDeferred
async def test_put_in_while_a_half_close_waits() -> None:
    """A half-close that waits for what was written comes, also where a wire is put in meanwhile."""
    async with ends() as here:
        transport = here.transport
        here.wire.downstream.take(_put(here.wire))
        assert transport.wire is None
        transport.registerProducer(_Patient(), True)
        transport.write(b"x" * 10_000_000)
        assert transport.producerPaused
        transport.unregisterProducer()
        transport.loseWriteConnection()
        here.wire = Wire(transport, here.clock, lambda wire: None)
        here.wire.downstream.put(effectOf("latency", latency=1), 0)
        assert len(await deferToThread(readAll, here.client)) == 10_000_000
        assert here.probe.told == ["finished"]


def _put(wire: Wire) -> Any:
    effect = effectOf("latency", latency=1)
    wire.downstream.put(effect, 0)
    return effect


class _Patient:
    """A producer that has said all it has to say."""

    def pauseProducing(self) -> None: ...
    def resumeProducing(self) -> None: ...
    def stopProducing(self) -> None: ...
