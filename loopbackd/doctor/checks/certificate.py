"""Whether clients would believe the certificate that a server shows, and why not."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from loopbackd.doctor.facts.served import Served, isTLS
from loopbackd.doctor.finding import Finding, Severity
from loopbackd.loglines import escape
from loopbackd.tls.facts import describe, identify

SOON: Final = timedelta(days=7)
"""Before its end, a certificate that is good is worth a word."""

_OLD: Final = frozenset({"SSLv3", "TLSv1", "TLSv1.1"})
_LEAST_BITS: Final = 2048
_WEAK: Final = frozenset({"md5", "sha1"})
_MOST_NAMES: Final = 5


def checkServed(shown: Served, where: str, now: datetime) -> Iterator[Finding]:
    """
    What is wrong with the TLS of a server.

    @param where: the address, in words.
    """
    if not shown.chain:
        yield _none(shown, where)
        return
    leaf = shown.chain[0]
    evidence = _evidence(leaf, shown)
    yield from _name(shown, leaf, evidence)
    yield from _dates(leaf, now, evidence)
    yield from _trust(shown, evidence)
    yield from _strength(leaf, shown, evidence)
    if shown.failure:
        yield Finding(
            "tls-refused",
            Severity.PROBLEM,
            f"{where} shows a certificate, and then ends the handshake.",
            (f"OpenSSL: {shown.failure}", *evidence),
            ("it may want a certificate of the client: see its log",),
            80,
        )


def _none(shown: Served, where: str) -> Finding:
    if shown.heard and not isTLS(shown.heard):
        return Finding(
            "not-tls",
            Severity.PROBLEM,
            f"{where} does not speak TLS.",
            (f"to a ClientHello it said {escape(repr(bytes(shown.heard[:40])))}",),
            ("use it without TLS: http:// in place of https://",),
            93,
        )
    if not shown.heard:
        return Finding(
            "tls-silent",
            Severity.PROBLEM,
            f"{where} does not answer to TLS.",
            (f"to a ClientHello: {shown.failure}",),
            ("it may speak something else, and wait for more: try it without TLS",),
            85,
        )
    return Finding(
        "tls-refused",
        Severity.PROBLEM,
        f"{where} speaks TLS, and refuses the handshake.",
        (f"asked for the name {shown.name!r}; OpenSSL: {shown.failure}",),
        (
            "use a name that it has a certificate for",
            "or see in its log which versions and ciphers it takes",
        ),
        88,
    )


def _evidence(leaf: x509.Certificate, shown: Served) -> tuple[str, ...]:
    said = describe(leaf)
    names = said.names[:_MOST_NAMES]
    more = f" and {len(said.names) - len(names)} more" if len(said.names) > len(names) else ""
    return (
        f"certificate: {escape(said.subject) or 'no subject'}, signed by {escape(said.issuer)}",
        f"for: {escape(', '.join(names))}{more}" if names else "for: no names that count",
        f"from {said.start:%Y-%m-%d %H:%M} to {said.end:%Y-%m-%d %H:%M} UTC",
        f"{len(shown.chain)} shown, {shown.version}",
    )


def _name(shown: Served, leaf: x509.Certificate, evidence: tuple[str, ...]) -> Iterator[Finding]:
    said = identify(leaf, shown.name)
    if not said.matches:
        yield Finding(
            "certificate-name",
            Severity.PROBLEM,
            f"The certificate is not for {shown.name!r}: clients refuse it.",
            (f"service-identity: {escape(said.why)}", *evidence),
            (
                "use one of its names",
                f"or have one made for it: loopbackd ca issue {shown.name}",
            ),
            92,
        )


def _dates(leaf: x509.Certificate, now: datetime, evidence: tuple[str, ...]) -> Iterator[Finding]:
    end = leaf.not_valid_after_utc
    if now > end:
        yield Finding(
            "certificate-expired",
            Severity.PROBLEM,
            f"The certificate has ended at {end:%Y-%m-%d %H:%M} UTC.",
            evidence,
            ("renew it, and have the server read it again",),
            94,
        )
    elif now < leaf.not_valid_before_utc:
        yield Finding(
            "certificate-not-yet-valid",
            Severity.PROBLEM,
            f"The certificate begins at {leaf.not_valid_before_utc:%Y-%m-%d %H:%M} UTC.",
            (f"it is {now:%Y-%m-%d %H:%M} UTC here", *evidence),
            ("set the clock of this machine right, or wait",),
            94,
        )
    elif end - now < SOON:
        yield Finding(
            "certificate-ends-soon",
            Severity.WARNING,
            f"The certificate ends at {end:%Y-%m-%d %H:%M} UTC.",
            evidence,
            ("renew it, and have the server read it again",),
        )


def _trust(shown: Served, evidence: tuple[str, ...]) -> Iterator[Finding]:
    if not shown.distrust:
        return
    said = f"OpenSSL: {shown.distrust}"
    if shown.isOwn:
        yield Finding(
            "certificate-of-local-authority",
            Severity.WARNING,
            "The local authority of loopbackd has signed it, which this system does not trust.",
            (said, *evidence),
            (
                "loopbackd ca trust",
                'or for one client: curl --cacert "$(loopbackd ca show --path)"',
            ),
        )
    elif shown.isSelfSigned:
        yield Finding(
            "certificate-self-signed",
            Severity.PROBLEM,
            "The certificate has signed itself: nobody trusts it.",
            (said, *evidence),
            ("have one made that is trusted: loopbackd ca trust, loopbackd ca issue NAME",),
            90,
        )
    else:
        yield Finding(
            "certificate-untrusted",
            Severity.PROBLEM,
            "Nobody whom this system trusts has signed the certificate, as far as it is shown.",
            (said, *evidence),
            (
                "have the server show the certificates between its own and the authority's",
                "or have clients trust that authority",
            ),
            90,
        )


def _strength(
    leaf: x509.Certificate, shown: Served, evidence: tuple[str, ...]
) -> Iterator[Finding]:
    key, digest = leaf.public_key(), leaf.signature_hash_algorithm
    weak = []
    if isinstance(key, (rsa.RSAPublicKey, dsa.DSAPublicKey)) and key.key_size < _LEAST_BITS:
        weak.append(f"a key of {key.key_size} bits")
    if digest is not None and digest.name in _WEAK:
        weak.append(f"a signature with {digest.name}")
    if weak:
        yield Finding(
            "certificate-weak",
            Severity.PROBLEM,
            f"The certificate has {' and '.join(weak)}: clients refuse it.",
            evidence,
            ("have one made with a key on P-256 or of 2048 bits, and SHA-256",),
            89,
        )
    if not _isForServers(leaf):
        yield Finding(
            "certificate-purpose",
            Severity.PROBLEM,
            "The certificate is not for servers: clients refuse it.",
            ("its extended key usage has no serverAuth", *evidence),
            ("have one made for servers: loopbackd ca issue NAME",),
            89,
        )
    if shown.version in _OLD:
        yield Finding(
            "tls-old",
            Severity.PROBLEM,
            f"The server speaks nothing newer than {shown.version}: clients refuse it (RFC 8996).",
            evidence,
            ("have the server speak TLS 1.2 or 1.3",),
            89,
        )


def _isForServers(leaf: x509.Certificate) -> bool:
    try:
        usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (x509.ExtensionNotFound, ValueError):
        return True
    return (
        ExtendedKeyUsageOID.SERVER_AUTH in usage
        or ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE in usage
    )
