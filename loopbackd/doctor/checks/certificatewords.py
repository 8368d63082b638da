"""The words for certificates, and for getting another one."""

from __future__ import annotations

import shlex
from typing import Final

from cryptography import x509

from loopbackd.doctor.checks.handshake import short
from loopbackd.tls.certificates import isPermitted
from loopbackd.tls.facts import namesIn

_NAMES: Final = 12


def subject(certificate: x509.Certificate) -> str:
    """Whose it is, safe to show."""
    return named(certificate.subject) or "(no subject)"


def named(name: x509.Name) -> str:
    """A name as RFC 4514 writes it, short and safe to show."""
    return short(name.rfc4514_string())


def listed(certificate: x509.Certificate) -> str:
    """The names that it is for."""
    names = [value for _, value in namesIn(certificate)]
    if not names:
        return "nobody"
    more = len(names) - _NAMES
    return short(", ".join(names[:_NAMES]), 500) + (f" and {more} more" if more > 0 else "")


def another(name: str) -> str:
    """The remedy that replaces it: how to get one for that name."""
    if isPermitted(name):
        return f"have one of loopbackd's authority: loopbackd ca issue {shlex.quote(name)}"
    return f"have another one issued, for {name}"
