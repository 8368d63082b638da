"""What is asked of a target that is spoken to with TLS, and the OpenSSL context for it."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from typing import Any, Final

from cryptography import x509
from OpenSSL import SSL, crypto

from loopbackd.explaining import shown
from loopbackd.tls.certificates import Credential
from loopbackd.tls.contexts import CIPHERSUITES, VERSIONS

TARGET_CIPHERS: Final = (
    "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:DHE+CHACHA20:ECDHE+AES:DHE+AES:!aNULL:!eNULL:!aDSS"
)
"""What TLS 1.2 may use towards a target: forward secrecy, and more kinds of it than we serve."""

_HEXADECIMAL = re.compile(r"[0-9A-Fa-f]{64}")
# Ours, curl's and OkHttp's; a slash can also be the first of the digits.
_PREFIXES = ("sha256:", "sha256//", "sha256/", "sha256=", "")
_OPTIONS = SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION


@dataclass(frozen=True, slots=True)
class TargetPolicy:
    """
    What is asked of a target.

    @ivar serverName: the host name that its certificate must be for, which is also asked for (SNI);
        or an IP address, which is not asked for.
    @ivar alpn: the application protocols to offer, the favourite first; empty for none.
    @ivar authorities: who may have signed its certificate; L{None} for those the system trusts.
    @ivar pin: the SHA-256 of its public key; then neither authorities, name nor dates matter.
    @ivar minVersion: C{"1.2"} or C{"1.3"}.
    @ivar credential: the certificate to show where it asks for one.
    """

    serverName: str
    alpn: tuple[bytes, ...] = ()
    authorities: tuple[x509.Certificate, ...] | None = None
    pin: bytes = b""
    minVersion: str = "1.2"
    credential: Credential | None = None


def targetContext(policy: TargetPolicy) -> SSL.Context:
    """
    An OpenSSL context for the client's end; names and protocols are set on each connection.

    Every certificate is shown to the C{judged} method of the connection's C{app_data}; nothing is
    resumed, so that this is for every connection.

    @raise ValueError: the key does not belong to the certificate to show.
    """
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_cipher_list(TARGET_CIPHERS.encode("ascii"))
    context.set_tls13_ciphersuites(CIPHERSUITES)
    context.set_min_proto_version(VERSIONS[policy.minVersion])
    context.set_options(_OPTIONS)
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    if not policy.pin:
        if policy.authorities is None:
            context.set_default_verify_paths()
        trusted: Any = context.get_cert_store()
        for authority in policy.authorities or ():
            trusted.add_cert(crypto.X509.from_cryptography(authority))
        # Whoever names an intermediate authority, or the certificate itself, means it.
        trusted.set_flags(crypto.X509StoreFlags.PARTIAL_CHAIN)
    context.set_verify(SSL.VERIFY_PEER, _judged)
    credential = policy.credential
    if credential is not None:
        context.use_certificate(credential.certificate)
        for above in credential.chain:
            context.add_extra_chain_cert(above)
        try:
            context.use_privatekey(credential.key)
            context.check_privatekey()
        except SSL.Error:
            raise ValueError("the key does not belong to the certificate") from None
    return context


def _judged(
    connection: SSL.Connection, certificate: crypto.X509, error: int, depth: int, isGood: int
) -> bool:
    judge: Any = connection.get_app_data()
    return bool(judge.judged(certificate, error, depth, bool(isGood)))


def keyHash(certificate: crypto.X509) -> bytes:
    """The SHA-256 of a certificate's SubjectPublicKeyInfo, as in RFC 7469 section 2.4."""
    key = crypto.dump_publickey(crypto.FILETYPE_ASN1, certificate.get_pubkey())
    return hashlib.sha256(key).digest()


def pinText(digest: bytes) -> str:
    """A pin as it can be written into the settings."""
    return f"sha256:{base64.b64encode(digest).decode('ascii')}"


def parsePin(text: str) -> bytes:
    """
    The SHA-256 that a pin is the text of: hexadecimal (colons or not) or base64, C{sha256:} or
    C{sha256/} before it or not.

    @raise ValueError: it is none; one line.
    """
    spelt = text.strip()
    for prefix in _PREFIXES:
        if spelt.lower().startswith(prefix):
            digest = _digest(spelt[len(prefix) :])
            if len(digest) == hashlib.sha256().digest_size:
                return digest
    raise ValueError(
        f"pin = {shown(text)} is no SHA-256 of a public key; write 64 hexadecimal digits, or 44"
        " characters of base64 as in sha256:..."
    )


def _digest(digits: str) -> bytes:
    packed = digits.replace(":", "")
    if _HEXADECIMAL.fullmatch(packed):
        return bytes.fromhex(packed)
    # Any of the two alphabets, with its padding or without.
    plain = digits.translate(str.maketrans("-_", "+/")).rstrip("=")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except ValueError:
        return b""
