"""What is known of a connection's TLS: how it is encrypted, and who the client says it is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.bindings.openssl.binding import Binding
from OpenSSL import SSL
from service_identity import CertificateError, VerificationError
from service_identity.cryptography import (
    verify_certificate_hostname,
    verify_certificate_ip_address,
)
from twisted.internet.interfaces import ISSLTransport

from loopbackd.tls.certificates import addressIn, certificatePEM, fingerprint

UNREADABLE: Final = (
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
    ValueError,
    LookupError,
)
"""What cryptography raises where the extensions of a certificate make no sense to it."""

_LONGEST_REASON: Final = 200


@dataclass(frozen=True, slots=True)
class Identity:
    """
    What service-identity (RFC 6125, RFC 9525) says of a certificate and a name.

    @ivar kind: C{"dns"} or C{"ip"}.
    @ivar matches: whether the certificate is for that name.
    @ivar why: why it is not; empty if it is.
    """

    name: str
    kind: str
    matches: bool
    why: str = ""


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """
    A certificate that a client showed; it has the key, and its authority is trusted here.

    @ivar subject: as RFC 4514 writes it, the most specific part first.
    @ivar serial: in hexadecimal.
    @ivar names: its subject alternative names as C{kind:value}.
    @ivar fingerprint: SHA-256, in hexadecimal with colons.
    @ivar identities: what service-identity says of the names it could be asked for.
    """

    subject: str
    issuer: str
    serial: str
    start: datetime
    end: datetime
    names: tuple[str, ...]
    fingerprint: str
    pem: str
    identities: tuple[Identity, ...]


@dataclass(frozen=True, slots=True)
class TLSFacts:
    """
    The TLS of one connection.

    @ivar version: C{"TLSv1.3"} or C{"TLSv1.2"}.
    @ivar cipher: its name in OpenSSL's words.
    @ivar bits: the strength of the cipher.
    @ivar group: what the key was exchanged with, where OpenSSL tells.
    @ivar serverName: what the client asked for (SNI); L{None} for nothing.
    @ivar offered: what the client offered by ALPN, escaped.
    @ivar alpn: what was agreed on; L{None} for nothing.
    @ivar resumed: whether an earlier session goes on.
    @ivar certificate: the client's; L{None} if it was not asked, or showed none.
    """

    version: str
    cipher: str
    bits: int
    group: str | None
    serverName: str | None
    offered: tuple[str, ...]
    alpn: str | None
    resumed: bool
    certificate: ClientCertificate | None


def factsOf(transport: object) -> TLSFacts | None:
    """
    The facts about a protocol's transport; L{None} where there is no TLS on it, or no more.

    Twisted's own TLS transports have them as well; what the client offered is not known there.
    """
    if not ISSLTransport.providedBy(transport):
        return None
    handle: Any = transport
    tls = handle.getHandle()
    if not isinstance(tls, SSL.Connection) or tls.get_cipher_name() is None:
        return None
    hello = getattr(transport, "hello", None)
    certificate: Any = tls.get_peer_certificate(as_cryptography=True)
    serverName = tls.get_servername()
    asked = ["localhost", getattr(handle.getPeer(), "host", "")]
    alpn = tls.get_alpn_proto_negotiated()
    return TLSFacts(
        version=tls.get_protocol_version_name(),
        cipher=tls.get_cipher_name() or "",
        bits=tls.get_cipher_bits() or 0,
        group=tls.get_group_name() if hasattr(tls, "get_group_name") else None,
        serverName=_shown(serverName) if serverName else None,
        offered=tuple(_shown(one) for one in hello.alpn) if hello is not None else (),
        alpn=_shown(alpn) if alpn else None,
        resumed=_isResumed(tls),
        certificate=None if certificate is None else describe(certificate, asked),
    )


def describe(certificate: x509.Certificate, asked: Iterable[str] = ()) -> ClientCertificate:
    """
    A certificate in words.

    @param asked: the names to ask service-identity for, besides those that are in it.
    """
    names = namesIn(certificate)
    own = [value for kind, value in names if kind in ("dns", "ip") and "*" not in value]
    wanted = dict.fromkeys([*own, *(name for name in asked if name)])
    return ClientCertificate(
        subject=certificate.subject.rfc4514_string(),
        issuer=certificate.issuer.rfc4514_string(),
        serial=f"{certificate.serial_number:x}",
        start=certificate.not_valid_before_utc,
        end=certificate.not_valid_after_utc,
        names=tuple(f"{kind}:{value}" for kind, value in names),
        fingerprint=fingerprint(certificate),
        pem=certificatePEM(certificate).decode("ascii"),
        identities=tuple(identify(certificate, name) for name in wanted),
    )


def identify(certificate: x509.Certificate, name: str) -> Identity:
    """What service-identity says of a certificate and a host name or an address."""
    kind = "dns" if addressIn(name) is None else "ip"
    try:
        if kind == "dns":
            verify_certificate_hostname(certificate, name)
        else:
            verify_certificate_ip_address(certificate, name)
    except VerificationError as error:
        missed = ", ".join(type(one).__name__ for one in error.errors)
        return Identity(name, kind, False, missed[:_LONGEST_REASON])
    except (CertificateError, *UNREADABLE) as error:
        return Identity(name, kind, False, str(error)[:_LONGEST_REASON])
    return Identity(name, kind, True)


def namesIn(certificate: x509.Certificate) -> list[tuple[str, str]]:
    """Its subject alternative names, each as a kind (C{dns}, C{ip}, ...) and a value."""
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (x509.ExtensionNotFound, *UNREADABLE):
        return []
    return [(_KINDS.get(type(name), "other"), str(name.value)) for name in extension.value]


_KINDS: dict[type[x509.GeneralName], str] = {
    x509.DNSName: "dns",
    x509.IPAddress: "ip",
    x509.RFC822Name: "email",
    x509.UniformResourceIdentifier: "uri",
}


def _isResumed(tls: SSL.Connection) -> bool:
    """pyOpenSSL knows, and has no name for it (tests/tls/test_private_names.py)."""
    return bool(Binding().lib.SSL_session_reused(tls._ssl))


def _shown(data: bytes) -> str:
    return data.decode("ascii", "backslashreplace").encode("unicode_escape").decode("ascii")
