"""Tests for L{loopbackd.tls.facts}."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from OpenSSL import SSL
from twisted.internet import reactor as realReactor
from twisted.internet.protocol import Protocol
from twisted.internet.testing import StringTransport

from loopbackd.settings import TLSSettings
from loopbackd.tls.certificates import certificatePEM, fingerprint, makeLeaf
from loopbackd.tls.facts import TLSFacts, describe, factsOf, identify
from tls.ends import client, clientContext, storeIn
from tls.served import served

reactor: Any = realReactor


class Telling(Protocol):
    """Keeps the facts of its last connection."""

    facts: TLSFacts | None = None

    def dataReceived(self, data: bytes) -> None:
        Telling.facts = factsOf(self.transport)
        self.transport.loseConnection()  # type: ignore[union-attr]


async def factsFor(asked: TLSSettings, *arguments: Any, **others: Any) -> TLSFacts:
    """What a service learns of a client like that."""

    def talk(port: int) -> None:
        with client(port, *arguments, **others) as one:
            one.say(b"x")
            assert one.hear() == b"" and one.ended

    await served(reactor, Telling, talk, asked)
    facts = Telling.facts
    assert facts is not None
    return facts


@pytest_twisted.ensureDeferred
async def test_of_an_ordinary_client() -> None:
    """Version, cipher, name and protocol as it saw them; no certificate, nothing resumed."""
    context = clientContext("1.3", alpn=(b"h2", b"http/1.1"))
    facts = await factsFor(TLSSettings(), context, "App.test")
    assert (facts.version, facts.bits) == ("TLSv1.3", 256)
    assert facts.cipher == "TLS_AES_256_GCM_SHA384"
    assert (facts.serverName, facts.alpn, facts.offered) == (
        "App.test",
        "http/1.1",
        ("h2", "http/1.1"),
    )
    assert (facts.resumed, facts.certificate) == (False, None)
    assert dataclasses.is_dataclass(facts) and dataclasses.replace(facts) == facts


@pytest_twisted.ensureDeferred
async def test_of_a_client_that_asks_for_nothing() -> None:
    """There is no name and no protocol then."""
    facts = await factsFor(TLSSettings(), clientContext("1.2"), None)
    assert facts.version == "TLSv1.2" and facts.cipher.startswith("ECDHE-ECDSA-")
    assert (facts.serverName, facts.alpn, facts.offered) == (None, None, ())


@pytest.mark.parametrize("version", ["1.2", "1.3"])
@pytest_twisted.ensureDeferred
async def test_of_a_client_with_a_certificate(tmp_path: Path, version: str) -> None:
    """Who it says it is, and what service-identity says of that."""
    store = storeIn(tmp_path)
    mine = makeLeaf(store.root(), ("me", "me.test", "127.0.0.1"), store.now(), purpose="client")
    context = clientContext(version, credential=mine)
    facts = await factsFor(TLSSettings(client_ca="own"), context)
    shown = facts.certificate
    assert shown is not None
    assert shown.subject == "CN=me,O=loopbackd"
    assert shown.issuer == store.root().certificate.subject.rfc4514_string()
    assert shown.names == ("dns:me.test", "ip:127.0.0.1")
    assert shown.fingerprint == fingerprint(mine.certificate)
    assert shown.pem == certificatePEM(mine.certificate).decode()
    assert int(shown.serial, 16) == mine.certificate.serial_number
    said = {one.name: (one.kind, one.matches) for one in shown.identities}
    assert said == {
        "me.test": ("dns", True),
        "127.0.0.1": ("ip", True),
        "localhost": ("dns", False),
    }


@pytest_twisted.ensureDeferred
async def test_of_a_session_that_goes_on() -> None:
    """It is said to be resumed."""
    context = clientContext("1.3")
    found: list[bool] = []

    class Resuming(Protocol):
        def dataReceived(self, data: bytes) -> None:
            facts = factsOf(self.transport)
            assert facts is not None
            found.append(facts.resumed)
            self.transport.write(data)  # type: ignore[union-attr]

    def talk(port: int) -> None:
        session = None
        for _ in range(2):
            with client(port, context, session=session) as one:
                one.say(b"x")
                one.hear(1)
                session = one.tls.get_session()

    await served(reactor, Resuming, talk, TLSSettings())
    assert found == [False, True]


def test_where_there_is_no_tls() -> None:
    """There are no facts."""
    assert factsOf(StringTransport()) is None
    assert factsOf(None) is None


@pytest.mark.parametrize(
    ("name", "matches", "why"),
    [
        ("a.test", True, ""),
        ("b.test", False, "DNSMismatch"),
        ("127.0.0.1", True, ""),
        ("127.0.0.2", False, "IPAddressMismatch"),
        ("::1", False, "IPAddressMismatch"),
        ("*", False, ""),
        ("", False, ""),
    ],
)
def test_what_service_identity_says(tmp_path: Path, name: str, matches: bool, why: str) -> None:
    """By name and by address; whatever is asked, there is an answer."""
    store = storeIn(tmp_path)
    made = makeLeaf(store.root(), ("a.test", "127.0.0.1"), store.now()).certificate
    said = identify(made, name)
    assert said.matches is matches
    assert why in said.why and bool(said.why) is not matches


def test_a_certificate_without_names(tmp_path: Path) -> None:
    """Is for nobody, in service-identity's words."""
    store = storeIn(tmp_path)
    made = makeLeaf(store.root(), ("me",), store.now(), purpose="client").certificate
    shown = describe(made, ["localhost"])
    assert shown.names == ()
    assert [one.matches for one in shown.identities] == [False]
    assert shown.identities[0].why


def test_what_pyopenssl_must_have() -> None:
    """The one private name that is read: it fails here when pyOpenSSL changes it."""
    from cryptography.hazmat.bindings.openssl.binding import Binding

    connection = SSL.Connection(clientContext(), None)
    assert Binding().lib.SSL_session_reused(connection._ssl) == 0
