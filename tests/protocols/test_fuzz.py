"""Any bytes in any chunks to every built-in protocol: nothing escapes and nothing leaks."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from hypothesis import example, given, settings
from hypothesis import strategies as st
from twisted.internet import main
from twisted.internet import reactor as realReactor
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.task import Clock, deferLater
from twisted.python.failure import Failure

from loopbackd.connection import reasonOf
from loopbackd.connections import Connections
from loopbackd.iloopbackd import IServedFactory, Surroundings
from loopbackd.peer.identity import PeerIdentity
from loopbackd.prepared import Prepared
from loopbackd.protocols.registry import known
from loopbackd.service import Loopback
from loopbackd.settings import Routes, ServiceSettings, Settings
from loopbackd.testing import addressOf, connect, servingAll
from loopbackd.tls.store import AuthorityStore

reactor: Any = realReactor

OURS = IPv4Address("TCP", "127.0.0.1", 62893)
THEIRS = IPv4Address("TCP", "127.0.0.1", 50000)
ME = PeerIdentity(1000, 0, None, "ESTABLISHED", "")
FREE = "tcp:0:interface=127.0.0.1"
FULL = 1 << 16

BUILT_IN = [one.name for one in known() if one.origin == "loopbackd"]
BUILT_IN.remove("relay")  # what it says is its target's

# auto a second time, with every route somewhere else.
ELSEWHERE = Routes(
    tls="talk", http="talk", http2="discard", proxy="hello", other="talk", silent="chargen"
)
SERVICES = tuple(
    [ServiceSettings(name=name, endpoint=FREE, protocol=name, twin=False) for name in BUILT_IN]
    + [
        ServiceSettings(
            name="elsewhere", endpoint=FREE, protocol="auto", routes=ELSEWHERE, twin=False
        )
    ]
    + [
        ServiceSettings(
            name=f"tripwire-{options['answer']}",
            endpoint=FREE,
            protocol="tripwire",
            options=options,
            twin=False,
        )
        for options in ({"answer": "close"}, {"answer": "hold", "held_for": 3.0})
    ]
)

HTTP = next(service for service in SERVICES if service.name == "http")

BEGINNINGS = [
    b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03",
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"HEAD / HTTP/1.0\n\n",
    b"GET /get?a=1 HTTP/1.0\r\n\r\n",
    b"GET /headers HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    b"POST /anything HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc",
    b"POST /post HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n",
    b"PUT /put HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n",
    b"POST /post HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    b"GET /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\n",
    b"PROXY UNKNOWN\r\n",
    b"PROXY TCP4 1.2.3",
    b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c" + struct.pack("!4B4BHH", *range(1, 11)),
    b"\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00",
    b"\r\n\r\n",
    b"help\nwhoami\nstats\necho x\r\n",
    b"whoami\n",
    b"quit\n",
    b"help",
]
CHUNKS = st.one_of(
    st.binary(min_size=1, max_size=60),
    st.sampled_from(BEGINNINGS),
    st.sampled_from(BEGINNINGS).flatmap(
        lambda data: st.integers(1, len(data)).map(lambda size: data[:size])
    ),
    st.sampled_from([b"x", b"\n", b"help\n", b"\r\n"]).map(lambda part: part * 2000),
    st.sampled_from([b"x" * 9000, bytes(FULL), b"help\n" * 13_000]),
    st.sampled_from([b"GET /get HTTP/1.1\r\nHost: x\r\n\r\n" * 2000]),
)
EVENTS = st.lists(
    st.one_of(
        CHUNKS.map(lambda chunk: ("hear", chunk)),
        CHUNKS.map(lambda chunk: ("hear", chunk)),
        st.sampled_from([0.01, 0.1, 1.0, 2.0, 10.0]).map(lambda seconds: ("wait", seconds)),
        st.sampled_from([("read", True), ("read", False), ("finish", None), ("hangUp", None)]),
    ),
    max_size=8,
)
ENDINGS = st.sampled_from(["finish", "reset", "hangUp", "abort"])


class Threads:
    """A thread pool whose work is done when the test says so."""

    def __init__(self) -> None:
        self.work: list[tuple[Callable[..., object], Callable[[], Any]]] = []

    def callInThreadWithCallback(
        self, onResult: Callable[..., object], call: Callable[..., Any], *args: Any
    ) -> None:
        """Keep it for L{run}."""
        self.work.append((onResult, partial(call, *args)))

    def run(self) -> None:
        """Do all of it."""
        while self.work:
            onResult, call = self.work.pop(0)
            onResult(True, call())


class Reactor(Clock):
    """A clock with threads."""

    def __init__(self) -> None:
        super().__init__()
        self.threads = Threads()

    def getThreadPool(self) -> Threads:
        """See L{Threads}."""
        return self.threads

    def callFromThread(self, call: Callable[..., object], *args: Any) -> None:
        """There is only one thread here."""
        call(*args)


class Wire:
    """
    A connection in memory with the manners of loopbackd's transports.

    @ivar reads: whether the peer takes what is written.
    @ivar queued: how many bytes it has not taken.
    """

    def __init__(self, protocol: Any, clock: Reactor, table: Connections, reads: bool) -> None:
        self.reactor = clock
        self.protocol = protocol
        self.connection = table.add("test", THEIRS)
        self.connection.carriedBy(self)  # type: ignore[arg-type]
        self.bytesReceived = self.bytesSent = 0
        self.connected, self.disconnecting, self.aborting = True, False, False
        self.peerFinished = False
        self.reads = reads
        self.queued = 0
        self.producer: Any = None
        self.producerPaused = self.streaming = False
        self._reading = True
        self._writing = False
        self._writeDone: bool | None = None
        self._inbox: list[bytes | None] = []
        protocol.makeConnection(self)

    # What a protocol calls.

    def getPeer(self) -> Any:
        return THEIRS

    def getHost(self) -> Any:
        return OURS

    @property
    def socket(self) -> object:
        return self

    @property
    def hasUnsent(self) -> bool:
        return self.queued > 0

    def write(self, data: bytes) -> None:
        assert type(data) is bytes
        if not self.connected or self._writeDone is not None or self.aborting or not data:
            return
        if self.reads and not self.queued:
            # Sent at once.
            self.bytesSent += len(data)
            self._writing = self._writing or (self.producer is not None and not self.streaming)
            return
        self.queued += len(data)
        self._writing = True
        if self.queued > FULL and self.streaming and not self.producerPaused:
            self.producerPaused = True
            self.producer.pauseProducing()

    def writeSequence(self, data: Any) -> None:
        self.write(b"".join(data))

    def loseConnection(self) -> None:
        if self.connected and not self.disconnecting:
            self._reading = False
            self.disconnecting = self._writing = True

    def loseWriteConnection(self) -> None:
        if self._writeDone is None:
            self._writeDone = False
            self._writing = True

    def abortConnection(self) -> None:
        self.aborting = self.connected
        self._reading = False

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        assert self.producer is None
        self.producer, self.streaming, self.producerPaused = producer, streaming, False
        self._writing = self._writing or not streaming

    def unregisterProducer(self) -> None:
        self.producer, self.streaming = None, False
        self._writing = self._writing or self.disconnecting

    def pauseProducing(self) -> None:
        self._reading = False

    def resumeProducing(self) -> None:
        if self.connected and not self.disconnecting and not self.peerFinished:
            self._reading = True

    # What the reactor does.

    def turn(self) -> None:
        """Deliver what can be delivered, both ways, and what follows from that."""
        for _ in range(30):
            if self.aborting:
                self.lose(ConnectionAborted())
            if not self.connected:
                return
            if self._inbox and self._reading:
                data = self._inbox.pop(0)
                if data is None:
                    self._reading = False
                    self.readConnectionLost(Failure(main.CONNECTION_DONE))
                else:
                    self.bytesReceived += len(data)
                    self.protocol.dataReceived(data)
            elif self._writing and self.reads:
                self._wrote()
            else:
                return

    def _wrote(self) -> None:
        """The peer has taken everything."""
        self.bytesSent += self.queued
        self.queued = 0
        self._writing = False
        if self.producer is not None and (not self.streaming or self.producerPaused):
            self.producerPaused = False
            self.producer.resumeProducing()
        elif self.disconnecting:
            self.lose(ConnectionDone())
        elif self._writeDone is False:
            self._writeDone = True
            self.protocol.writeConnectionLost()

    def readConnectionLost(self, reason: Failure) -> None:
        """The peer has finished sending; every built-in protocol wants to know."""
        self.peerFinished = True
        IHalfCloseableProtocol(self.protocol).readConnectionLost()

    def lose(self, why: Exception) -> None:
        """The connection is gone."""
        if self.connected:
            self.connected = self.aborting = self._reading = False
            self.connection.ended(reasonOf(Failure(why)))
            if self.producer is not None:
                self.producer.stopProducing()
                self.producer = None
            self.protocol.connectionLost(Failure(why))

    def hear(self, data: bytes | None) -> None:
        """The peer sends, or, with None, finishes."""
        if None not in self._inbox and not self.peerFinished:
            self._inbox.append(data)


@given(st.sampled_from(SERVICES), st.booleans(), EVENTS, ENDINGS)
# Hung up while it has more to answer than its peer has taken.
@example(HTTP, False, [("hear", b"GET /get HTTP/1.1\r\nHost: x\r\n\r\n" * 2000)], "hangUp")
@settings(max_examples=1000)
def test_inMemory(
    loggedFailures: list[Failure],
    service: ServiceSettings,
    reads: bool,
    events: list[tuple[str, Any]],
    ending: str,
) -> None:
    """
    No exception escapes, none is logged, what is queued is bounded, and the end leaves nothing.

    The end comes: after the peer's end, and after ours, to every connection whose peer reads.
    """
    with noFailure(loggedFailures):
        clock = Reactor()
        table = Connections(lambda _: ME, clock.seconds)
        factory: Any = prepared(service).factory
        if IServedFactory.providedBy(factory):
            factory.servedBy(Surroundings("test", clock, table))
        factory.doStart()
        wire = Wire(factory.buildProtocol(THEIRS), clock, table, reads)
        shown = 0
        for what, value in events:
            if what == "hear":
                wire.hear(value)
                # A request can come back in its answer, each byte as an escape of six.
                shown += 8 * len(value)
            elif what == "wait":
                clock.threads.run()
                clock.advance(value)
            elif what == "read":
                wire.reads = value
            elif what == "finish":
                wire.hear(None)
            elif wire.connected:
                wire.connection.hangUp()
            wire.turn()
            assert wire.queued <= 3 * FULL + shown
        end(wire, ending)
        clock.threads.run()
        assert not clock.getDelayedCalls()
        assert len(table) == 0
        factory.doStop()


def end(wire: Wire, ending: str) -> None:
    """Let the connection end that way."""
    if ending == "reset":
        wire.lose(ConnectionLost())
    elif ending == "abort":
        wire.connection.abort()
        wire.turn()
    else:
        wire.reads = True
        if ending == "finish":
            wire.hear(None)
        else:
            wire.connection.hangUp()
        # What it was asked before may still take its time, all of which has a limit.
        for _ in range(30):
            wire.turn()
            wire.reactor.threads.run()
            wire.reactor.advance(1)
        if type(wire.protocol).__name__ == "Chargen" and ending == "finish":
            wire.connection.hangUp()
            wire.turn()
    assert not wire.connected


def prepared(service: ServiceSettings) -> Prepared:
    """What is served for these settings."""
    return Prepared(service, Path(), AuthorityStore(Path("/nowhere")))


@contextmanager
def noFailure(loggedFailures: list[Failure]) -> Iterator[None]:
    """Fail the example, not only the test, in which a failure is logged."""
    loggedFailures.clear()
    yield
    assert not loggedFailures, loggedFailures[0].getTraceback()


@pytest.fixture(scope="module")
def loopback() -> Iterator[Loopback]:
    """The daemon with one service for each protocol, for all examples."""
    served = servingAll(reactor, Settings(service=SERVICES, drain=0))
    yield wait(served.__aenter__())
    wait(served.__aexit__(None, None, None))


def wait(what: Any) -> Any:
    """Run the reactor until that is done; from a fixture."""
    return pytest_twisted.blockon(Deferred.fromCoroutine(what))


@given(
    service=st.sampled_from(SERVICES),
    chunks=st.lists(CHUNKS, max_size=4),
    ending=ENDINGS,
    reads=st.booleans(),
)
@settings(max_examples=300)
@pytest_twisted.ensureDeferred
async def test_onARealListener(
    loggedFailures: list[Failure],
    loopback: Loopback,
    service: ServiceSettings,
    chunks: list[bytes],
    ending: str,
    reads: bool,
) -> None:
    """The same with the kernel between: every connection ends and leaves the table."""
    with noFailure(loggedFailures):
        await visit(loopback, service, chunks, ending, reads)
    assert len(loopback.connections) == 0


async def visit(
    loopback: Loopback, service: ServiceSettings, chunks: list[bytes], ending: str, reads: bool
) -> None:
    """A client that says all that and ends; returns when the server has let go of it."""
    client = await connect(reactor, addressOf(loopback, service.name))
    transport: Any = client.transport
    client.finished.addErrback(lambda failure: failure.trap(ConnectionLost))
    if not reads:
        transport.pauseProducing()
    for chunk in chunks:
        transport.write(chunk)
        await turn()
    transport.resumeProducing()
    if not transport.connected:
        pass
    elif ending == "reset":
        transport.abortConnection()
    elif ending == "finish":
        transport.loseWriteConnection()
        if service.name in ("chargen", "elsewhere"):
            # It may be chargen, which has no end of its own.
            await turn()
            transport.abortConnection()
    else:
        for connection in loopback.connections:
            connection.abort() if ending == "abort" else connection.hangUp()
    await client.finished.addTimeout(5, reactor)
    gone: Deferred[None] = Deferred()
    loopback.connections.whenEmpty(lambda: gone.callback(None))
    await gone.addTimeout(5, reactor)


async def turn() -> None:
    """Let the reactor do what it has to."""
    await deferLater(reactor, 0, lambda: None)
