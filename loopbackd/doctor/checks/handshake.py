"""What a handshake that did not go well means, and how TLS is spoken where it did."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from loopbackd.doctor.facts.served import Outcome, Served
from loopbackd.doctor.finding import Finding, Severity
from loopbackd.hostport import joined
from loopbackd.loglines import escape

_OLD: Final = frozenset({"SSLv3", "TLSv1", "TLSv1.1"})
_UNKNOWN_NAME: Final = 112
_CERTIFICATE_REQUIRED: Final = 116
_NO_APPLICATION_PROTOCOL: Final = 120

_ALERTS: Final = {
    0: "close_notify",
    10: "unexpected_message",
    20: "bad_record_mac",
    22: "record_overflow",
    40: "handshake_failure",
    42: "bad_certificate",
    43: "unsupported_certificate",
    47: "illegal_parameter",
    48: "unknown_ca",
    49: "access_denied",
    50: "decode_error",
    51: "decrypt_error",
    70: "protocol_version",
    71: "insufficient_security",
    80: "internal_error",
    86: "inappropriate_fallback",
    90: "user_canceled",
    109: "missing_extension",
    110: "unsupported_extension",
    112: "unrecognized_name",
    113: "bad_certificate_status_response",
    115: "unknown_psk_identity",
    116: "certificate_required",
    120: "no_application_protocol",
}
"""RFC 8446 section 6."""

_SPEAKERS: Final = (
    (re.compile(rb"HTTP/\d"), "HTTP"),
    (re.compile(rb"SSH-\d"), "SSH"),
    (re.compile(rb"220[ -]"), "SMTP or FTP"),
    (re.compile(rb"\* OK"), "IMAP"),
    (re.compile(rb"\+OK"), "POP3"),
    (re.compile(rb"-(ERR|NOAUTH|DENIED)"), "Redis"),
    (re.compile(rb"AMQP"), "AMQP"),
    (re.compile(rb"RFB \d"), "VNC"),
    (re.compile(rb".[\x00-\x02]\x00\x00\n\d+\.", re.S), "MySQL"),
    (re.compile(rb"\x00[\x00\x01].\x04\x00\x00\x00\x00\x00", re.S), "HTTP/2"),
)
"""What servers begin with, and what that is."""

_STARTING: Final = frozenset({"SMTP or FTP", "IMAP", "POP3", "MySQL"})
"""Those that TLS can be begun in (STARTTLS, and the like)."""


def speaks(first: bytes) -> str:
    """Which protocol a server speaks that begins with that; empty where it is not known."""
    return next((name for pattern, name in _SPEAKERS if pattern.match(first)), "")


def shownBytes(data: bytes, most: int = 60) -> str:
    """Bytes of somebody else's in a line, as Python writes them."""
    return repr(data[:most])[1:] + ("..." if len(data) > most else "")


def short(text: str, most: int = 200) -> str:
    """Words of somebody else's in a line."""
    return escape(text[:most]) + ("..." if len(text) > most else "")


def alertName(number: int) -> str:
    """An alert in words."""
    return _ALERTS.get(number, f"alert {number}")


def checkHandshake(served: Served) -> Iterator[Finding]:
    """Whether TLS is spoken, and how."""
    where = joined(served.host, served.port)
    if served.outcome is Outcome.DONE:
        yield from _spoken(served, where)
    elif served.outcome is Outcome.PLAIN:
        yield _plain(served, where)
    elif served.outcome is Outcome.REFUSED:
        yield _refused(served, where)
    elif served.outcome is Outcome.SILENT:
        yield Finding(
            "tls-silent",
            Severity.PROBLEM,
            f"{where} does not answer a TLS client: a plain server that waits for more, or a"
            " server that is busy.",
            (f"nothing came in {served.seconds:.1f} s after our ClientHello",),
            ("see whether it speaks TLS at all on this port, and what it does just now",),
            70,
        )
    elif served.outcome in (Outcome.CLOSED, Outcome.RESET):
        yield Finding(
            "tls-hangs-up",
            Severity.PROBLEM,
            f"{where} hangs up on a TLS client.",
            (f"after our ClientHello: {served.why}",),
            (
                "it may not speak TLS on this port: try without, and look at its log",
                "or it wants something before it: a PROXY header, STARTTLS",
            ),
            70,
        )
    elif served.outcome is Outcome.BROKEN:
        yield Finding(
            "tls-broken",
            Severity.PROBLEM,
            f"{where} answers a TLS client with something that is no handshake.",
            (f"OpenSSL: {served.why}",),
            ("look at the log of the server; something between may have changed what it said",),
            70,
        )


def _spoken(served: Served, where: str) -> Iterator[Finding]:
    how = f"{served.version}, {served.cipher}" + (f", {served.alpn}" if served.alpn else "")
    if served.version in _OLD:
        yield Finding(
            "tls-old",
            Severity.PROBLEM,
            f"{where} speaks no newer TLS than {served.version}, which today's clients refuse.",
            (f"agreed on {how}, where 1.3 was offered as well",),
            ("have the server speak TLS 1.2 and 1.3 (RFC 8996)",),
            80,
        )
    else:
        yield Finding("tls-answers", Severity.NOTE, f"{where} speaks {served.version}.", (how,))
    if served.isCut and served.isAsked:
        yield _wantsCertificate(served, where)
    elif served.isAsked:
        yield Finding(
            "tls-client-certificate-asked",
            Severity.NOTE,
            f"{where} asks clients for a certificate, and takes those without one too.",
            ("a CertificateRequest came, and no alert after the handshake",),
        )


def _plain(served: Served, where: str) -> Finding:
    protocol = speaks(served.plain)
    spoken = protocol or "something else"
    remedy = [f"use it without TLS: {protocol or 'its own protocol'} is spoken there"]
    if protocol == "HTTP":
        remedy = [f"write http:// instead of https:// (ws:// instead of wss://) for {where}"]
    elif protocol in _STARTING:
        remedy = [f"{protocol} begins without TLS, and can change to it: have the client do that"]
    return Finding(
        "not-tls",
        Severity.PROBLEM,
        f"{where} does not speak TLS, but {spoken}.",
        (f"it answers a ClientHello with {shownBytes(served.plain)}",),
        (*remedy, "or TLS is on another port of that server"),
        90,
    )


def _refused(served: Served, where: str) -> Finding:
    alert = -1 if served.alert is None else served.alert
    evidence = (f"alert {alert} ({alertName(alert)}): {served.why}",)
    if alert == _CERTIFICATE_REQUIRED or served.isAsked:
        return _wantsCertificate(served, where)
    if alert == _UNKNOWN_NAME:
        return Finding(
            "tls-refused",
            Severity.PROBLEM,
            f"{where} has no certificate for the name {served.name!r}.",
            evidence,
            (
                "ask for a name that it has, or have it serve this one",
                "loopbackd signs for localhost, *.localhost, *.test, 127.0.0.0/8 and ::1",
            ),
            90,
        )
    remedy = "look at the log of the server: it knows why"
    if alert == _NO_APPLICATION_PROTOCOL:
        remedy = "it speaks none of the protocols that were offered (ALPN): HTTP/2 alone, for one"
    return Finding(
        "tls-refused",
        Severity.PROBLEM,
        f"{where} refuses TLS clients: {alertName(alert)}.",
        evidence,
        (remedy,),
        80,
    )


def _wantsCertificate(served: Served, where: str) -> Finding:
    then = "it hung up"
    if served.alert is not None:
        then = f"alert {served.alert} ({alertName(served.alert)})"
    return Finding(
        "tls-client-certificate",
        Severity.PROBLEM,
        f"{where} turns away clients that show no certificate.",
        ("it asked for one (CertificateRequest)", f"it got none: {then}"),
        (
            "have the client show one: curl --cert FILE --key FILE",
            "for a server of loopbackd's: loopbackd ca issue --client NAME",
        ),
        60,
    )
