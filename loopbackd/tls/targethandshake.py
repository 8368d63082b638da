"""
The handshake with a target, without I/O: bytes in, bytes out, and at the end OpenSSL's connection.

The target's certificate is judged within the handshake: one that is not believed learns nothing of
us, our certificate included, but an alert.
"""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.bindings.openssl.binding import Binding
from OpenSSL import SSL, crypto
from service_identity import CertificateError, VerificationError
from service_identity.cryptography import (
    verify_certificate_hostname,
    verify_certificate_ip_address,
)

from loopbackd.explaining import shown
from loopbackd.tls.certificates import addressIn
from loopbackd.tls.handshake import explained, waiting
from loopbackd.tls.targeterrors import (
    CertificateExpired,
    CertificateNotYetValid,
    CertificateRefused,
    HandshakeRefused,
    NoCommonProtocol,
    NotTLS,
    TargetTLSError,
    UnknownAuthority,
    WrongKey,
    WrongName,
)
from loopbackd.tls.targetpolicy import TargetPolicy, keyHash, pinText

# What X509_STORE_CTX_get_error(3) gives.
_NOT_YET_VALID = 9
_EXPIRED = 10
_UNKNOWN = frozenset([2, 18, 19, 20, 21, 27])

# Record types that a handshake begins with: handshake, alert (RFC 8446 section 5.1).
_FIRST = (22, 21)


class TargetHandshake:
    """
    One handshake.

    @param context: what L{loopbackd.tls.targetpolicy.targetContext} made of the policy.
    @param target: what to call it in errors.
    @ivar isDone: the target is who it should be and the keys are agreed on; more that it said is
        with OpenSSL.
    @raise TargetTLSError: such a name cannot be asked for.
    """

    def __init__(self, context: SSL.Context, policy: TargetPolicy, target: str) -> None:
        self.policy = policy
        self.isDone = False
        self._target = target
        self._problem: TargetTLSError | None = None
        self._isKnown = False
        self._head: bytes | None = b""
        self.tls = SSL.Connection(context, None)
        self.tls.set_app_data(self)
        if addressIn(policy.serverName) is None:
            try:
                self.tls.set_tlsext_host_name(policy.serverName.encode("ascii"))
            except (ValueError, TypeError):
                raise WrongName(
                    target, f"{shown(policy.serverName)} is no host name that can be asked for"
                ) from None
        if policy.alpn:
            self.tls.set_alpn_protos(list(policy.alpn))
        self.tls.set_connect_state()

    def begin(self) -> bytes:
        """Our first words."""
        return self._go()

    def feed(self, data: bytes) -> bytes:
        """
        Take what the target said.

        @return: what to send.
        @raise TargetTLSError: it ends here.
        """
        if self._head is not None:
            self._head += data
            self._lookAt(self._head)
            if len(self._head) > 1:
                self._head = None
        self.tls.bio_write(data)
        return self._go()

    def _lookAt(self, head: bytes) -> None:
        if head and (head[0] not in _FIRST or head[1:2] not in (b"", b"\3")):
            raise NotTLS(
                self._target, f"it does not speak TLS: it answers {shown(head[:40])} to our Hello"
            )

    def _go(self) -> bytes:
        try:
            self.tls.do_handshake()
        except SSL.WantReadError:
            return waiting(self.tls)
        except SSL.Error as error:
            problem = self._problem or self._named(explained(error))
            problem.lastWords = waiting(self.tls)
            self._end()
            raise problem from error
        self._end()
        if not self._isKnown:
            raise CertificateRefused(self._target, "it has shown no certificate")
        self.isDone = True
        return waiting(self.tls)

    def _end(self) -> None:
        # Each has a reference to the other.
        self.tls.set_app_data(None)

    def _named(self, why: str) -> TargetTLSError:
        if "no application protocol" in why:
            offered = ", ".join(shown(one)[2:-1] for one in self.policy.alpn[:8])
            return NoCommonProtocol(
                self._target, f"it speaks none of the protocols it is offered by ALPN: {offered}"
            )
        return HandshakeRefused(self._target, f"no TLS handshake: {why}")

    # What OpenSSL asks for every certificate, its root first; and again where one is in doubt.

    def judged(self, certificate: crypto.X509, error: int, depth: int, isGood: bool) -> bool:
        """
        Whether to go on.

        @param error: OpenSSL's number for what is wrong with it.
        @param depth: 0 for the target's own, more for those above it.
        """
        problem = None
        if self.policy.pin:
            if depth == 0:
                problem = self._byKey(certificate)
        elif not isGood:
            problem = self._distrusted(certificate, error, depth)
        elif depth == 0:
            problem = self._byName(certificate)
        if problem is not None:
            self._problem = self._problem or problem
            return False
        self._isKnown = self._isKnown or depth == 0
        return True

    def _byKey(self, certificate: crypto.X509) -> TargetTLSError | None:
        digest = keyHash(certificate)
        if digest == self.policy.pin:
            return None
        return WrongKey(
            self._target,
            f"its key is not the one that is pinned, {pinText(self.policy.pin)}:"
            f" it has {pinText(digest)}",
        )

    def _byName(self, certificate: crypto.X509) -> TargetTLSError | None:
        name = self.policy.serverName
        address = addressIn(name)
        try:
            parsed = certificate.to_cryptography()
            if address is None:
                verify_certificate_hostname(parsed, name)
            else:
                verify_certificate_ip_address(parsed, str(address))
        except (VerificationError, CertificateError, ValueError):
            return WrongName(
                self._target, f"its certificate is not for {shown(name)}, but for {_names(parsed)}"
            )
        return None

    def _distrusted(self, certificate: crypto.X509, error: int, depth: int) -> TargetTLSError:
        parsed = certificate.to_cryptography()
        which = "its certificate"
        if depth:
            which = f"the certificate of its authority {shown(parsed.subject.rfc4514_string())}"
        if error == _EXPIRED:
            when = parsed.not_valid_after_utc
            return CertificateExpired(self._target, f"{which} has expired on {when:%F %T} UTC")
        if error == _NOT_YET_VALID:
            when = parsed.not_valid_before_utc
            return CertificateNotYetValid(
                self._target, f"{which} is not valid before {when:%F %T} UTC"
            )
        words = inWords(error)
        if error in _UNKNOWN:
            issuer = shown(parsed.issuer.rfc4514_string())
            return UnknownAuthority(
                self._target,
                f"{which} comes from {issuer}, which is not trusted here ({words}); set trust to a"
                ' PEM file of its authority, or to "own" for loopbackd\'s, or pin to its key',
            )
        return CertificateRefused(self._target, f"{which} cannot be believed: {words}")


def _names(certificate: x509.Certificate) -> str:
    """The names in a certificate, as many as a line may have."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        names = [str(one.value) for one in found.value]
    except (x509.ExtensionNotFound, ValueError):
        return "nobody: it has no names that count"
    return shown(", ".join(names))


def inWords(error: int) -> str:
    """What OpenSSL calls an error of a certificate; pyOpenSSL has no name for the function."""
    binding = Binding()
    words: bytes = binding.ffi.string(binding.lib.X509_verify_cert_error_string(error))
    return words.decode("ascii", "replace")
