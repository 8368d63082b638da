"""Tests for L{loopbackd.tls.targethandshake}: whom it believes, and what else it says."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from OpenSSL import SSL
from twisted.internet.address import IPv4Address

from loopbackd.tls.certificates import Credential, makeAuthority, makeIntermediate, makeLeaf
from loopbackd.tls.contexts import NoSharedProtocol, Policy
from loopbackd.tls.hello import ClientHello
from loopbackd.tls.store import wallClock
from loopbackd.tls.targeterrors import (
    CertificateExpired,
    CertificateNotYetValid,
    CertificateRefused,
    HandshakeRefused,
    NoCommonProtocol,
    TargetTLSError,
    UnknownAuthority,
    WrongKey,
    WrongName,
)
from loopbackd.tls.targethandshake import TargetHandshake
from loopbackd.tls.targetpolicy import TargetPolicy, pinText, targetContext
from loopbackd.tls.terminator import Terminator
from loopbackd.tls.wrong import SITES, Site
from tls.ends import storeIn
from tls.targetcases import NAME, TARGET, leaf, serverEnd

BOTH = pytest.mark.parametrize("version", ["1.2", "1.3"])
EXPECTED = {
    "expired": CertificateExpired,
    "not-yet-valid": CertificateNotYetValid,
    "wrong.host": WrongName,
    "self-signed": UnknownAuthority,
    "untrusted-root": UnknownAuthority,
    "incomplete-chain": UnknownAuthority,
    "out-of-bounds": CertificateRefused,
    "wrong-purpose": CertificateRefused,
    "weak-key": CertificateRefused,
    "sha1": CertificateRefused,
    "no-names": WrongName,
}
# A list of the revoked is not looked at here; a certificate of ours is asked for in another test.
OTHER = ("revoked", "client")


def met(server: SSL.Connection, policy: TargetPolicy) -> TargetTLSError | None:
    """What comes of a handshake with that server; both ends are left as they are."""
    ours = TargetHandshake(targetContext(policy), policy, TARGET)
    said = ours.begin()
    try:
        while not ours.isDone:
            server.bio_write(said)
            with suppress(SSL.Error, NoSharedProtocol):
                server.do_handshake()
            said = ours.feed(server.bio_read(1 << 20))
    except TargetTLSError as error:
        assert str(error).startswith(f"{TARGET}: ") and "\n" not in str(error)
        if error.lastWords:
            server.bio_write(error.lastWords)
        return error
    if said:
        server.bio_write(said)
        server.do_handshake()
    return None


def trusting(tmp_path: Path, **others: Any) -> TargetPolicy:
    """Trusts the authority of the test alone."""
    words = {"authorities": (storeIn(tmp_path).root().certificate,), **others}
    return TargetPolicy(NAME, **words)


@pytest.mark.parametrize(
    "site", [one for one in SITES if one.name not in OTHER], ids=lambda site: site.name
)
def test_every_certificate_that_is_wrong_on_purpose(tmp_path: Path, site: Site) -> None:
    """Those that clients should refuse are refused, each for its reason; the others are not."""
    host = IPv4Address("TCP", "127.0.0.1", 443)
    server = Terminator(storeIn(tmp_path)).connect(ClientHello(site.host), host)
    policy = replace(trusting(tmp_path), serverName=site.host)
    error = met(server, policy)
    kind = EXPECTED.get(site.name)
    if kind is None:
        assert error is None
        return
    assert type(error) is kind
    if site.error and kind is CertificateRefused:
        words = {"weak-key": "key too weak", "sha1": "too weak"}.get(site.name, site.error)
        assert words in str(error)
    # Whoever is not believed is told.
    with pytest.raises(SSL.Error, match="alert"):
        server.do_handshake()


def test_every_site_has_its_say() -> None:
    """A site that is added is thought of here."""
    wrong = {one.name for one in SITES if one.error}
    assert wrong == {*EXPECTED, *OTHER}


@BOTH
@pytest.mark.parametrize("name", ["127.0.0.1", "::1"])
def test_an_address_is_verified_and_not_asked_for(tmp_path: Path, name: str, version: str) -> None:
    """RFC 6066 forbids addresses as server names."""
    root = storeIn(tmp_path).root()
    serves = Policy(minVersion=version, maxVersion=version)
    policy = replace(trusting(tmp_path), serverName=name)
    server = serverEnd(leaf(root, name), serves)
    assert met(server, policy) is None and server.get_servername() is None
    error = met(serverEnd(leaf(root, "localhost"), serves), policy)
    assert type(error) is WrongName and f"not for '{name}', but for 'localhost'" in str(error)


def test_a_wrong_name_says_which_would_be_right(tmp_path: Path) -> None:
    """As many as a line takes."""
    root = storeIn(tmp_path).root()
    names = ["other.test", *(f"n{number}.test" for number in range(100))]
    error = met(serverEnd(leaf(root, *names)), trusting(tmp_path))
    assert "'other.test, n0.test, n1.test" in str(error) and len(str(error)) < 300


def test_a_name_that_cannot_be_asked_for(tmp_path: Path) -> None:
    """As a client may have said it."""
    for name in ("a\0b", "b\N{LATIN SMALL LETTER U WITH DIAERESIS}cher.test"):
        policy = TargetPolicy(name)
        with pytest.raises(WrongName, match="no host name"):
            TargetHandshake(targetContext(policy), policy, TARGET)


def selfSigned(**others: Any) -> Credential:
    """A certificate without an authority."""
    return makeLeaf(None, [NAME], wallClock() - timedelta(days=40), **others)


@BOTH
def test_a_pin_is_enough(tmp_path: Path, version: str) -> None:
    """Signed by itself, for another name and expired: what counts is the key."""
    serves = Policy(minVersion=version, maxVersion=version)
    shown = selfSigned(days=1)
    unknown = met(serverEnd(shown, serves), trusting(tmp_path))
    assert isinstance(unknown, CertificateRefused)
    from OpenSSL import crypto

    from loopbackd.tls.targetpolicy import keyHash

    digest = keyHash(crypto.X509.from_cryptography(shown.certificate))
    policy = TargetPolicy("other.test", pin=digest)
    assert met(serverEnd(shown, serves), policy) is None
    # Below an authority, and that of an intermediate one, which nobody here knows.
    stranger = makeAuthority(wallClock())
    middle = makeIntermediate(stranger, wallClock())
    below = leaf(middle, key=shown.key)
    for chain in ((), (stranger.certificate,), (middle.certificate, stranger.certificate)):
        assert met(serverEnd(replace(below, chain=chain), serves), policy) is None


@BOTH
def test_another_key_than_the_pinned_one(tmp_path: Path, version: str) -> None:
    """However good the certificate is; and both pins are in the message."""
    root = storeIn(tmp_path).root()
    serves = Policy(minVersion=version, maxVersion=version)
    error = met(serverEnd(leaf(root), serves), trusting(tmp_path, pin=bytes(32)))
    assert type(error) is WrongKey
    assert pinText(bytes(32)) in str(error) and str(error).count("sha256:") == 2
    # The pinned key of an authority is not its own.
    from OpenSSL import crypto

    from loopbackd.tls.targetpolicy import keyHash

    above = keyHash(crypto.X509.from_cryptography(root.certificate))
    shown = replace(leaf(root), chain=(root.certificate,))
    assert type(met(serverEnd(shown, serves), trusting(tmp_path, pin=above))) is WrongKey


def test_whom_to_trust_can_be_the_certificate_itself(tmp_path: Path) -> None:
    """Or an intermediate authority whose root nobody knows."""
    shown = makeLeaf(None, [NAME], wallClock())
    policy = TargetPolicy(NAME, authorities=(shown.certificate,))
    assert met(serverEnd(shown), policy) is None
    assert type(met(serverEnd(selfSigned()), policy)) is UnknownAuthority
    middle = makeIntermediate(makeAuthority(wallClock()), wallClock())
    policy = TargetPolicy(NAME, authorities=(middle.certificate,))
    assert met(serverEnd(leaf(middle)), policy) is None


def test_the_system_knows_nobody_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless OpenSSL's own variable says so; a trusted authority still needs the right name."""
    root = storeIn(tmp_path).root()
    assert type(met(serverEnd(leaf(root)), TargetPolicy(NAME))) is UnknownAuthority
    monkeypatch.setenv("SSL_CERT_FILE", str(storeIn(tmp_path).publicPath))
    assert met(serverEnd(leaf(root)), TargetPolicy(NAME)) is None
    assert type(met(serverEnd(leaf(root)), TargetPolicy("x.test"))) is WrongName


def test_an_authority_that_has_expired(tmp_path: Path) -> None:
    """It is named, not the target's certificate."""
    old = makeAuthority(wallClock() - timedelta(days=1000))
    shown = makeLeaf(old, [NAME], wallClock() - timedelta(days=990))
    young = makeLeaf(None, [NAME], wallClock(), key=shown.key)
    policy = TargetPolicy(NAME, authorities=(old.certificate,))
    error = met(serverEnd(replace(shown, key=young.key)), policy)
    assert type(error) is CertificateExpired


def test_no_common_protocol(tmp_path: Path) -> None:
    """The target's alert is told as what it is."""
    root = storeIn(tmp_path).root()
    server = serverEnd(leaf(root), Policy(alpn=("http/1.1",)))
    error = met(server, trusting(tmp_path, alpn=(b"h2", b"postgresql")))
    assert type(error) is NoCommonProtocol and "h2, postgresql" in str(error)


def test_no_common_version(tmp_path: Path) -> None:
    """In OpenSSL's words."""
    root = storeIn(tmp_path).root()
    server = serverEnd(leaf(root), Policy(maxVersion="1.2"))
    error = met(server, trusting(tmp_path, minVersion="1.3"))
    assert type(error) is HandshakeRefused and "version" in str(error)


def test_names_in_certificates_are_escaped(tmp_path: Path) -> None:
    """They are the target's words."""
    bad = makeLeaf(None, ["x.test"], wallClock(), commonName="a\nb\x1b[2J")
    error = met(serverEnd(bad), trusting(tmp_path))
    assert type(error) is UnknownAuthority and str(error).isprintable()
