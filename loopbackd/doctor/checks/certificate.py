"""Which certificate is served, and why a client would refuse it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.x509.oid import NameOID

from loopbackd.doctor.checks.certificatewords import another, listed, named, subject
from loopbackd.doctor.checks.fitness import checkPurpose, checkStrength
from loopbackd.doctor.checks.handshake import short
from loopbackd.doctor.checks.trust import checkTrust
from loopbackd.doctor.facts.judged import Judged
from loopbackd.doctor.facts.served import Served
from loopbackd.doctor.finding import Finding, Severity
from loopbackd.hostport import joined
from loopbackd.tls.facts import identify, namesIn

SOON: Final = timedelta(days=7)
"""A certificate that ends within this time is one that is forgotten."""


def checkCertificate(served: Served, judged: Judged, now: datetime) -> Iterator[Finding]:
    """
    Whether a client believes what is shown.

    @param served: with at least one certificate.
    @param now: the time, with its zone.
    """
    leaf = served.chain[0]
    yield Finding(
        "certificate",
        Severity.NOTE,
        f"{joined(served.host, served.port)} shows the certificate of {subject(leaf)}, from"
        f" {named(leaf.issuer)}, good until {leaf.not_valid_after_utc:%Y-%m-%d}.",
        (f"names: {listed(leaf)}", f"certificates shown: {len(served.chain)}"),
    )
    yield from _name(served)
    yield from _dates(served, now)
    yield from checkTrust(served, judged)
    yield from checkStrength(served)
    yield from checkPurpose(served, judged)


def checkReadable(served: Served) -> Iterator[Finding]:
    """Whether what is shown is a certificate that everybody can read."""
    if served.unreadable:
        yield Finding(
            "certificate-unreadable",
            Severity.WARNING,
            f"The certificate that {joined(served.host, served.port)} shows cannot be read: it is"
            " malformed, and clients that are strict refuse it.",
            (f"cryptography: {short(served.unreadable)}",),
            (another(served.name),),
            70,
        )


def _name(served: Served) -> Iterator[Finding]:
    leaf, name = served.chain[0], served.name
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
            (another(name), "with openssl req: -addext subjectAltName=DNS:localhost,IP:127.0.0.1"),
            85,
        )
        return
    remedies = [
        f"ask for a name that it has: {joined(other, served.port)}"
        for kind, other in namesIn(leaf)
        if (kind == "dns" and other == "localhost") or (kind == "ip" and other == served.host)
    ]
    yield Finding(
        "certificate-name",
        Severity.PROBLEM,
        f"The certificate is not for {name!r}, but for {listed(leaf)}.",
        (f"service-identity: {identity.why}",),
        (*remedies, another(name)),
        85,
    )


def _dates(served: Served, now: datetime) -> Iterator[Finding]:
    for number, certificate in enumerate(dict.fromkeys(served.chain)):
        which = "The certificate" if not number else f"The authority {subject(certificate)}"
        start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        span = f"{subject(certificate)}: from {start:%F %T} to {end:%F %T} UTC"
        evidence = (span, f"it is {now:%F %T} UTC here")
        if now > end:
            yield Finding(
                "certificate-expired",
                Severity.PROBLEM,
                f"{which} expired on {end:%Y-%m-%d}, {_ago(now - end)} ago.",
                evidence,
                ("renew it, and have the server read it again", another(served.name)),
                90,
            )
        elif now < start:
            yield Finding(
                "certificate-not-yet-valid",
                Severity.PROBLEM,
                f"{which} is not valid before {start:%Y-%m-%d}, in {_ago(start - now)}.",
                evidence,
                (
                    "see whether the clocks are right, here and where it was made",
                    another(served.name),
                ),
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


def _common(certificate: x509.Certificate) -> str:
    found = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[0].value) if found else ""


def _ago(time: timedelta) -> str:
    if time.days:
        return f"{time.days} day{'s' if time.days > 1 else ''}"
    hours = time.seconds // 3600
    return f"{hours} hour{'s' if hours > 1 else ''}" if hours else "less than an hour"
