"""Eager transports on a real kernel; each test runs on the batch and on the plain reactor."""

from __future__ import annotations

import hashlib
import random
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import pytest_twisted
from sockets import readAll, readSome, reset
from twisted.internet import reactor as realReactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from zope.interface import implementer

from loopbackd.net.batch import BatchReactor
from loopbackd.net.reactor import PlainReactor
from loopbackd.protocols.classic import Echo

reactor: Any = realReactor


@pytest.fixture(params=["batch", "plain"])
def core(request: pytest.FixtureRequest) -> Any:
    """A reactor of loopbackd's over the real one."""
    made = (BatchReactor if request.param == "batch" else PlainReactor)(reactor)
    yield made
    made.close()


class Recorder(Protocol):
    """Remembers what happened to it."""

    def __init__(self) -> None:
        self.heard = b""
        self.lost: Deferred[Any] = Deferred()
        self.made: Deferred[Any] = Deferred()

    def connectionMade(self) -> None:
        self.made.callback(self)

    def dataReceived(self, data: bytes) -> None:
        self.heard += data

    def connectionLost(self, reason: Any = None) -> None:
        self.lost.callback(reason.value)


@asynccontextmanager
async def connected(
    core: Any, make: Callable[[], Any], endpoint: str = "tcp:0:interface=127.0.0.1"
) -> AsyncIterator[tuple[Any, socket.socket]]:
    """One protocol on an accepted stream, and a blocking socket at the other end."""
    protocols: Deferred[Any] = Deferred()

    class One(Factory):
        noisy = False

        def buildProtocol(self, addr: Any) -> Any:
            protocol = make()
            made = protocol.makeConnection

            def makeConnection(transport: Any) -> None:
                made(transport)
                protocols.callback(protocol)

            protocol.makeConnection = makeConnection
            return protocol

    port = await serverFromString(core, endpoint).listen(One())
    host = port.getHost()
    if hasattr(host, "port"):
        client = socket.create_connection((host.host, host.port))
    else:
        client = socket.socket(socket.AF_UNIX)
        client.connect(host.name)
    client.settimeout(10)
    try:
        yield await protocols, client
    finally:
        client.close()
        await port.stopListening()


async def turn(times: int = 3) -> None:
    """Let the reactor do what it has to."""
    for _ in range(times):
        await deferLater(reactor, 0, lambda: None)


@pytest_twisted.ensureDeferred
async def test_a_write_is_sent_before_write_returns(core: Any) -> None:
    """No turn of the reactor is needed, and what passed is counted."""
    async with connected(core, Recorder) as (protocol, client):
        protocol.transport.write(b"now")
        assert client.recv(10) == b"now"
        assert protocol.transport.bytesSent == 3


@pytest_twisted.ensureDeferred
async def test_what_the_kernel_does_not_take_follows_in_order(core: Any) -> None:
    """Many writes of many sizes to a client that reads late arrive whole and in order."""
    async with connected(core, Recorder) as (protocol, client):
        chance = random.Random(7)
        sent = b""
        for _ in range(300):
            part = chance.randbytes(chance.choice([1, 100, 65536, 200_000]))
            sent += part
            if chance.random() < 0.5:
                protocol.transport.write(part)
            else:
                protocol.transport.writeSequence([part[:10], part[10:]])
        protocol.transport.loseConnection()
        got = await deferToThread(readAll, client)
        assert hashlib.sha256(got).digest() == hashlib.sha256(sent).digest()
        assert isinstance(await protocol.lost, ConnectionDone)
        assert protocol.transport.bytesSent == len(sent)


@pytest_twisted.ensureDeferred
async def test_losing_the_connection_never_calls_back_at_once(core: Any) -> None:
    """connectionLost comes after loseConnection has returned."""
    async with connected(core, Recorder) as (protocol, client):
        protocol.transport.loseConnection()
        assert not protocol.lost.called
        assert isinstance(await protocol.lost, ConnectionDone)
        assert client.recv(1) == b""


@pytest_twisted.ensureDeferred
async def test_losing_a_connection_inside_connectionMade(core: Any) -> None:
    """A protocol that answers and closes at once: the answer arrives, then the end."""

    class Brief(Recorder):
        def connectionMade(self) -> None:
            self.transport.write(b"bye")
            self.transport.loseConnection()

    async with connected(core, Brief) as (protocol, client):
        assert await deferToThread(readAll, client) == b"bye"
        await protocol.lost


@pytest_twisted.ensureDeferred
async def test_a_write_after_loseConnection_still_goes_out(core: Any) -> None:
    """As in Twisted: the end comes after what was written before it happens."""
    async with connected(core, Recorder) as (protocol, client):
        protocol.transport.loseConnection()
        protocol.transport.write(b"x" * 5_000_000)
        assert len(await deferToThread(readAll, client)) == 5_000_000
        await protocol.lost


@pytest_twisted.ensureDeferred
async def test_pausing_inside_connectionMade_holds(core: Any) -> None:
    """Nothing is read until the protocol resumes."""

    class Paused(Recorder):
        def connectionMade(self) -> None:
            self.transport.pauseProducing()

    async with connected(core, Paused) as (protocol, client):
        client.sendall(b"data")
        await turn(10)
        assert protocol.heard == b""
        protocol.transport.resumeProducing()
        await turn(10)
        assert protocol.heard == b"data"


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("core", ["batch"], indirect=True)
async def test_a_reset_is_noticed_while_paused(core: Any) -> None:
    """A peer that is gone does not keep its descriptor until somebody reads on."""

    class Paused(Recorder):
        def connectionMade(self) -> None:
            self.transport.pauseProducing()

    async with connected(core, Paused) as (protocol, client):
        client.sendall(b"data")
        await turn(10)
        reset(client)
        assert isinstance(await protocol.lost, ConnectionLost)


@pytest_twisted.ensureDeferred
async def test_an_end_on_both_sides_loses_nothing_while_paused(core: Any) -> None:
    """What was sent before both sides had finished is still there when somebody reads on."""

    class Finishes(Recorder):
        def connectionMade(self) -> None:
            self.transport.pauseProducing()
            self.transport.loseWriteConnection()

    async with connected(core, Finishes) as (protocol, client):
        client.sendall(b"data" * 1000)
        client.shutdown(socket.SHUT_WR)
        await turn(10)
        assert protocol.heard == b"" and not protocol.lost.called
        protocol.transport.resumeProducing()
        assert isinstance(await protocol.lost, ConnectionDone)
        assert protocol.heard == b"data" * 1000


@pytest_twisted.ensureDeferred
async def test_a_half_close_lets_written_data_out(core: Any) -> None:
    """A protocol that knows nothing of half-close still gets its whole answer through."""

    class Answers(Recorder):
        def dataReceived(self, data: bytes) -> None:
            self.transport.write(b"y" * 8_000_000)

    async with connected(core, Answers) as (protocol, client):
        client.sendall(b"q")
        client.shutdown(socket.SHUT_WR)
        assert len(await deferToThread(readAll, client)) == 8_000_000
        assert isinstance(await protocol.lost, ConnectionDone)


@pytest_twisted.ensureDeferred
async def test_a_half_closeable_protocol_is_told_and_decides(core: Any) -> None:
    """The stream stays open downstream until the protocol closes it."""

    @implementer(IHalfCloseableProtocol)
    class Aware(Recorder):
        def __init__(self) -> None:
            super().__init__()
            self.finished: Deferred[None] = Deferred()

        def readConnectionLost(self) -> None:
            self.finished.callback(None)

        def writeConnectionLost(self) -> None: ...

    async with connected(core, Aware) as (protocol, client):
        client.shutdown(socket.SHUT_WR)
        await protocol.finished
        assert protocol.transport.peerFinished
        protocol.transport.resumeProducing()  # must not be told again, nor spin
        await turn(5)
        protocol.transport.write(b"late")
        assert client.recv(10) == b"late"
        protocol.transport.loseConnection()
        await protocol.lost


@pytest_twisted.ensureDeferred
async def test_our_own_half_close(core: Any) -> None:
    """loseWriteConnection sends what was written, then an end, and goes on reading."""
    async with connected(core, Recorder) as (protocol, client):
        protocol.transport.write(b"z" * 3_000_000)
        protocol.transport.loseWriteConnection()
        assert len(await deferToThread(readAll, client)) == 3_000_000
        client.sendall(b"still here")
        await turn(10)
        assert protocol.heard == b"still here"
        protocol.transport.loseConnection()
        assert isinstance(await protocol.lost, ConnectionDone)


@pytest_twisted.ensureDeferred
async def test_a_reset_is_lost_and_an_abort_is_a_reset(core: Any) -> None:
    """A reset from the peer is ConnectionLost; ours reaches the peer as one."""
    async with connected(core, Recorder) as (protocol, client):
        reset(client)
        assert isinstance(await protocol.lost, ConnectionLost)
    async with connected(core, Recorder) as (protocol, client):
        protocol.transport.abortConnection()
        assert isinstance(await protocol.lost, ConnectionAborted)
        with pytest.raises(ConnectionResetError):
            client.recv(1)


@pytest_twisted.ensureDeferred
async def test_writing_to_a_peer_that_is_gone_ends_in_connectionLost(core: Any) -> None:
    """The error of an eager send is found by the reactor, not raised at the writer."""
    async with connected(core, Recorder) as (protocol, client):
        protocol.transport.pauseProducing()
        reset(client)
        protocol.transport.write(b"to nobody")
        protocol.transport.write(b"to nobody")
        assert isinstance(await protocol.lost, ConnectionLost)


@pytest_twisted.ensureDeferred
async def test_only_bytes_can_be_written(core: Any) -> None:
    """Text is the caller's error, told to the caller."""
    async with connected(core, Recorder) as (protocol, _client):
        with pytest.raises(TypeError, match="bytes"):
            protocol.transport.write("text")
        protocol.transport.loseConnection()
        await protocol.lost


@pytest_twisted.ensureDeferred
async def test_a_protocol_that_raises_loses_its_connection_only(
    core: Any, loggedFailures: Any
) -> None:
    """It is logged with its traceback; the next client is served."""

    class Fails(Recorder):
        def dataReceived(self, data: bytes) -> None:
            raise ZeroDivisionError("on purpose")

    async with connected(core, Fails) as (protocol, client):
        client.sendall(b"x")
        assert isinstance(await protocol.lost, ZeroDivisionError)
        assert client.recv(1) == b""
        assert len(loggedFailures.flush(ZeroDivisionError)) == 1
    async with connected(core, Echo) as (_protocol, client):
        client.sendall(b"x")
        assert await deferToThread(client.recv, 1) == b"x"


@pytest.mark.parametrize("where", ["makeConnection", "connectionLost", "readConnectionLost"])
@pytest_twisted.ensureDeferred
async def test_raising_elsewhere_closes_the_socket_too(
    core: Any, loggedFailures: Any, where: str
) -> None:
    """Whichever of its methods a protocol raises in, nothing leaks."""

    @implementer(IHalfCloseableProtocol)
    class Fails(Recorder):
        def readConnectionLost(self) -> None:
            self.transport.loseConnection()

        def writeConnectionLost(self) -> None: ...

    def fail(*_: Any) -> None:
        raise ZeroDivisionError

    class One(Factory):
        noisy = False

        def buildProtocol(self, addr: Any) -> Any:
            protocol = Fails()
            setattr(protocol, where, fail)
            return protocol

    port = await serverFromString(core, "tcp:0:interface=127.0.0.1").listen(One())
    client = socket.create_connection(("127.0.0.1", port.getHost().port))
    client.settimeout(10)
    client.shutdown(socket.SHUT_WR)

    def end() -> bytes:
        try:
            return client.recv(1)
        except ConnectionResetError:
            return b""

    assert await deferToThread(end) == b""
    client.close()
    await port.stopListening()
    await turn()
    assert loggedFailures.flush(ZeroDivisionError)


@pytest_twisted.ensureDeferred
async def test_a_producer_is_paused_and_resumed(core: Any) -> None:
    """A push producer is told to wait while the client does not read, and to go on after."""
    told: list[str] = []

    class Producer:
        def pauseProducing(self) -> None:
            told.append("pause")

        def resumeProducing(self) -> None:
            told.append("resume")

        def stopProducing(self) -> None:
            told.append("stop")

    async with connected(core, Recorder) as (protocol, client):
        protocol.transport.registerProducer(Producer(), True)
        protocol.transport.write(b"x" * 20_000_000)
        assert told == ["pause"]
        await deferToThread(readSome, client, 20_000_000)
        while told != ["pause", "resume"]:
            await turn()
        protocol.transport.abortConnection()
        await protocol.lost
        assert told == ["pause", "resume", "stop"]


@pytest_twisted.ensureDeferred
async def test_a_pull_producer_is_asked_again_after_each_write(core: Any) -> None:
    """Also when every write went out at once."""
    left = [b"a" * 10, b"b" * 2_000_000, b"c"]

    async with connected(core, Recorder) as (protocol, client):

        class Producer:
            def resumeProducing(self) -> None:
                if left:
                    protocol.transport.write(left.pop(0))
                else:
                    protocol.transport.unregisterProducer()
                    protocol.transport.loseConnection()

            def stopProducing(self) -> None: ...

        wanted = b"".join(left)
        protocol.transport.registerProducer(Producer(), False)
        assert await deferToThread(readAll, client) == wanted
        await protocol.lost


@pytest_twisted.ensureDeferred
async def test_unix_streams_are_eager_and_pass_descriptors(core: Any, tmp_path: Any) -> None:
    """A descriptor sent before bytes arrives with them, not overtaken."""
    async with connected(core, Recorder, f"unix:{tmp_path}/s") as (protocol, client):
        protocol.transport.write(b"now")
        assert client.recv(10) == b"now"
        ours, theirs = socket.socketpair()
        protocol.transport.sendFileDescriptor(theirs.fileno())
        protocol.transport.write(b"with it")
        data, descriptors, _, _ = await deferToThread(socket.recv_fds, client, 1, 4)
        assert (data, len(descriptors)) == (b"w", 1)
        with socket.socket(fileno=descriptors[0]) as got:
            got.sendall(b"!")
            assert ours.recv(1) == b"!"
        ours.close()
        theirs.close()
        protocol.transport.loseConnection()
        assert await deferToThread(readAll, client) == b"ith it"
        await protocol.lost


@pytest_twisted.ensureDeferred
async def test_outgoing_streams_are_eager_too(core: Any) -> None:
    """A client made on the same reactor sends at once and is told of the end."""
    from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol

    with socket.create_server(("127.0.0.1", 0)) as server:
        endpoint = TCP4ClientEndpoint(core, *server.getsockname())
        protocol = await connectProtocol(endpoint, Recorder())
        accepted, _ = server.accept()
        with accepted:
            protocol.transport.write(b"now")
            accepted.settimeout(10)
            assert accepted.recv(10) == b"now"
        assert isinstance(await protocol.lost, ConnectionDone)
