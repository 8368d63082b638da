"""Whether somebody who is trusted on this machine vouches for a certificate."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from loopbackd.doctor.checks.certificatewords import another, named, subject
from loopbackd.doctor.checks.handshake import short
from loopbackd.doctor.facts.judged import Judged, Verdict
from loopbackd.doctor.facts.served import Served
from loopbackd.doctor.finding import Finding, Severity

_OURS: Final = "loopbackd authority "


def checkTrust(served: Served, judged: Judged) -> Iterator[Finding]:
    """
    Whether a client believes who has signed what is shown.

    @param served: with at least one certificate.
    """
    system, own = judged.system, judged.own
    if system.isGood:
        if system.dated and system.dated not in (
            shown.subject.rfc4514_string() for shown in served.chain
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
    yield _stranger(served, judged)


def isOwnIssuer(certificate: x509.Certificate) -> bool:
    """Whether a certificate is signed by itself, as that of a root is."""
    try:
        certificate.verify_directly_issued_by(certificate)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _refused(verdict: Verdict, by: str) -> Finding:
    return Finding(
        "certificate-refused",
        Severity.PROBLEM,
        f"The certificate cannot be believed: {verdict.words}.",
        (f"OpenSSL, {by}: error {verdict.code} at {short(verdict.about)}",),
        ("have another one issued that keeps to what its authority may sign for",),
        75,
    )


def _stranger(served: Served, judged: Judged) -> Finding:
    """From somebody who is not trusted here."""
    said = _said(judged.system, judged)
    top = _top(served.chain)
    if isOwnIssuer(served.chain[0]):
        return Finding(
            "certificate-self-signed",
            Severity.PROBLEM,
            "The certificate is signed by itself: nobody vouches for it.",
            said,
            (another(served.name), "or have the client trust this very certificate"),
            75,
        )
    if isOwnIssuer(top):
        return Finding(
            "certificate-untrusted",
            Severity.PROBLEM,
            f"The certificate comes from {subject(top)}, an authority that this machine does not"
            " trust.",
            said,
            ("have that authority trusted, where you know whose it is", another(served.name)),
            75,
        )
    issuer = named(top.issuer)
    ours: tuple[str, ...] = ()
    if _OURS in issuer:
        ours = (
            "it is an authority of loopbackd's, and not the one of who asks: another user's, or one"
            f" that was replaced; yours is {judged.authority}",
        )
    return Finding(
        "certificate-issuer-missing",
        Severity.PROBLEM,
        f"The certificate of {issuer}, which signed {subject(top)}, is neither shown nor trusted"
        " here.",
        (*said, *ours),
        (
            "if it is between the certificate and a root: have the server show all of its chain"
            " (fullchain.pem)",
            "if it is a root of your own: have it trusted",
        ),
        75,
    )


def _top(chain: tuple[x509.Certificate, ...]) -> x509.Certificate:
    """The highest that is shown above the first, in whatever order they are."""
    there = {one.subject: one for one in reversed(chain[1:])}
    top = chain[0]
    while top.issuer in there and not isOwnIssuer(top):
        top = there.pop(top.issuer)
    return top


def _said(verdict: Verdict, judged: Judged) -> tuple[str, ...]:
    if verdict.isGood:
        return judged.variables
    words = (
        f"OpenSSL, with the authorities of this system: {verdict.words} ({short(verdict.about)})"
    )
    return (words, *judged.variables)
