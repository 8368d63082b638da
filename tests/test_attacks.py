"""Ways in which one client, or one user's protocol, once disturbed the others."""

from __future__ import annotations

import socket
import ssl
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from sockets import until
from twisted.internet import reactor as realReactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import Clock, deferLater
from twisted.internet.threads import deferToThread

from loopbackd.net.deadlines import Deadlines
from loopbackd.prepared import prepare
from loopbackd.settings import SettingsError, parse, read
from loopbackd.testing import addressOf, connect, converse, serving

reactor: Any = realReactor


def certificate(directory: Path) -> str:
    """A key and a certificate of its own for 127.0.0.1, as options of an ssl: endpoint."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), False
        )
        .sign(key, hashes.SHA256())
    )
    (directory / "k.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    (directory / "c.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    return f"privateKey={directory}/k.pem:certKey={directory}/c.pem"


def overTLS(port: int, say: bytes, pause: float = 0.0) -> bytes:
    """What a blocking TLS client hears, which begins its handshake after a pause; in a thread."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
        if pause:
            plain.settimeout(pause)
            with pytest.raises(TimeoutError):
                plain.recv(1)
            plain.settimeout(10)
        with context.wrap_socket(plain) as client:
            heard = b""
            while b"help, or" not in heard:
                heard += client.recv(4096)
            client.sendall(say)
            while part := client.recv(4096):
                heard += part
            return heard


@pytest.mark.parametrize("protocol", ["talk", "auto"])
@pytest_twisted.ensureDeferred
async def test_tls_shakes_hands_before_anybody_is_paused(tmp_path: Path, protocol: str) -> None:
    """Who is greeted under TLS hears it, also one whose handshake takes longer than a greeting."""
    endpoint = f"ssl:0:interface=127.0.0.1:{certificate(tmp_path)}"
    async with serving(reactor, protocol, endpoint=endpoint) as loopback:
        port = addressOf(loopback).port  # type: ignore[attr-defined]
        for pause in (0.0, 0.7):
            heard = await deferToThread(overTLS, port, b"whoami\nquit\n", pause)
            assert b"Hello from 127.0.0.1:" in heard
            assert b"uid " in heard and heard.endswith(b"Goodbye.\n")


def untilItEnds(host: str, port: int) -> None:
    """Connect, and listen until it is over, in whichever way; in a thread."""
    with suppress(ConnectionResetError), socket.create_connection((host, port), 10) as client:
        while client.recv(4096):
            pass


@pytest.mark.parametrize("where", ["connectionMade", "buildProtocol"])
@pytest_twisted.ensureDeferred
async def test_an_exit_does_not_end_the_listening(
    tmp_path: Path, where: str, loggedFailures: Any
) -> None:
    """sys.exit() in one client's protocol is one client's end."""
    (tmp_path / "p.py").write_text(
        "import sys\nfrom twisted.internet.protocol import Factory, Protocol\n"
        "class P(Protocol):\n"
        "    def connectionMade(self):\n"
        f"        if {where == 'connectionMade'}: sys.exit(3)\n"
        "class F(Factory):\n"
        "    protocol = P\n"
        "    def buildProtocol(self, addr):\n"
        f"        if {where == 'buildProtocol'}: sys.exit(3)\n"
        "        return super().buildProtocol(addr)\n"
    )
    async with serving(reactor, f"{tmp_path}/p.py:F") as loopback:
        address: Any = addressOf(loopback)
        for _ in range(3):
            await deferToThread(untilItEnds, address.host, address.port)
        await until(lambda: not len(loopback.connections))
        assert len(loggedFailures.flush(SystemExit)) == 3


def test_a_deadline_that_exits_does_not_stop_the_others(loggedFailures: Any) -> None:
    """Everybody waiting for the same moment gets it."""
    clock, due = Clock(), []

    def ring(thing: int) -> None:
        due.append(thing)
        raise SystemExit

    deadlines = Deadlines[int](clock, 1, ring)
    for thing in range(5):
        deadlines.start(thing)
    clock.advance(1)
    assert due == [0, 1, 2, 3, 4]
    assert len(loggedFailures.flush(SystemExit)) == 5


def test_deadlines_outlive_a_clock_that_is_set_back() -> None:
    """Those that begin afterwards are on time, and those before not later than that."""
    clock, due = Clock(), []
    deadlines = Deadlines[str](clock, 10, due.append)
    deadlines.start("before")
    clock.rightNow -= 3600
    deadlines.start("after")
    clock.advance(10)
    assert due == ["before", "after"]
    assert clock.getDelayedCalls() == []


@pytest_twisted.ensureDeferred
async def test_one_who_asks_for_much_does_not_hold_up_the_others() -> None:
    """Others get their turn between a hundred answers, and after every table."""
    async with serving(reactor, "talk") as loopback:
        greedy = await connect(reactor, loopback)
        await greedy.hears(70)
        greedy.transport.write(b"stats\n" * 10_000)  # type: ignore[union-attr]
        began = time.monotonic()
        answers = [converse(reactor, loopback, b"echo me\n") for _ in range(3)]
        heard = await gatherResults([Deferred.fromCoroutine(answer) for answer in answers])
        assert all(one.endswith(b"me\n") for one in heard)
        assert greedy.heard.count(b"test: ") < 10_000, time.monotonic() - began
        greedy.transport.abortConnection()  # type: ignore[union-attr]
        await greedy.finished.addErrback(lambda _: None)


@pytest_twisted.ensureDeferred
async def test_who_is_there_is_known_under_tls(tmp_path: Path) -> None:
    """The kernel is asked about the socket, not about what TLS calls its handle."""
    endpoint = f"ssl:0:interface=127.0.0.1:{certificate(tmp_path)}"
    async with serving(reactor, "talk", endpoint=endpoint) as loopback:
        port = addressOf(loopback).port  # type: ignore[attr-defined]
        heard = await deferToThread(overTLS, port, b"stats\nwhoami\nquit\n")
        assert b"unknown" not in heard
        assert b" Talk from 127.0.0.1:" in heard


def test_a_route_in_a_file_is_read_again(tmp_path: Path) -> None:
    """As a service's own protocol is."""
    (tmp_path / "u.py").write_text(
        "from twisted.internet.protocol import Protocol\nclass U(Protocol): pass\n"
    )
    text = "[[service]]\nname = 'a'\n[service.routes]\nother = './u.py:U'\n"
    settings = parse(text, "x")
    first, second = prepare(settings, tmp_path)["a"], prepare(settings, tmp_path)["a"]
    assert not first.isSame(second)
    plain = parse("[[service]]\nname = 'a'\n", "x")
    assert prepare(plain, tmp_path)["a"].isSame(prepare(plain, tmp_path)["a"])


@pytest_twisted.ensureDeferred
async def test_a_producer_that_fails_does_not_keep_the_end_from_its_protocol(
    tmp_path: Path, loggedFailures: Any
) -> None:
    """connectionLost is called in any case: who opened something can close it."""
    (tmp_path / "p.py").write_text(
        "from twisted.internet.protocol import Protocol\nlost = []\n"
        "class Producer:\n"
        "    def pauseProducing(self): pass\n"
        "    def resumeProducing(self): pass\n"
        "    def stopProducing(self): raise ZeroDivisionError\n"
        "class P(Protocol):\n"
        "    def connectionMade(self): self.transport.registerProducer(Producer(), True)\n"
        "    def dataReceived(self, data): self.transport.abortConnection()\n"
        "    def connectionLost(self, reason): lost.append(reason)\n"
    )
    async with serving(reactor, f"{tmp_path}/p.py:P") as loopback:
        client = await connect(reactor, loopback)
        client.transport.write(b"x")  # type: ignore[union-attr]
        await client.finished.addErrback(lambda _: None)
        while not sys.modules["loopbackd_file_p"].lost:
            await deferLater(reactor, 0, lambda: None)
        assert loggedFailures.flush(ZeroDivisionError)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a = " + "[" * 20_000, "nested too deeply"),
        (f"[[service]]\nendpoint = 'unix:/{'x' * 120}'", "has at most 107 bytes"),
        ('[[service]]\nendpoint = "unix:\\u0000abc"', "add lockfile=0"),
        ('[[service]]\nendpoint = "unix:/a\\u0000b"', "begins with its only NUL"),
    ],
)
def test_a_strange_configuration_is_one_line(text: str, says: str) -> None:
    """Whatever is in it, the operator reads what and what to do."""
    with pytest.raises(SettingsError, match=says) as raised:
        prepare(parse(text, "x"), Path())
    assert "\n" not in str(raised.value)


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    """Some editors write one."""
    path = tmp_path / "bom.toml"
    path.write_bytes(b"\xef\xbb\xbfdrain = 1\n")
    assert read(path).drain == 1
