"""Whether a certificate is fit for a server, whoever vouches for it: its strength, its purpose."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from loopbackd.doctor.checks.certificatewords import another, subject
from loopbackd.doctor.checks.trust import isOwnIssuer
from loopbackd.doctor.facts.judged import Judged
from loopbackd.doctor.facts.served import Served
from loopbackd.doctor.finding import Finding, Severity
from loopbackd.tls.facts import UNREADABLE

_RSA_BITS: Final = 2048
_EC_BITS: Final = 224
_WEAK: Final = frozenset({"md5", "sha1"})
_SERVES: Final = frozenset(
    {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}
)

E = TypeVar("E", bound=x509.ExtensionType)


def checkStrength(served: Served) -> Iterator[Finding]:
    """Whether clients of today take the keys and the signatures that are shown."""
    for certificate in dict.fromkeys(served.chain):
        weakness = _weakness(certificate)
        if weakness:
            yield Finding(
                "certificate-weak",
                Severity.PROBLEM,
                f"The key of {subject(certificate)} is too weak for today's clients: {weakness}.",
                (f"OpenSSL refuses RSA and DSA below {_RSA_BITS} bits at its usual level",),
                ("make a new key: RSA of 2048 bits, or ECDSA on P-256",),
                65,
            )
        hashed = _hashed(certificate)
        if hashed is not None and hashed.name in _WEAK and not isOwnIssuer(certificate):
            yield Finding(
                "certificate-weak",
                Severity.PROBLEM,
                f"{subject(certificate)} is signed with {hashed.name.upper()}, which clients"
                " refuse.",
                (f"signature: {certificate.signature_algorithm_oid._name}",),
                ("have it signed anew, with SHA-256",),
                65,
            )


def checkPurpose(served: Served, judged: Judged) -> Iterator[Finding]:
    """
    Whether the certificate is one for servers.

    @param served: with at least one certificate.
    """
    leaf = served.chain[0]
    usage = _extension(leaf, x509.ExtendedKeyUsage)
    if usage is not None and not _SERVES & set(usage):
        found = ", ".join(purpose._name for purpose in usage)
        yield Finding(
            "certificate-purpose",
            Severity.PROBLEM,
            f"The certificate is not for servers, but for {found}.",
            (f"extended key usage: {found}",),
            (another(served.name),),
            80,
        )
    constraints = _extension(leaf, x509.BasicConstraints)
    if constraints is not None and constraints.ca and judged.system.isGood:
        yield Finding(
            "certificate-is-authority",
            Severity.WARNING,
            "The certificate is that of an authority, which some clients refuse of a server"
            " (Firefox, rustls).",
            ("basic constraints: CA:TRUE",),
            (
                another(served.name),
                "with openssl req -x509: -addext basicConstraints=critical,CA:FALSE",
            ),
        )


def _extension(certificate: x509.Certificate, kind: type[E]) -> E | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except (x509.ExtensionNotFound, *UNREADABLE):
        return None


def _weakness(certificate: x509.Certificate) -> str:
    try:
        key = certificate.public_key()
    except Exception:
        # Of a kind that is not known here; cryptography has several exceptions for that.
        return ""
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < _RSA_BITS:
        return f"RSA of {key.key_size} bits"
    if isinstance(key, dsa.DSAPublicKey):
        return f"DSA of {key.key_size} bits"
    if isinstance(key, ec.EllipticCurvePublicKey) and key.key_size < _EC_BITS:
        return f"{key.curve.name} of {key.key_size} bits"
    return ""


def _hashed(certificate: x509.Certificate) -> hashes.HashAlgorithm | None:
    try:
        return certificate.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return None
