"""Tests for L{loopbackd.tls.targetendpoint}: in memory, and against real servers."""

from __future__ import annotations

import random
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from running import PATIENCE
from sockets import until
from twisted.internet import reactor as realReactor
from twisted.internet.defer import Deferred, fail
from twisted.internet.error import ConnectingCancelledError, ConnectionRefusedError, NoProtocol
from twisted.internet.interfaces import IHalfCloseableProtocol, IStreamClientEndpoint
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.internet.threads import deferToThread
from zope.interface import implementer
from zope.interface.verify import verifyObject

from loopbackd.net.batch import batchIfPossible
from loopbackd.settings import TLSSettings
from loopbackd.targetsettings import TargetTLSSettings
from loopbackd.testing import addressOf, serving
from loopbackd.tls.end import End
from loopbackd.tls.targetendpoint import TargetEndpoint
from loopbackd.tls.targeterrors import HandshakeLate, HandshakeRefused, NotTLS
from loopbackd.tls.targetpolicy import TargetPolicy, targetContext
from loopbackd.tls.targets import parseTLSTarget
from tls.cases import Inside, Producer, connectionLost
from tls.ends import opensslServer, storeIn, written
from tls.targetcases import SECONDS, TARGET, Giving, TargetCase, leaf

reactor: Any = realReactor


class Never:
    """An endpoint that leads nowhere, and notes that it was cancelled."""

    def __init__(self) -> None:
        self.isCancelled = False

    def connect(self, factory: Any) -> Deferred[Any]:
        def cancelled(_: object) -> None:
            self.isCancelled = True

        return Deferred(cancelled)


def reaching(plain: Any, clock: Clock, name: str = "app.test") -> TargetEndpoint:
    """TLS through that endpoint."""
    policy = TargetPolicy(name)
    end = End(clock, SECONDS)
    return TargetEndpoint(plain, end, lambda: targetContext(policy), policy, TARGET)


def test_is_an_endpoint() -> None:
    """Whoever takes those takes this."""
    verifyObject(IStreamClientEndpoint, reaching(Never(), Clock()))


def test_there_is_a_deadline_for_connecting() -> None:
    """The error names the target; the other endpoint's attempt is cancelled."""
    plain, clock = Never(), Clock()
    failures: list[Any] = []
    reaching(plain, clock).connect(Giving(Inside())).addErrback(failures.append)
    clock.advance(SECONDS - 0.1)
    assert failures == []
    clock.advance(0.2)
    assert failures[0].check(HandshakeLate) and plain.isCancelled
    assert str(failures[0].value) == f"{TARGET}: it cannot be reached in time"
    assert not clock.getDelayedCalls()


def test_the_deadline_is_for_the_handshake_too(tmp_path: Path) -> None:
    """A target that says nothing is reset; connecting has used up part of the time."""
    case = TargetCase(tmp_path)
    case.clock.advance(SECONDS + 0.1)
    assert type(case.error) is HandshakeLate and "handshake in time" in str(case.error)
    assert case.beneath.disconnected
    case.layer.connectionLost(connectionLost())
    assert case.inside.told == []


def test_there_is_no_deadline_after_the_handshake(tmp_path: Path) -> None:
    """Nor a delayed call."""
    case = TargetCase(tmp_path).shake()
    assert not case.clock.getDelayedCalls()


def test_what_the_other_endpoint_says_is_passed_on() -> None:
    """A refused connection is what it always is."""

    class Refusing:
        def connect(self, factory: Any) -> Deferred[Any]:
            return fail(ConnectionRefusedError())

    clock = Clock()
    failures: list[Any] = []
    reaching(Refusing(), clock).connect(Giving(Inside())).addErrback(failures.append)
    assert failures[0].check(ConnectionRefusedError) and not clock.getDelayedCalls()


def test_cancelled_while_it_connects() -> None:
    """The other endpoint's attempt is cancelled too."""
    plain, clock = Never(), Clock()
    failures: list[Any] = []
    connecting = reaching(plain, clock).connect(Giving(Inside())).addErrback(failures.append)
    connecting.cancel()
    assert failures[0].check(ConnectingCancelledError) and plain.isCancelled
    assert not clock.getDelayedCalls()


def test_cancelled_while_it_shakes_hands(tmp_path: Path) -> None:
    """The connection is reset, and no protocol is built."""
    case = TargetCase(tmp_path)
    case.connecting.cancel()
    assert isinstance(case.error, ConnectingCancelledError) and case.beneath.disconnected
    case.layer.connectionLost(connectionLost())
    assert case.inside.told == [] and not case.clock.getDelayedCalls()


def test_a_connection_that_comes_after_all_is_reset(tmp_path: Path) -> None:
    """Not every endpoint can be cancelled."""
    case = TargetCase(tmp_path)
    plain = case.plain
    waiting: Deferred[Any] = Deferred(lambda _: None)

    class Stubborn:
        def connect(self, factory: Any) -> Deferred[Any]:
            self.factory = factory
            return waiting

    stubborn = Stubborn()
    failures: list[Any] = []
    reaching(stubborn, case.clock).connect(Giving(Inside())).addErrback(failures.append).cancel()
    assert len(failures) == 1
    plain.connect(stubborn.factory).addCallback(stubborn.factory._connected)
    assert case.beneath.disconnected
    case.connecting.cancel()


def test_a_factory_that_builds_nothing(tmp_path: Path) -> None:
    """Or raises: the Deferred says so, the connection is reset."""
    case = TargetCase(tmp_path)
    case.connecting.cancel()
    for inside, kind in ((False, NoProtocol), (ZeroDivisionError(), ZeroDivisionError)):
        case = TargetCase(tmp_path, inside)
        case.inside = None
        endpoint = case.plain
        endpoint.layer._attempt._factory.inside = None if inside is False else inside
        case.shake()
        assert isinstance(case.error, kind) and case.beneath.disconnected
        case.layer.connectionLost(connectionLost())


def test_a_name_that_cannot_be_asked_for_is_a_failure() -> None:
    """Nothing is connected for it."""
    failures: list[Any] = []
    reaching(Never(), Clock(), "a\0b").connect(Giving(Inside())).addErrback(failures.append)
    assert "no host name" in str(failures[0].value)


def test_producers_are_those_of_the_transport_beneath(tmp_path: Path) -> None:
    """Goodbye waits for them."""
    case = TargetCase(tmp_path).shake()
    producer = Producer()
    case.layer.registerProducer(producer, False)
    assert case.beneath.producer is producer and not case.layer.producerPaused
    case.layer.loseConnection()
    assert not case.beneath.disconnecting
    case.layer.unregisterProducer()
    assert case.beneath.disconnecting and case.layer.hasUnsent


# Against real servers.


@implementer(IHalfCloseableProtocol)
class Hearing(Protocol):
    """
    Keeps what it hears.

    @ivar heard: fires at the end of what it hears: all of it, or the failure.
    """

    def __init__(self) -> None:
        self.chunks: list[bytes] = []
        self.heard: Deferred[bytes] = Deferred()
        self.lost: Deferred[Any] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        self.chunks.append(data)

    def readConnectionLost(self) -> None:
        self.heard.callback(b"".join(self.chunks))

    def writeConnectionLost(self) -> None:
        pass

    def connectionLost(self, reason: Any = None) -> None:
        self.lost.callback(reason.value)


@asynccontextmanager
async def eager() -> AsyncIterator[Any]:
    """The reactor that services are built on."""
    made, _ = batchIfPossible(reactor)
    try:
        yield made
    finally:
        made.close()


async def reached(
    core: Any, tmp_path: Path, port: int, alpn: tuple[bytes, ...] = (), **settings: Any
) -> tuple[Hearing, Any]:
    """A protocol with TLS to that port of this machine, and its transport."""
    asked = TargetTLSSettings(**{"trust": "own", **settings})
    reach = parseTLSTarget(
        f"tls:127.0.0.1:{port}:timeout=5", asked, storeIn(tmp_path), tmp_path
    ).on(core)
    protocol = Hearing()
    await reach("", alpn).connect(Giving(protocol))
    return protocol, protocol.transport


@contextmanager
def listening() -> Iterator[socket.socket]:
    """A socket that listens on a port of its own."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        sock.settimeout(PATIENCE)
        yield sock


def python(tmp_path: Path, **others: Any) -> ssl.SSLContext:
    """A context of Python's for a server on 127.0.0.1."""
    root = storeIn(tmp_path).root()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    shown = leaf(root, "localhost", "127.0.0.1")
    context.load_cert_chain(written(tmp_path / "server.pem", shown))
    for name, value in others.items():
        setattr(context, name, value)
    return context


def accepted(listener: socket.socket, context: ssl.SSLContext) -> ssl.SSLSocket:
    """A connection on which the handshake is done."""
    sock, _ = listener.accept()
    sock.settimeout(PATIENCE)
    return context.wrap_socket(sock, server_side=True, suppress_ragged_eofs=False)


VERSIONS = pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])


@VERSIONS
@pytest_twisted.ensureDeferred
async def test_half_close_to_a_server_of_pythons(tmp_path: Path, version: Any) -> None:
    """It hears our end, and answers after it; its own close_notify is ours to hear."""
    context = python(tmp_path, minimum_version=version, maximum_version=version)

    def serve(listener: socket.socket) -> bytes:
        with accepted(listener, context) as tls:
            heard = b""
            while piece := tls.recv(1 << 16):
                heard += piece
            tls.sendall(heard[::-1] * 100_000)
            tls.unwrap()
            return heard

    with listening() as listener:
        serving = deferToThread(serve, listener)
        async with eager() as core:
            protocol, transport = await reached(core, tmp_path, listener.getsockname()[1])
            transport.write(b"what I say")
            transport.loseWriteConnection()
            assert await protocol.heard == b"yas I tahw" * 100_000
            assert not transport.truncated
            transport.loseConnection()
            await protocol.lost
        assert await serving == b"what I say"


@pytest_twisted.ensureDeferred
async def test_a_truncated_end(tmp_path: Path) -> None:
    """FIN without close_notify counts as an end, and is told as a lost connection at last."""
    context = python(tmp_path)

    def serve(listener: socket.socket) -> None:
        with accepted(listener, context) as tls:
            tls.sendall(b"cut")
            socket.socket.shutdown(tls, socket.SHUT_WR)
            assert tls.recv(100) == b"heard"

    with listening() as listener:
        serving = deferToThread(serve, listener)
        async with eager() as core:
            protocol, transport = await reached(core, tmp_path, listener.getsockname()[1])
            assert await protocol.heard == b"cut"
            assert transport.truncated
            transport.write(b"heard")
            transport.loseConnection()
            reason = await protocol.lost
            assert "close_notify" in str(reason)
        await serving


@pytest_twisted.ensureDeferred
async def test_a_reset_stays_a_reset(tmp_path: Path) -> None:
    """The target's is told as a lost connection, ours is one for the target."""
    context = python(tmp_path)

    def serve(listener: socket.socket) -> None:
        with accepted(listener, context) as tls:
            tls.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        with accepted(listener, context) as tls, pytest.raises(ConnectionResetError):
            tls.sendall(b"go")
            # Beneath TLS: Python's own calls a reset an end.
            socket.socket.recv(tls, 100)

    with listening() as listener:
        serving = deferToThread(serve, listener)
        async with eager() as core:
            protocol, _ = await reached(core, tmp_path, listener.getsockname()[1])
            reason = await protocol.lost
            assert type(reason).__name__ == "ConnectionLost"
            protocol, transport = await reached(core, tmp_path, listener.getsockname()[1])
            await until(lambda: protocol.chunks)
            transport.abortConnection()
            await protocol.lost
            await serving


@pytest_twisted.ensureDeferred
async def test_what_is_served_here_can_be_reached_from_here(tmp_path: Path) -> None:
    """Four megabytes to an echo of ours, and back after our end; nothing is wrapped in between."""
    data = random.Random(4).randbytes(4_000_000)
    async with serving(reactor, "echo", tls=TLSSettings(alpn=("one", "two"))) as loopback:
        port = addressOf(loopback).port  # type: ignore[attr-defined]
        async with eager() as core:
            protocol, transport = await reached(core, tmp_path, port, (b"two", b"one"))
            assert transport.negotiatedProtocol == b"one"
            assert transport.transport.protocol is transport
            transport.write(data)
            transport.loseWriteConnection()
            assert await protocol.heard == data
            transport.loseConnection()
            await protocol.lost


@pytest_twisted.ensureDeferred
async def test_a_target_that_does_not_read_is_not_written_to(tmp_path: Path) -> None:
    """The producer is paused, and goes on when it is read from again."""
    context = python(tmp_path)
    size = 20_000_000

    class Filling(Producer):
        left = size

        def resumeProducing(self) -> None:
            super().resumeProducing()
            self.isPaused = False
            while self.left and not self.isPaused:
                piece = min(self.left, 1 << 16)
                self.left -= piece
                transport.write(bytes(piece))
            if not self.left:
                transport.unregisterProducer()
                transport.loseWriteConnection()

        def pauseProducing(self) -> None:
            super().pauseProducing()
            self.isPaused = True

    def serve(listener: socket.socket, go: Callable[[], bool]) -> int:
        with accepted(listener, context) as tls:
            while not go():
                pass
            heard = 0
            while piece := tls.recv(1 << 16):
                heard += len(piece)
            tls.unwrap()
            return heard

    may = []
    with listening() as listener:
        serving = deferToThread(serve, listener, lambda: bool(may))
        async with eager() as core:
            protocol, transport = await reached(core, tmp_path, listener.getsockname()[1])
            producer = Filling()
            transport.registerProducer(producer, True)
            producer.resumeProducing()
            assert producer.told[-1] == "pause" and transport.producerPaused
            assert size - producer.left < 10_000_000
            may.append(True)
            await protocol.heard
            transport.loseConnection()
            await protocol.lost
        assert await serving == size


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
@pytest_twisted.ensureDeferred
async def test_against_openssl(tmp_path: Path, program: Any, version: str) -> None:
    """Its echo of lines, with a client certificate, pinned and by its name, ALPN agreed on."""
    root = storeIn(tmp_path).root()
    shown = leaf(root, "localhost", "127.0.0.1")
    server = written(tmp_path / "server.pem", shown)
    written(tmp_path / "me.pem", leaf(root, "me", purpose="client"))
    words = ["-rev", version, "-cert", str(server), "-CAfile", str(storeIn(tmp_path).publicPath)]
    words += ["-Verify", "1", "-verify_return_error", "-alpn", "h2,line"]
    with opensslServer(program("openssl"), *words) as port:
        async with eager() as core:
            for asked in ({}, {"pin": "0" * 64}):
                if asked:
                    with pytest.raises(Exception, match="its key is not") as caught:
                        await reached(core, tmp_path, port, **asked)
                    right = str(caught.value).rpartition(" has ")[2]
                    asked = {"pin": right, "trust": "system"}
                protocol, transport = await reached(
                    core, tmp_path, port, (b"line",), certificate="me.pem", **asked
                )
                assert transport.negotiatedProtocol == b"line"
                transport.write(b"abc\n")
                echoed = partial(b"".join, protocol.chunks)
                await until(lambda echoed=echoed: echoed() == b"cba\n")  # type: ignore[misc]
                transport.loseConnection()
                await protocol.lost


@pytest_twisted.ensureDeferred
async def test_against_what_is_no_tls(tmp_path: Path) -> None:
    """A greeting, an HTTP server, a refused connection, one that ends at once."""

    def serve(listener: socket.socket) -> None:
        for words in (b"220 mail.test ESMTP\r\n", b""):
            sock, _ = listener.accept()
            with sock:
                sock.sendall(words)
                sock.shutdown(socket.SHUT_WR)
                sock.settimeout(PATIENCE)
                while sock.recv(1 << 16):
                    pass

    async with eager() as core:
        with listening() as listener:
            port = listener.getsockname()[1]
            serving_ = deferToThread(serve, listener)
            with pytest.raises(NotTLS, match=r"220 mail\.test"):
                await reached(core, tmp_path, port)
            with pytest.raises(HandshakeRefused, match="before the TLS handshake"):
                await reached(core, tmp_path, port)
            await serving_
        with pytest.raises(ConnectionRefusedError):
            await reached(core, tmp_path, port)
        async with serving(reactor, "http") as loopback:
            port = addressOf(loopback).port  # type: ignore[attr-defined]
            with pytest.raises(NotTLS, match=r"HTTP/1\.1 400"):
                await reached(core, tmp_path, port)
