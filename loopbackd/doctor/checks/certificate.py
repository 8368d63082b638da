"""Which certificate is served, and why a client would refuse it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from loopbackd.doctor.checks.handshake import short
from loopbackd.doctor.facts.judged import Judged, Verdict
from loopbackd.doctor.facts.served import Served
from loopbackd.doctor.finding import Finding, Severity
from loopbackd.hostport import joined
from loopbackd.tls.certificates import isPermitted
from loopbackd.tls.facts import identify, namesIn

SOON: Final = timedelta(days=7)
"""A certificate that ends within this time is one that is forgotten."""

_RSA_BITS: Final = 2048
_EC_BITS: Final = 224
_WEAK: Final = frozenset({"md5", "sha1"})
_NAMES: Final = 12
_OURS: Final = "loopbackd authority "
_SERVES: Final = frozenset(
    {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}
)

E = TypeVar("E", bound=x509.ExtensionType)


@dataclass(frozen=True, slots=True)
class _Shown:
    """What is looked at, and the words for it."""

    served: Served
    leaf: x509.Certificate
    where: str
    remedy: str


def checkCertificate(served: Served, judged: Judged, now: datetime) -> Iterator[Finding]:
    """
    Whether a client believes what is shown.

    @param served: with at least one certificate.
    @param now: the time, with its zone.
    """
    leaf = served.chain[0]
    one = _Shown(served, leaf, joined(served.host, served.port), _another(served.name))
    yield Finding(
        "certificate",
        Severity.NOTE,
        f"{one.where} shows the certificate of {_subject(leaf)}, from {_named(leaf.issuer)},"
        f" good until {leaf.not_valid_after_utc:%Y-%m-%d}.",
        (f"names: {_listed(leaf)}", f"certificates shown: {len(served.chain)}"),
    )
    yield from _name(one)
    yield from _dates(one, now)
    yield from _trust(one, judged)
    yield from _strength(one)
    yield from _purpose(one, judged)


def checkReadable(served: Served) -> Iterator[Finding]:
    """Whether what is shown is a certificate that everybody can read."""
    if served.unreadable:
        yield Finding(
            "certificate-unreadable",
            Severity.WARNING,
            f"The certificate that {joined(served.host, served.port)} shows cannot be read: it is"
            " malformed, and clients that are strict refuse it.",
            (f"cryptography: {short(served.unreadable)}",),
            (_another(served.name),),
            70,
        )


def _name(one: _Shown) -> Iterator[Finding]:
    leaf, name = one.leaf, one.served.name
    identity = identify(leaf, name)
    if identity.matches:
        return
    common = _common(leaf)
    if not namesIn(leaf) and common:
        yield Finding(
            "certificate-common-name-only",
            Severity.PROBLEM,
            f"The certificate has its name, {short(common)!r}, in its common name alone, where"
            " clients do not look any more.",
            ("it has no subject alternative names", f"service-identity: {identity.why}"),
            (one.remedy, "with openssl req: -addext subjectAltName=DNS:localhost,IP:127.0.0.1"),
            85,
        )
        return
    remedies = [
        f"ask for a name that it has: {joined(other, one.served.port)}"
        for kind, other in namesIn(leaf)
        if (kind == "dns" and other == "localhost") or (kind == "ip" and other == one.served.host)
    ]
    yield Finding(
        "certificate-name",
        Severity.PROBLEM,
        f"The certificate is not for {name!r}, but for {_listed(leaf)}.",
        (f"service-identity: {identity.why}",),
        (*remedies, one.remedy),
        85,
    )


def _dates(one: _Shown, now: datetime) -> Iterator[Finding]:
    for number, certificate in enumerate(dict.fromkeys(one.served.chain)):
        which = "The certificate" if not number else f"The authority {_subject(certificate)}"
        start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        span = f"{_subject(certificate)}: from {start:%F %T} to {end:%F %T} UTC"
        evidence = (span, f"it is {now:%F %T} UTC here")
        if now > end:
            yield Finding(
                "certificate-expired",
                Severity.PROBLEM,
                f"{which} expired on {end:%Y-%m-%d}, {_ago(now - end)} ago.",
                evidence,
                ("renew it, and have the server read it again", one.remedy),
                90,
            )
        elif now < start:
            yield Finding(
                "certificate-not-yet-valid",
                Severity.PROBLEM,
                f"{which} is not valid before {start:%Y-%m-%d}, in {_ago(start - now)}.",
                evidence,
                ("see whether the clocks are right, here and where it was made", one.remedy),
                90,
            )
        elif end - now < SOON:
            yield Finding(
                "certificate-ends-soon",
                Severity.WARNING,
                f"{which} expires on {end:%Y-%m-%d}, in {_ago(end - now)}.",
                evidence,
                ("renew it, and have the server read it again",),
            )


def _trust(one: _Shown, judged: Judged) -> Iterator[Finding]:
    system, own = judged.system, judged.own
    if system.isGood:
        if system.dated and system.dated not in (
            shown.subject.rfc4514_string() for shown in one.served.chain
        ):
            yield Finding(
                "certificate-expired",
                Severity.PROBLEM,
                f"The authority {short(system.dated)} above the certificate has expired.",
                _said(system, judged),
                ("have a newer certificate of that authority trusted, and another one issued",),
                85,
            )
        return
    if own is not None and own.isGood:
        yield Finding(
            "certificate-of-local-authority",
            Severity.WARNING,
            "The certificate comes from loopbackd's authority, which this machine does not trust.",
            (*_said(system, judged), f"with {judged.authority}: it is good"),
            (
                "loopbackd ca trust (--dry-run shows what that does)",
                f"or for one client: curl --cacert {judged.authority}",
            ),
            75,
        )
        return
    if own is not None and not own.isStranger:
        yield _refused(own, f"with loopbackd's authority, {judged.authority}")
        return
    if not system.isStranger:
        yield _refused(system, "with the authorities of this system")
        return
    yield _stranger(one, judged)


def _refused(verdict: Verdict, by: str) -> Finding:
    return Finding(
        "certificate-refused",
        Severity.PROBLEM,
        f"The certificate cannot be believed: {verdict.words}.",
        (f"OpenSSL, {by}: error {verdict.code} at {short(verdict.about)}",),
        ("have another one issued that keeps to what its authority may sign for",),
        75,
    )


def _stranger(one: _Shown, judged: Judged) -> Finding:
    """From somebody who is not trusted here."""
    said = _said(judged.system, judged)
    top = _top(one.served.chain)
    if _isOwnIssuer(one.leaf):
        return Finding(
            "certificate-self-signed",
            Severity.PROBLEM,
            "The certificate is signed by itself: nobody vouches for it.",
            said,
            (one.remedy, "or have the client trust this very certificate"),
            75,
        )
    if _isOwnIssuer(top):
        return Finding(
            "certificate-untrusted",
            Severity.PROBLEM,
            f"The certificate comes from {_subject(top)}, an authority that this machine does not"
            " trust.",
            said,
            ("have that authority trusted, where you know whose it is", one.remedy),
            75,
        )
    issuer = _named(top.issuer)
    ours: tuple[str, ...] = ()
    if _OURS in issuer:
        ours = (
            "it is an authority of loopbackd's, and not the one of who asks: another user's, or one"
            f" that was replaced; yours is {judged.authority}",
        )
    return Finding(
        "certificate-issuer-missing",
        Severity.PROBLEM,
        f"The certificate of {issuer}, which signed {_subject(top)}, is neither shown nor trusted"
        " here.",
        (*said, *ours),
        (
            "if it is between the certificate and a root: have the server show all of its chain"
            " (fullchain.pem)",
            "if it is a root of your own: have it trusted",
        ),
        75,
    )


def _strength(one: _Shown) -> Iterator[Finding]:
    for certificate in dict.fromkeys(one.served.chain):
        weakness = _weakness(certificate)
        if weakness:
            yield Finding(
                "certificate-weak",
                Severity.PROBLEM,
                f"The key of {_subject(certificate)} is too weak for today's clients: {weakness}.",
                (f"OpenSSL refuses RSA and DSA below {_RSA_BITS} bits at its usual level",),
                ("make a new key: RSA of 2048 bits, or ECDSA on P-256",),
                65,
            )
        hashed = _hashed(certificate)
        if hashed is not None and hashed.name in _WEAK and not _isOwnIssuer(certificate):
            yield Finding(
                "certificate-weak",
                Severity.PROBLEM,
                f"{_subject(certificate)} is signed with {hashed.name.upper()}, which clients"
                " refuse.",
                (f"signature: {certificate.signature_algorithm_oid._name}",),
                ("have it signed anew, with SHA-256",),
                65,
            )


def _purpose(one: _Shown, judged: Judged) -> Iterator[Finding]:
    leaf = one.leaf
    usage = _extension(leaf, x509.ExtendedKeyUsage)
    if usage is not None and not _SERVES & set(usage):
        found = ", ".join(purpose._name for purpose in usage)
        yield Finding(
            "certificate-purpose",
            Severity.PROBLEM,
            f"The certificate is not for servers, but for {found}.",
            (f"extended key usage: {found}",),
            (one.remedy,),
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
            (one.remedy, "with openssl req -x509: -addext basicConstraints=critical,CA:FALSE"),
        )


def _extension(certificate: x509.Certificate, kind: type[E]) -> E | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        return None


def _isOwnIssuer(certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(certificate)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _top(chain: tuple[x509.Certificate, ...]) -> x509.Certificate:
    """The highest that is shown above the first, in whatever order they are."""
    there = {one.subject: one for one in reversed(chain[1:])}
    top = chain[0]
    while top.issuer in there and not _isOwnIssuer(top):
        top = there.pop(top.issuer)
    return top


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


def _another(name: str) -> str:
    if isPermitted(name):
        return f"have one of loopbackd's authority: loopbackd ca issue {name}"
    return f"have another one issued, for {name}"


def _said(verdict: Verdict, judged: Judged) -> tuple[str, ...]:
    if verdict.isGood:
        return judged.variables
    words = (
        f"OpenSSL, with the authorities of this system: {verdict.words} ({short(verdict.about)})"
    )
    return (words, *judged.variables)


def _common(certificate: x509.Certificate) -> str:
    found = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[0].value) if found else ""


def _subject(certificate: x509.Certificate) -> str:
    return _named(certificate.subject) or "(no subject)"


def _named(name: x509.Name) -> str:
    return short(name.rfc4514_string())


def _listed(certificate: x509.Certificate) -> str:
    names = [value for _, value in namesIn(certificate)]
    if not names:
        return "nobody"
    more = len(names) - _NAMES
    return short(", ".join(names[:_NAMES]), 500) + (f" and {more} more" if more > 0 else "")


def _ago(time: timedelta) -> str:
    if time.days:
        return f"{time.days} day{'s' if time.days > 1 else ''}"
    hours = time.seconds // 3600
    return f"{hours} hour{'s' if hours > 1 else ''}" if hours else "less than an hour"
