"""Tests for L{loopbackd.tls.certificates}."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from loopbackd.tls.certificates import (
    AUTHORITY_DAYS,
    LEAF_DAYS,
    Revocation,
    certificatePEM,
    fingerprint,
    isPermitted,
    makeAuthority,
    makeIntermediate,
    makeLeaf,
    makeRevocationList,
)

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
ROOT = makeAuthority(NOW)


@pytest.mark.parametrize(
    "name",
    [
        "localhost",
        "LOCALHOST",
        "a.localhost",
        "deep.er.app.test",
        "test",
        "*.app.test",
        "under_score.test",
        "127.0.0.1",
        "127.255.255.254",
        "::1",
        "[::1]",
        "x" * 63 + ".test",
    ],
)
def test_loopback_names_are_permitted(name: str) -> None:
    """Those that can only mean this machine."""
    assert isPermitted(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "example.com",
        "localhost.example.com",
        "notlocalhost",
        "mytest",
        "test.com",
        "a..test",
        ".test",
        "-a.test",
        "a-.test",
        "*.*.test",
        "a.*.test",
        "x" * 64 + ".test",
        "a." * 126 + "test",
        "a b.test",
        "ä.test",
        "a.test\0",
        "a.test\n",
        "128.0.0.1",
        "10.0.0.1",
        "0.0.0.0",
        "::",
        "::2",
        "::ffff:127.0.0.1",
        "fe80::1",
    ],
)
def test_other_names_are_not(name: str) -> None:
    """Whatever could be somebody else's, or is no name."""
    assert not isPermitted(name)


def test_the_authority_is_bound() -> None:
    """825 days, a critical pathlen and constraints for every kind of name that clients look at."""
    certificate = ROOT.certificate
    length = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    assert length < timedelta(days=AUTHORITY_DAYS)
    constraints = certificate.extensions.get_extension_for_class(x509.NameConstraints)
    assert constraints.critical
    kinds = {type(name) for name in constraints.value.permitted_subtrees or ()}
    assert kinds == {
        x509.DNSName,
        x509.IPAddress,
        x509.RFC822Name,
        x509.UniformResourceIdentifier,
    }
    usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert set(usages) == {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}
    basic = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert basic.critical and basic.value.ca and basic.value.path_length == 1


def test_a_renewed_authority_is_the_same_to_what_it_signed() -> None:
    """Same name, same key, another serial number."""
    later = makeAuthority(NOW + timedelta(days=800), ROOT.key)
    assert later.certificate.subject == ROOT.certificate.subject
    assert later.certificate.serial_number != ROOT.certificate.serial_number
    makeLeaf(ROOT, ("a.test",), NOW).certificate.verify_directly_issued_by(later.certificate)


def test_a_leaf() -> None:
    """90 days at most, for those names, by a random number, bound to its issuer's key."""
    leaf = makeLeaf(ROOT, ("a.test", "127.0.0.1", "::1"), NOW).certificate
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["a.test"]
    assert [str(one) for one in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "::1"]
    assert leaf.not_valid_after_utc - NOW < timedelta(days=LEAF_DAYS)
    assert leaf.serial_number.bit_length() > 64
    above = leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    own = ROOT.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    assert above.key_identifier == own.key_identifier


def test_a_leaf_does_not_outlive_its_issuer() -> None:
    """Near the end of the authority it is shorter."""
    end = ROOT.certificate.not_valid_after_utc
    assert (
        makeLeaf(ROOT, ("a.test",), end - timedelta(days=2)).certificate.not_valid_after_utc == end
    )


def test_a_client_may_be_called_anything() -> None:
    """What is no loopback name is in the subject alone."""
    made = makeLeaf(ROOT, ("Alice & Bob", "a.test"), NOW, purpose="client").certificate
    assert "Alice & Bob" in made.subject.rfc4514_string()
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["a.test"]


@pytest.mark.parametrize("name", ["a.test", "localhost", "x.y.localhost"])
def test_cryptography_believes_it(name: str) -> None:
    """Its verifier is strict about the form of certificates."""
    leaf = makeLeaf(ROOT, (name,), NOW).certificate
    builder = PolicyBuilder().store(Store([ROOT.certificate])).time(NOW + timedelta(hours=1))
    verifier = builder.build_server_verifier(x509.DNSName(name))
    assert verifier.verify(leaf, [])[0] == leaf


@pytest.mark.parametrize("name", ["example.com", "localhost.example.com", "8.8.8.8"])
def test_cryptography_refuses_what_is_out_of_bounds(name: str) -> None:
    """Although our authority has signed it."""
    leaf = makeLeaf(ROOT, ("a.test", name), NOW).certificate
    builder = PolicyBuilder().store(Store([ROOT.certificate])).time(NOW + timedelta(hours=1))
    with pytest.raises(VerificationError):
        builder.build_server_verifier(x509.DNSName("a.test")).verify(leaf, [])


def verified(openssl: str, tmp_path: Path, leaf: x509.Certificate, *more: str) -> str:
    """What C{openssl verify} says of a leaf; empty for good."""
    (tmp_path / "root").write_bytes(certificatePEM(ROOT.certificate))
    (tmp_path / "leaf").write_bytes(certificatePEM(leaf))
    when = str(int((NOW + timedelta(hours=1)).timestamp()))
    words = [openssl, "verify", "-x509_strict", "-attime", when, "-CAfile", str(tmp_path / "root")]
    ran = subprocess.run([*words, *more, str(tmp_path / "leaf")], capture_output=True, text=True)
    assert (ran.returncode == 0) == (ran.stdout.endswith("leaf: OK\n"))
    return "" if ran.returncode == 0 else ran.stdout + ran.stderr


@pytest.mark.parametrize(
    ("names", "isGood"),
    [
        (("a.test",), True),
        (("localhost", "127.0.0.1", "::1"), True),
        (("*.a.test",), True),
        (("127.0.0.1",), True),
        (("::1", "127.0.0.1"), True),
        (("example.com",), False),
        (("a.test", "example.com"), False),
        (("10.0.0.1",), False),
        (("::2",), False),
    ],
)
def test_openssl_verify(
    program: Callable[..., str], tmp_path: Path, names: tuple[str, ...], isGood: bool
) -> None:
    """Strictly; what is out of bounds is refused for that."""
    said = verified(program("openssl"), tmp_path, makeLeaf(ROOT, names, NOW).certificate)
    assert ("permitted subtree violation" in said) is not isGood
    assert bool(said) is not isGood


def test_openssl_refuses_a_foreign_common_name(program: Callable[..., str], tmp_path: Path) -> None:
    """A certificate without names, whose subject is a host elsewhere."""
    leaf = makeLeaf(ROOT, ("a.test",), NOW, commonName="example.com", hasNames=False)
    assert "permitted subtree violation" in verified(program("openssl"), tmp_path, leaf.certificate)


@pytest.mark.parametrize(
    "name",
    [x509.RFC822Name("me@example.com"), x509.UniformResourceIdentifier("https://example.com/")],
)
def test_openssl_refuses_foreign_mail_and_uris(
    program: Callable[..., str], tmp_path: Path, name: x509.GeneralName
) -> None:
    """Kinds of name that would be free if they were not constrained as well."""
    key, now = ROOT.key, NOW
    plain = makeLeaf(ROOT, ("a.test",), NOW).certificate
    builder = x509.CertificateBuilder(
        ROOT.certificate.subject, plain.subject, plain.public_key(), plain.serial_number
    )
    builder = builder.not_valid_before(now).not_valid_after(now + timedelta(days=1))
    for extension in plain.extensions:
        value = extension.value
        if isinstance(value, x509.SubjectAlternativeName):
            value = x509.SubjectAlternativeName([name])
        builder = builder.add_extension(value, extension.critical)
    leaf = builder.sign(key, plain.signature_hash_algorithm)
    assert "permitted subtree violation" in verified(program("openssl"), tmp_path, leaf)


def test_no_authority_below_an_intermediate(program: Callable[..., str], tmp_path: Path) -> None:
    """The chain may have one, and the constraints hold below it."""
    middle = makeIntermediate(ROOT, NOW)
    (tmp_path / "middle").write_bytes(certificatePEM(middle.certificate))
    more = ("-untrusted", str(tmp_path / "middle"))
    openssl = program("openssl")
    good = makeLeaf(middle, ("a.test",), NOW)
    assert good.chain == (middle.certificate,)
    assert verified(openssl, tmp_path, good.certificate, *more) == ""
    bad = makeLeaf(middle, ("example.com",), NOW).certificate
    assert "permitted subtree violation" in verified(openssl, tmp_path, bad, *more)


def test_the_revocation_list(program: Callable[..., str], tmp_path: Path) -> None:
    """openssl believes it, and refuses what is in it."""
    openssl = program("openssl")
    good, bad = (makeLeaf(ROOT, ("a.test",), NOW).certificate for _ in range(2))
    listed = makeRevocationList(ROOT, [Revocation(bad.serial_number, NOW)], NOW)
    (tmp_path / "crl").write_bytes(listed.public_bytes(Encoding.PEM))
    more = ("-crl_check", "-CRLfile", str(tmp_path / "crl"))
    assert verified(openssl, tmp_path, good, *more) == ""
    assert "certificate revoked" in verified(openssl, tmp_path, bad, *more)


def test_the_fingerprint(program: Callable[..., str], tmp_path: Path) -> None:
    """As openssl shows it."""
    (tmp_path / "root").write_bytes(certificatePEM(ROOT.certificate))
    words = [program("openssl"), "x509", "-noout", "-fingerprint", "-sha256"]
    words += ["-in", str(tmp_path / "root")]
    shown = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    assert shown.strip().partition("=")[2] == fingerprint(ROOT.certificate)
