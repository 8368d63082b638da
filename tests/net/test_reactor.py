"""The reactor services are built on: every way to get a stream, and what is none."""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from twisted.internet import error
from twisted.internet import reactor as realReactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import clientFromString, connectProtocol, serverFromString
from twisted.internet.interfaces import (
    IReactorFDSet,
    IReactorSocket,
    IReactorSSL,
    IReactorTCP,
    IReactorThreads,
    IReactorTime,
    IReactorUNIX,
)
from twisted.internet.protocol import ClientFactory, DatagramProtocol, Factory, Protocol
from twisted.internet.ssl import (
    CertificateOptions,
    PrivateCertificate,
    optionsForClientTLS,
    trustRootFromCertificates,
)
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from loopbackd.connection import Connection
from loopbackd.connections import Connections
from loopbackd.net.batch import BatchReactor
from loopbackd.net.reactor import Doorway, PlainReactor
from loopbackd.net.transport import Client, Server, UnixClient, UnixServer
from loopbackd.peer.identity import PeerIdentity
from loopbackd.protocols.classic import EchoFactory

reactor: Any = realReactor
NOBODY = PeerIdentity(None, 0, None, "", "a test")


@pytest.fixture(params=["batch", "plain"])
def core(request: pytest.FixtureRequest) -> Any:
    """A reactor of loopbackd's over the real one."""
    made = (BatchReactor if request.param == "batch" else PlainReactor)(reactor)
    yield made
    made.close()


class Entrance:
    """A door that is always open, and keeps a table."""

    def __init__(self) -> None:
        self.connections = Connections(lambda _: NOBODY, lambda: 0)

    def admit(self, sock: socket.socket, remote: Any) -> Connection | None:
        return self.connections.add("a", remote)

    def attach(self, transport: Any, protocol: Any) -> None:
        protocol.makeConnection(transport)

    def flooded(self, howMany: int) -> None: ...


class Hears(Protocol):
    """Says hello when it is connected; waits for it to come back."""

    def __init__(self) -> None:
        self.heard = b""
        self.whole: Deferred[bytes] = Deferred()
        self.lost: Deferred[None] = Deferred()

    def connectionMade(self) -> None:
        self.transport.write(b"hello")  # type: ignore[union-attr]

    def dataReceived(self, data: bytes) -> None:
        self.heard += data
        if self.heard == b"hello":
            self.whole.callback(self.heard)

    def connectionLost(self, reason: Any = None) -> None:
        self.lost.callback(None)


class Making(ClientFactory):
    """A client factory, for what has no endpoint."""

    noisy = False

    def __init__(self) -> None:
        self.made: Deferred[Hears] = Deferred()

    def buildProtocol(self, addr: Any) -> Hears:
        protocol = Hears()
        self.made.callback(protocol)
        return protocol

    def clientConnectionFailed(self, connector: Any, reason: Any) -> None:
        self.made.errback(reason)


@asynccontextmanager
async def listening(port: Any) -> AsyncIterator[Any]:
    """A port, closed at the end when its streams are."""
    try:
        yield port
    finally:
        await port.stopListening()
        await deferLater(reactor, 0.01, lambda: None)


async def talks(client: Hears) -> None:
    """Everything comes back; then both ends close."""
    await client.whole
    client.transport.loseConnection()  # type: ignore[union-attr]
    await client.lost


def test_it_is_a_reactor(core: Any) -> None:
    """What the real one provides is provided, and what is not a stream's is the real one's."""
    for interface in (IReactorTCP, IReactorUNIX, IReactorSSL, IReactorSocket, IReactorTime):
        assert interface.providedBy(core)
    assert IReactorThreads.providedBy(core) and IReactorFDSet.providedBy(core)
    assert core.callLater == reactor.callLater
    assert core.getThreadPool() is reactor.getThreadPool()
    doorway: Any = Doorway(core, Entrance())
    assert IReactorTCP.providedBy(doorway) and IReactorFDSet.providedBy(doorway)
    assert doorway.callLater == reactor.callLater
    assert doorway.addReader == core.addReader
    with pytest.raises(AttributeError):
        core.thereIsNoSuchThing  # noqa: B018


@pytest.mark.parametrize(
    ("server", "client"),
    [
        ("tcp:0:interface=127.0.0.1", "tcp:127.0.0.1:{}"),
        (r"tcp6:0:interface=\:\:1", r"tcp:\:\:1:{}"),
        ("unix:{}/s", "unix:{}/s"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_endpoints_are_eager_at_both_ends_and_pass_the_door(
    core: Any, tmp_path: Path, server: str, client: str
) -> None:
    """What is built on a doorway is in its table; what is built on the core is in none."""
    entrance = Entrance()
    for where, doors in ((Doorway(core, entrance), 1), (core, 0)):
        port = await serverFromString(where, server.format(tmp_path)).listen(EchoFactory())
        async with listening(port):
            where = client.format(getattr(port.getHost(), "port", tmp_path))
            protocol = await connectProtocol(clientFromString(core, where), Hears())
            assert isinstance(protocol.transport, Client | UnixClient)
            await protocol.whole
            assert len(entrance.connections) == doors
            await talks(protocol)
    assert len(entrance.connections) == 0


def authority() -> PrivateCertificate:
    """A certificate for localhost that signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), False)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    pem = serialization.Encoding.PEM
    words = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
    return PrivateCertificate.loadPEM(words + certificate.public_bytes(pem))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest_twisted.ensureDeferred
async def test_tls_at_both_ends(core: Any) -> None:
    """The calls that Twisted's reactors have for it."""
    certificate = authority()
    options = CertificateOptions(
        privateKey=certificate.privateKey.original, certificate=certificate.original
    )
    port = core.listenSSL(0, EchoFactory(), options, interface="127.0.0.1")
    async with listening(port):
        factory = Making()
        trust = optionsForClientTLS("localhost", trustRootFromCertificates([certificate]))
        core.connectSSL("127.0.0.1", port.getHost().port, factory, trust)
        await talks(await factory.made)


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6, socket.AF_UNIX])
@pytest_twisted.ensureDeferred
async def test_a_port_that_was_opened_by_somebody_else(
    core: Any, tmp_path: Path, family: socket.AddressFamily
) -> None:
    """As systemd does; it passes the door like any other."""
    entrance = Entrance()
    doorway: Any = Doorway(core, entrance)
    with socket.socket(family) as opened:
        if family == socket.AF_UNIX:
            opened.bind(str(tmp_path / "s"))
        else:
            opened.bind(("127.0.0.1" if family == socket.AF_INET else "::1", 0))
        opened.listen()
        opened.setblocking(False)
        port = doorway.adoptStreamPort(opened.fileno(), family, EchoFactory())
    async with listening(port):
        with socket.socket(family) as client:
            client.settimeout(10)
            await deferToThread(client.connect, opened_name(port, tmp_path))
            client.sendall(b"hello")
            assert await deferToThread(client.recv, 9) == b"hello"
            assert len(entrance.connections) == 1


def opened_name(port: Any, path: Path) -> Any:
    """Where to connect to."""
    host = port.getHost()
    return (host.host, host.port) if hasattr(host, "port") else str(path / "s")


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_UNIX])
@pytest_twisted.ensureDeferred
async def test_a_stream_that_was_accepted_by_somebody_else(
    core: Any, family: socket.AddressFamily
) -> None:
    """It is eager, and nobody's door is asked."""
    if family == socket.AF_UNIX:
        ours, theirs = socket.socketpair()
    else:
        with socket.create_server(("127.0.0.1", 0)) as server:
            theirs = socket.create_connection(server.getsockname())
            ours, _ = server.accept()
    ours.setblocking(False)
    built: list[Any] = []

    class Remembers(Factory):
        noisy = False

        def buildProtocol(self, addr: Any) -> Any:
            built.append(Hears())
            return built[0]

    with ours, theirs:
        core.adoptStreamConnection(ours.fileno(), family, Remembers())
        assert isinstance(built[0].transport, Server | UnixServer)
        assert theirs.recv(9) == b"hello"
        theirs.sendall(b"hello")
        await talks(built[0])


@pytest_twisted.ensureDeferred
async def test_a_connection_that_is_refused(core: Any) -> None:
    """The factory is told."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    factory = Making()
    core.connectTCP("127.0.0.1", port, factory)
    with pytest.raises(error.ConnectionRefusedError):
        await factory.made


@pytest_twisted.ensureDeferred
async def test_datagrams_are_the_real_reactors(core: Any) -> None:
    """They are no streams."""
    heard: Deferred[bytes] = Deferred()

    class Hear(DatagramProtocol):
        def datagramReceived(self, data: bytes, addr: Any) -> None:
            heard.callback(data)

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        bound.bind(("127.0.0.1", 0))
        bound.setblocking(False)
        where: Any = Doorway(core, Entrance())
        port = where.adoptDatagramPort(bound.fileno(), socket.AF_INET, Hear())
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.sendto(b"hello", bound.getsockname())
        assert await heard == b"hello"
        await port.stopListening()


@pytest_twisted.ensureDeferred
async def test_soon_is_before_long(core: Any) -> None:
    """Not at once, and not never."""
    done: Deferred[None] = Deferred()
    core.soon(lambda: done.callback(None))
    assert not done.called
    await done


def test_nothing_is_left_open_by_a_reactor_that_is_closed(core: Any) -> None:
    """A second close would find nothing either."""
    before = len(os.listdir("/proc/self/fd"))
    other = BatchReactor(reactor)
    assert len(os.listdir("/proc/self/fd")) == before + 1
    other.close()
    assert len(os.listdir("/proc/self/fd")) == before
