"""
Certificates: what the local authority is, and what it signs.

Values in, values out; where they are kept is L{loopbackd.tls.store}'s business. X.509: RFC 5280.

The authority can speak for this machine's loopback alone. Its critical name constraints permit
C{localhost} and C{test} with everything below them, 127.0.0.0/8 and ::1. A kind of name that is not
constrained would be permitted altogether, so mail addresses and URIs are bound to C{localhost} too.
Constraints on directory names are left out: Go refuses a chain with any constraint that it does not
know. What an unconstrained kind could still be good for (signing code or mail) its extended key
usage rules out: TLS servers and clients only.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

AUTHORITY_DAYS: Final = 825
"""How long an authority is good for."""

LEAF_DAYS: Final = 90
"""How long what it signs is good for."""

CRL_DAYS: Final = 7
"""How long a list of revoked certificates may be believed."""

BACKDATED: Final = timedelta(hours=1)
"""Certificates begin this long ago, for clocks that are behind."""

PERMITTED: Final = (
    x509.DNSName("localhost"),
    x509.DNSName("test"),
    x509.IPAddress(ipaddress.ip_network("127.0.0.0/8")),
    x509.IPAddress(ipaddress.ip_network("::1/128")),
    x509.RFC822Name("localhost"),
    x509.UniformResourceIdentifier("localhost"),
)
"""The authority's name constraints."""

_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_NETWORKS = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))
_PURPOSES = {
    "server": ExtendedKeyUsageOID.SERVER_AUTH,
    "client": ExtendedKeyUsageOID.CLIENT_AUTH,
}


@dataclass(frozen=True, slots=True)
class Credential:
    """A certificate with its key, and the certificates between it and a root."""

    key: Key
    certificate: x509.Certificate
    chain: tuple[x509.Certificate, ...] = ()


@dataclass(frozen=True, slots=True)
class Revocation:
    """A certificate that is not to be believed any more, by its serial number."""

    serial: int
    when: datetime


def addressIn(name: str) -> IPAddress | None:
    """The IP address that a name is written as; L{None} if it is no address."""
    try:
        return ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return None


def isPermitted(name: str) -> bool:
    """
    Whether the authority may sign a certificate for a host name or an address.

    A wildcard (C{*.app.test}) is judged by what is behind it.
    """
    address = addressIn(name)
    if address is not None:
        return any(
            address in network for network in _NETWORKS if network.version == address.version
        )
    labels = name.lower().removeprefix("*.").split(".")
    return (
        len(name) <= 253
        and labels[-1] in ("localhost", "test")
        and all(_LABEL.fullmatch(label) for label in labels)
    )


def newKey() -> ec.EllipticCurvePrivateKey:
    """A key on P-256."""
    return ec.generate_private_key(ec.SECP256R1())


def makeAuthority(now: datetime, key: Key | None = None) -> Credential:
    """
    A root that can sign for loopback names alone.

    @param key: to renew an authority rather than to make another: its name comes from the key.
    """
    key = key or newKey()
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    name = _name(f"loopbackd authority {identifier.digest.hex()[:8]}")
    builder = (
        _builder(name, key, name, identifier, now - BACKDATED, timedelta(days=AUTHORITY_DAYS))
        # One intermediate may follow: the one that a server leaves out on purpose.
        .add_extension(x509.BasicConstraints(ca=True, path_length=1), critical=True)
        .add_extension(_usage(signs=True), critical=True)
        .add_extension(_both(), critical=False)
        .add_extension(x509.NameConstraints(PERMITTED, None), critical=True)
    )
    return Credential(key, builder.sign(key, hashes.SHA256()))


def makeIntermediate(issuer: Credential, now: datetime) -> Credential:
    """An authority below another, that can sign leaves alone."""
    key = newKey()
    builder = (
        _builder(
            _name("loopbackd intermediate"),
            key,
            issuer.certificate.subject,
            _identifierOf(issuer.certificate),
            now - BACKDATED,
            timedelta(days=LEAF_DAYS),
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs=True), critical=True)
        .add_extension(_both(), critical=False)
    )
    return Credential(key, builder.sign(issuer.key, hashes.SHA256()), (issuer.certificate,))


def makeLeaf(
    issuer: Credential | None,
    names: Sequence[str],
    start: datetime,
    *,
    days: float = LEAF_DAYS,
    purpose: str = "server",
    key: Key | None = None,
    commonName: str | None = None,
    hasSubject: bool = True,
    hasNames: bool = True,
    crlAt: str = "",
) -> Credential:
    """
    A certificate for some names, whatever they are: the caller has asked L{isPermitted}.

    The defaults make a good one; the rest is for those that are wrong on purpose.

    @param issuer: L{None} for one that is signed by itself.
    @param names: hosts and addresses; a client's may be any words, which go into its subject.
    @param start: when it begins; it never outlives its issuer.
    @param purpose: C{"server"} or C{"client"}.
    @param commonName: by default the first name, if it fits; none for a server's address, which
        OpenSSL would take for a host outside of the constraints.
    @param crlAt: a URL of the list that says whether it was revoked.
    """
    key = key or newKey()
    length = timedelta(days=days)
    common = commonName
    if common is None:
        common = "" if purpose == "server" and addressIn(names[0]) else names[0]
    subject = _name(common[:64]) if hasSubject else x509.Name([])
    if issuer is None:
        above, signer = subject, key
        identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    else:
        above, signer = issuer.certificate.subject, issuer.key
        identifier = _identifierOf(issuer.certificate)
        left = issuer.certificate.not_valid_after_utc + timedelta(seconds=1) - start
        length = min(length, left)
    builder = (
        _builder(subject, key, above, identifier, start, length)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([_PURPOSES[purpose]]), critical=False)
    )
    if hasNames:
        general = [_general(name) for name in names if purpose == "server" or isPermitted(name)]
        if general:
            alternative = x509.SubjectAlternativeName(general)
            builder = builder.add_extension(alternative, critical=not hasSubject)
    if crlAt:
        where = [x509.UniformResourceIdentifier(crlAt)]
        point = x509.DistributionPoint(where, None, None, None)
        builder = builder.add_extension(x509.CRLDistributionPoints([point]), critical=False)
    certificate = builder.sign(signer, hashes.SHA256())
    isBelow = issuer is not None and issuer.chain
    return Credential(key, certificate, (issuer.certificate,) if issuer and isBelow else ())


def makeRevocationList(
    issuer: Credential, revocations: Iterable[Revocation], now: datetime
) -> x509.CertificateRevocationList:
    """The list of what an authority takes back, good for L{CRL_DAYS}."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.certificate.subject)
        .last_update(now - BACKDATED)
        .next_update(now + timedelta(days=CRL_DAYS))
        .add_extension(_authorityIdentifier(_identifierOf(issuer.certificate)), critical=False)
        # Rises with the time, so a later list has a higher number.
        .add_extension(x509.CRLNumber(int(now.timestamp())), critical=False)
    )
    for revocation in revocations:
        builder = builder.add_revoked_certificate(
            x509.RevokedCertificateBuilder(revocation.serial, revocation.when).build()
        )
    return builder.sign(issuer.key, hashes.SHA256())


def keyPEM(key: Key) -> bytes:
    """A key as text, not encrypted."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def certificatePEM(certificate: x509.Certificate) -> bytes:
    """A certificate as text."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def fingerprint(certificate: x509.Certificate) -> str:
    """The SHA-256 of a certificate, as openssl and browsers show it."""
    return certificate.fingerprint(hashes.SHA256()).hex(":").upper()


def _name(common: str) -> x509.Name:
    organization = x509.NameAttribute(NameOID.ORGANIZATION_NAME, "loopbackd")
    return x509.Name(
        [organization, *([x509.NameAttribute(NameOID.COMMON_NAME, common)] if common else [])]
    )


def _general(name: str) -> x509.GeneralName:
    address = addressIn(name)
    return x509.DNSName(name) if address is None else x509.IPAddress(address)


def _builder(
    subject: x509.Name,
    key: Key,
    issuer: x509.Name,
    issuerKey: x509.SubjectKeyIdentifier,
    start: datetime,
    length: timedelta,
) -> x509.CertificateBuilder:
    public = key.public_key()
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        # The last second is part of it (RFC 5280 4.1.2.5).
        .not_valid_after(start + length - timedelta(seconds=1))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(_authorityIdentifier(issuerKey), critical=False)
    )


def _identifierOf(certificate: x509.Certificate) -> x509.SubjectKeyIdentifier:
    return certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value


def _authorityIdentifier(key: x509.SubjectKeyIdentifier) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(key)


def _usage(signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _both() -> x509.ExtendedKeyUsage:
    return x509.ExtendedKeyUsage(list(_PURPOSES.values()))
