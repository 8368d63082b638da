"""Tests for L{loopbackd.tls.terminator} and L{loopbackd.tls.contexts}, with real clients."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from cryptography import x509
from cryptography.hazmat.bindings.openssl.binding import Binding
from OpenSSL import SSL
from twisted.internet import reactor as realReactor
from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.threads import deferToThread

from loopbackd.settings import TLSSettings
from loopbackd.testing import addressOf, serving
from loopbackd.tls.certificates import Credential, certificatePEM, makeAuthority, makeLeaf
from loopbackd.tls.hello import ClientHello
from loopbackd.tls.store import AuthorityStore, wallClock
from loopbackd.tls.terminator import MOST_CONTEXTS, Refusal, Terminator
from tls.ends import client, clientContext, ran, storeIn, trusting, written

reactor: Any = realReactor
HERE = IPv4Address("TCP", "127.0.0.1", 1)
ELSEWHERE = IPv4Address("TCP", "127.0.0.9", 1)
X25519, P256, P384, P521, X448 = 0x1D, 0x17, 0x18, 0x19, 0x1E


class Ticking:
    """A clock on the wall that is set by hand."""

    def __init__(self) -> None:
        self.now = wallClock()

    def __call__(self) -> datetime:
        return self.now


def namesOf(tls: SSL.Connection) -> list[str]:
    """The names in the certificate of our end."""
    certificate: Any = tls.get_certificate(as_cryptography=True)
    return [
        str(one.value)
        for one in certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    ]


def test_each_name_has_its_own_certificate(tmp_path: Path) -> None:
    """Who names none, or localhost, gets one for this machine and the address reached."""
    terminator = Terminator(storeIn(tmp_path))
    assert namesOf(terminator.connect(ClientHello("a.test"), HERE)) == ["a.test"]
    standard = ["localhost", "127.0.0.1", "::1"]
    assert namesOf(terminator.connect(ClientHello(), HERE)) == standard
    assert namesOf(terminator.connect(ClientHello("localhost"), HERE)) == standard
    assert namesOf(terminator.connect(ClientHello(), ELSEWHERE)) == [*standard, "127.0.0.9"]
    assert namesOf(terminator.connect(ClientHello(), UNIXAddress(b"/x"))) == standard
    assert namesOf(terminator.connect(ClientHello("127.0.0.7"), HERE)) == ["127.0.0.7"]
    away = IPv4Address("TCP", "192.0.2.1", 1)
    assert namesOf(terminator.connect(ClientHello(), away)) == standard


def test_a_certificate_is_made_once_a_day(tmp_path: Path) -> None:
    """Long before it ends there is another, with new keys for tickets."""
    clock = Ticking()
    terminator = Terminator(AuthorityStore(tmp_path / "a", clock))

    def context() -> SSL.Context:
        return terminator.connect(ClientHello("a.test"), HERE).get_context()

    first = context()
    assert context() is first
    clock.now += timedelta(hours=23)
    assert context() is first
    clock.now += timedelta(hours=2)
    assert context() is not first


def test_many_names_are_not_kept_for_ever(tmp_path: Path) -> None:
    """Who is asked for least recently goes first."""
    terminator = Terminator(storeIn(tmp_path))

    def context(name: str) -> SSL.Context:
        return terminator.connect(ClientHello(name), HERE).get_context()

    kept, gone = context("kept.test"), context("gone.test")
    for number in range(MOST_CONTEXTS - 1):
        context(f"n{number}.test")
        assert context("kept.test") is kept
    assert len(terminator._contexts) == MOST_CONTEXTS
    assert context("gone.test") is not gone


@pytest.mark.parametrize("name", ["example.com", "localhost.example.com", "10.0.0.1", "a_b", "*"])
def test_a_foreign_name_gets_none(tmp_path: Path, name: str) -> None:
    """Not even a certificate that its client would refuse."""
    with pytest.raises(Refusal, match="loopback names alone") as caught:
        Terminator(storeIn(tmp_path)).connect(ClientHello(name), HERE)
    assert (caught.value.alert, caught.value.isOurs) == (112, False)


def test_an_authority_that_cannot_be_had(tmp_path: Path) -> None:
    """Is our fault, and told as such."""
    (tmp_path / "file").touch()
    with pytest.raises(Refusal, match="LOOPBACKD_STATE_DIR") as caught:
        Terminator(AuthorityStore(tmp_path / "file" / "a")).connect(ClientHello(), HERE)
    assert (caught.value.alert, caught.value.isOurs) == (80, True)


@pytest.mark.parametrize(
    ("offered", "agreed"),
    [
        ((X25519, P256), "all"),
        ((), "all"),
        ((P521, P256, X25519), "secp256r1"),
        ((X448, P384), "secp384r1"),
        ((P521, X448), None),
    ],
)
def test_only_the_groups_of_the_profile(
    tmp_path: Path, offered: tuple[int, ...], agreed: str | None
) -> None:
    """A client that would rather have another gets one of ours, or none."""
    terminator = Terminator(storeIn(tmp_path))
    hello = ClientHello(groups=offered)
    if agreed is None:
        with pytest.raises(Refusal, match="no key exchange group"):
            terminator.connect(hello, HERE)
        return
    ours = terminator.connect(hello, HERE).get_context()
    plain = terminator.connect(ClientHello(), HERE).get_context()
    assert (ours is plain) is (agreed == "all")


@pytest.mark.parametrize(
    ("curves", "works"),
    [
        ("P-521", ""),
        ("X448", ""),
        ("P-521:P-384", "-tls1_3"),
        ("X25519", "-tls1_3"),
        ("P-521:P-384:P-256", "-tls1_2 -tls1_3"),
        ("X25519:P-256", "-tls1_2 -tls1_3"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_groups_on_the_wire(
    tmp_path: Path, program: Callable[..., str], curves: str, works: str
) -> None:
    """As openssl finds out; TLS 1.2 needs P-256 for the certificate, too."""
    openssl = program("openssl")
    async with serving(reactor, "echo", tls=TLSSettings()) as loopback:
        port = addressOf(loopback).port  # type: ignore[attr-defined]
        for version in ("-tls1_2", "-tls1_3"):
            words = ("-connect", f"127.0.0.1:{port}", version, "-curves", curves, "-brief")
            ended, said = await ran(openssl, "s_client", *words)
            assert (ended == 0) is (version in works), said
            assert "secp521r1" not in said and "P-521" not in said


# Versions, ALPN, sessions.


@pytest.mark.parametrize(
    ("asked", "works"),
    [
        (TLSSettings(), {"1.2", "1.3"}),
        (TLSSettings(min_version="1.3"), {"1.3"}),
    ],
)
@pytest_twisted.ensureDeferred
async def test_versions(asked: TLSSettings, works: set[str]) -> None:
    """What is too old gets an alert."""
    async with serving(reactor, "echo", tls=asked) as loopback:
        port = addressOf(loopback).port  # type: ignore[attr-defined]

        def attempt(version: str) -> bool:
            try:
                with client(port, clientContext(version)) as one:
                    return one.tls.get_protocol_version_name() == f"TLSv{version}"
            except SSL.Error:
                return False

        worked = {one for one in ("1.2", "1.3") if await deferToThread(attempt, one)}
        assert worked == works


@pytest.mark.parametrize(
    ("spoken", "offered", "agreed"),
    [
        (("http/1.1",), (b"h2", b"http/1.1"), b"http/1.1"),
        (("http/1.1",), (), b""),
        (("b", "a"), (b"a", b"b"), b"b"),
        ((), (b"h2",), b""),
        (("http/1.1",), (b"h2",), None),
    ],
)
@pytest_twisted.ensureDeferred
async def test_alpn(
    spoken: tuple[str, ...], offered: tuple[bytes, ...], agreed: bytes | None
) -> None:
    """Our favourite among the client's; nothing in common is no_application_protocol (RFC 7301)."""
    async with serving(reactor, "echo", tls=TLSSettings(alpn=spoken)) as loopback:
        port = addressOf(loopback).port  # type: ignore[attr-defined]

        def attempt() -> bytes | None:
            try:
                with client(port, clientContext(alpn=offered)) as one:
                    return one.tls.get_alpn_proto_negotiated()
            except SSL.Error as error:
                assert "no application protocol" in str(error)
                return None

        assert await deferToThread(attempt) == agreed


def sessions(port: int, context: SSL.Context, names: tuple[str, str]) -> bool:
    """Whether the second of two connections goes on with the session of the first."""
    with client(port, context, names[0]) as one:
        one.say(b"x")
        one.hear(1)
        session = one.tls.get_session()
    with client(port, context, names[1], session=session) as one:
        one.say(b"x")
        one.hear(1)
        return bool(Binding().lib.SSL_session_reused(one.tls._ssl))


@pytest.mark.parametrize("version", ["1.2", "1.3"])
@pytest_twisted.ensureDeferred
async def test_sessions_go_on_by_ticket(version: str) -> None:
    """With the same name; another name has other keys."""
    async with serving(reactor, "echo", tls=TLSSettings()) as loopback:
        port = addressOf(loopback).port  # type: ignore[attr-defined]
        context = clientContext(version)
        same, other = ("localhost", "localhost"), ("localhost", "a.test")
        assert await deferToThread(sessions, port, context, same)
        assert not await deferToThread(sessions, port, context, other)


# Clients with certificates.


class Clients:
    """Certificates that clients may try."""

    def __init__(self, store: AuthorityStore) -> None:
        now, root = store.now(), store.root()
        stranger = makeAuthority(now)
        later, before = timedelta(days=9), timedelta(days=30)
        self.tried: dict[str, Credential | None] = {
            "none": None,
            "good": makeLeaf(root, ("me",), now - later, purpose="client"),
            "foreign": makeLeaf(stranger, ("me",), now - later, purpose="client"),
            "server": makeLeaf(root, ("a.test",), now - later),
            "expired": makeLeaf(root, ("me",), now - before, days=9, purpose="client"),
            "early": makeLeaf(root, ("me",), now + later, purpose="client"),
            "revoked": makeLeaf(root, ("me",), now - later, purpose="client"),
            "itself": makeLeaf(None, ("me",), now - later, purpose="client"),
        }
        revoked = self.tried["revoked"]
        assert revoked is not None
        store.revoke(revoked.certificate.serial_number)


ALERTS = {
    "none": "certificate required|handshake failure",
    "foreign": "unknown ca",
    "server": "unsupported certificate|certificate unknown",
    "expired": "certificate expired",
    "early": "bad certificate",
    "revoked": "certificate revoked",
    "itself": "unknown ca",
}


def attempt(port: int, version: str, credential: Credential | None) -> str:
    """What becomes of a client; empty where it is served."""
    try:
        with client(port, clientContext(version, credential=credential)) as one:
            one.say(b"hello")
            # TLS 1.3 has no answer to the client's certificate before this.
            return "" if one.hear(5) == b"hello" else "cut off"
    except SSL.Error as error:
        return ", ".join(entry[-1] for entry in error.args[0])


@pytest.mark.parametrize("version", ["1.2", "1.3"])
@pytest.mark.parametrize("how", ["required", "optional"])
@pytest_twisted.ensureDeferred
async def test_clients_of_our_authority(tmp_path: Path, version: str, how: Any) -> None:
    """Only a good certificate comes in; where it is optional none will do as well."""
    tried = Clients(storeIn(tmp_path)).tried
    asked = TLSSettings(client_ca="own", client_certificate=how)
    async with serving(reactor, "echo", tls=asked) as loopback:
        port = addressOf(loopback).port  # type: ignore[attr-defined]
        for name, credential in tried.items():
            said = await deferToThread(attempt, port, version, credential)
            if name == "good" or (name, how) == ("none", "optional"):
                assert said == "", name
            else:
                assert re.search(ALERTS[name], said), (name, said)


@pytest_twisted.ensureDeferred
async def test_revoked_while_the_daemon_runs(tmp_path: Path) -> None:
    """The next handshake knows, and no session goes on to get around it."""
    store = storeIn(tmp_path)
    good = makeLeaf(store.root(), ("me",), store.now(), purpose="client")
    async with serving(reactor, "echo", tls=TLSSettings(client_ca="own")) as loopback:
        port = addressOf(loopback).port  # type: ignore[attr-defined]
        for version in ("1.2", "1.3"):
            context = clientContext(version, credential=good)
            assert not await deferToThread(sessions, port, context, ("localhost", "localhost"))
        store.revoke(good.certificate.serial_number)
        assert "revoked" in await deferToThread(attempt, port, "1.3", good)


@pytest_twisted.ensureDeferred
async def test_clients_of_another_authority(tmp_path: Path) -> None:
    """From a file that is relative to the configuration's; ours does not count then."""
    store = storeIn(tmp_path)
    theirs = makeAuthority(store.now())
    (tmp_path / "their.pem").write_bytes(certificatePEM(theirs.certificate))
    asked = TLSSettings(client_ca=str(tmp_path / "their.pem"))
    good = makeLeaf(theirs, ("me",), store.now(), purpose="client")
    ours = makeLeaf(store.root(), ("me",), store.now(), purpose="client")
    async with serving(reactor, "auto", tls=asked) as loopback:
        port = addressOf(loopback).port  # type: ignore[attr-defined]
        assert await deferToThread(attempt, port, "1.3", good) == ""
        assert "unknown ca" in await deferToThread(attempt, port, "1.3", ours)


@pytest_twisted.ensureDeferred
async def test_python_with_a_certificate(tmp_path: Path) -> None:
    """Both ends believe each other, by name and by address."""
    store = storeIn(tmp_path)
    context = trusting(store)
    good = makeLeaf(store.root(), ("me",), store.now(), purpose="client")
    context.load_cert_chain(written(tmp_path / "me.pem", good))

    def talk(port: int, name: str) -> bytes:
        with (
            socket.create_connection(("127.0.0.1", port), 10) as plain,
            context.wrap_socket(plain, server_hostname=name) as sock,
        ):
            sock.sendall(b"hello")
            return sock.recv(9)

    async with serving(reactor, "echo", tls=TLSSettings(client_ca="own")) as loopback:
        port = addressOf(loopback).port  # type: ignore[attr-defined]
        for name in ("localhost", "127.0.0.1", "::1", "app.test", "a.b.localhost"):
            assert await deferToThread(talk, port, name) == b"hello"


@pytest_twisted.ensureDeferred
async def test_renegotiation_is_not_had(program: Callable[..., str]) -> None:
    """A TLS 1.2 client that asks for it (R) is told so at once, and is served on."""
    openssl = program("openssl")
    async with serving(reactor, "echo", tls=TLSSettings()) as loopback:
        port = addressOf(loopback).port  # type: ignore[attr-defined]
        words = ("-connect", f"127.0.0.1:{port}", "-tls1_2")
        _, said = await ran(openssl, "s_client", *words, input="R\n")
        assert "RENEGOTIATING" in said and "no renegotiation" in said
