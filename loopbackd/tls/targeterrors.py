"""Why there is no TLS with a target: one class for each reason, one line for the operator."""

from __future__ import annotations

from twisted.internet.error import ConnectError, TimeoutError


class TargetTLSError(ConnectError):
    """
    There is no TLS with a target; as text it is one line that names the target and says why.

    @ivar target: the target, as its settings have it.
    @ivar why: the rest of that line.
    @ivar lastWords: the alert that tells the target, to be sent before the end.
    """

    def __init__(self, target: str, why: str, lastWords: bytes = b"") -> None:
        super().__init__(string=why)
        self.target = target
        self.why = why
        self.lastWords = lastWords

    def __str__(self) -> str:
        return f"{self.target}: {self.why}"


class NotTLS(TargetTLSError):
    """What the target said is no TLS at all."""


class CertificateRefused(TargetTLSError):
    """The target showed a certificate that cannot be believed; the subclasses say why."""


class CertificateExpired(CertificateRefused):
    """It, or one above it, has ended."""


class CertificateNotYetValid(CertificateRefused):
    """It, or one above it, has not begun."""


class UnknownAuthority(CertificateRefused):
    """Nobody who is trusted has signed it."""


class WrongName(CertificateRefused):
    """It is good, and for somebody else."""


class WrongKey(CertificateRefused):
    """Its key is not the one that is pinned."""


class NoCommonProtocol(TargetTLSError):
    """The target speaks none of the application protocols it was offered."""


class HandshakeRefused(TargetTLSError):
    """Any other end of a handshake: an alert, no common version or cipher, a lost connection."""


class HandshakeLate(TargetTLSError, TimeoutError):
    """The target was not reached, or its handshake not done, in time."""
