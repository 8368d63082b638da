"""
How TLS is spoken here: Mozilla's I{intermediate} profile (guidelines 5.7), as OpenSSL contexts.

TLS 1.2 and 1.3 with forward secrecy and authenticated ciphers, no compression, no renegotiation.
Sessions are resumed by tickets, whose keys live as long as their context; where clients must show a
certificate nothing is resumed, since a resumed session does not look at the certificate again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL, crypto

from loopbackd.tls.certificates import Credential

CIPHERS: Final = ":".join(
    f"{exchange}-{cipher}"
    for exchange in ("ECDHE-ECDSA", "ECDHE-RSA")
    for cipher in ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305")
)
"""What TLS 1.2 may use; clients choose, since all of it is good."""

CIPHERSUITES: Final = b"TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
"""The same for TLS 1.3."""

GROUPS: Final = frozenset([0x11EC, 0x001D, 0x0017, 0x0018])
"""The key exchange groups of the profile, and X25519MLKEM768: their numbers in TLS."""

CURVES: Final = {0x0017: ec.SECP256R1(), 0x0018: ec.SECP384R1()}
"""Those of them that a context can be bound to."""

VERSIONS: Final = {"1.2": SSL.TLS1_2_VERSION, "1.3": SSL.TLS1_3_VERSION}

_OPTIONS = SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION


@dataclass(frozen=True, slots=True)
class Policy:
    """
    What is asked of a TLS service.

    @ivar minVersion: C{"1.2"} or C{"1.3"}.
    @ivar maxVersion: the same, or empty for the newest.
    @ivar alpn: the application protocols it speaks, its favourite first.
    @ivar clientCAs: who may have signed a client's certificate; empty for not asking for one.
    @ivar requiresClient: a client without a certificate is turned away.
    @ivar securityLevel: OpenSSL's, or L{None} for its own.
    """

    minVersion: str = "1.2"
    maxVersion: str = ""
    alpn: tuple[str, ...] = ("http/1.1", "http/1.0")
    clientCAs: tuple[x509.Certificate, ...] = ()
    requiresClient: bool = True
    securityLevel: int | None = None


class NoSharedProtocol(Exception):
    """A client offers application protocols, and none that the service speaks (RFC 7301 3.2)."""


def serverContext(
    credential: Credential,
    policy: Policy,
    *,
    revoked: Sequence[x509.CertificateRevocationList] = (),
    curve: ec.EllipticCurve | None = None,
) -> SSL.Context:
    """
    An OpenSSL context for our end.

    @param revoked: the lists that clients' certificates are looked up in, of every authority in
        C{policy.clientCAs} or of none.
    @param curve: the only key exchange group; L{None} for all that OpenSSL has.
    """
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    level = "" if policy.securityLevel is None else f"@SECLEVEL={policy.securityLevel}:"
    context.set_cipher_list(f"{level}{CIPHERS}".encode("ascii"))
    context.set_tls13_ciphersuites(CIPHERSUITES)
    context.set_min_proto_version(VERSIONS[policy.minVersion])
    if policy.maxVersion:
        context.set_max_proto_version(VERSIONS[policy.maxVersion])
    context.set_options(_OPTIONS)
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_session_id(b"loopbackd")
    if curve is not None:
        context.set_tmp_ecdh(curve)
    context.use_certificate(credential.certificate)
    context.use_privatekey(credential.key)
    for above in credential.chain:
        context.add_extra_chain_cert(above)
    # The name was looked at before; this only says so to the client (RFC 6066 section 3).
    context.set_tlsext_servername_callback(_acknowledged)
    if policy.alpn:
        context.set_alpn_select_callback(_Choice(policy.alpn))
    if policy.clientCAs:
        _askClients(context, policy, revoked)
    return context


def _askClients(
    context: SSL.Context, policy: Policy, revoked: Sequence[x509.CertificateRevocationList]
) -> None:
    trusted: Any = context.get_cert_store()
    for authority in policy.clientCAs:
        trusted.add_cert(crypto.X509.from_cryptography(authority))
        context.add_client_ca(authority)
    for one in revoked:
        trusted.add_crl(one)
    if revoked:
        trusted.set_flags(crypto.X509StoreFlags.CRL_CHECK)
    must = SSL.VERIFY_FAIL_IF_NO_PEER_CERT if policy.requiresClient else 0
    context.set_verify(SSL.VERIFY_PEER | must)
    context.set_options(SSL.OP_NO_TICKET)


def _acknowledged(connection: SSL.Connection) -> None:
    """Nothing is left to do."""


class _Choice:
    """Chooses an application protocol, ours first; C{h2} only if somebody lists it."""

    def __init__(self, spoken: Sequence[str]) -> None:
        self._spoken = [one.encode("ascii") for one in spoken]

    def __call__(self, connection: SSL.Connection, offered: list[bytes]) -> Any:
        agreed = connection.get_app_data()
        if agreed is not None:
            # Somebody else has chosen already (see L{loopbackd.tls.ahead}).
            return agreed or SSL.NO_OVERLAPPING_PROTOCOLS
        for one in self._spoken:
            if one in offered:
                return one
        shown = ", ".join(ascii(one)[2:-1] for one in offered[:8])
        raise NoSharedProtocol(f"it offers {shown} by ALPN, and none of that is spoken here")
