"""
What is served where TLS is expected: the handshake, and the certificates that are shown in it.

Nothing is trusted, and nothing that is wrong ends it: what a client should think of it is for the
checks to say.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from cryptography import x509
from OpenSSL import SSL

from loopbackd.doctor.facts.talk import PATIENCE, TLSTalk, talkTo
from loopbackd.loglines import reasonOf
from loopbackd.tls.handshake import explained

_FIRST: Final = (22, 21)
"""The types of records that a handshake begins with: handshake, alert (RFC 8446 section 5.1)."""

_AFTERWARDS: Final = 0.3


class Outcome(Enum):
    """What became of a handshake."""

    DONE = auto()
    REFUSED = auto()
    """An alert came."""
    PLAIN = auto()
    """What came is no TLS."""
    SILENT = auto()
    """Nothing came, or not enough, in time."""
    CLOSED = auto()
    RESET = auto()
    BROKEN = auto()
    """What came looks like TLS, and OpenSSL makes no sense of it."""
    UNREACHED = auto()
    """There was no connection, or the name cannot be asked for."""


@dataclass(frozen=True, slots=True)
class Served:
    """
    A handshake with one address, under a name.

    @ivar host: the IP address.
    @ivar name: whom it was asked for; an IP address is not (SNI has names alone).
    @ivar why: what went wrong, in OpenSSL's or the system's words.
    @ivar alert: the number of the alert that came, if one did; also after a handshake, where the
        other end wants a certificate of the client and got none.
    @ivar plain: the first of what came that is no TLS.
    @ivar version: of TLS, as C{"TLSv1.3"}.
    @ivar alpn: the application protocol that was agreed on.
    @ivar chain: the certificates that were shown, the server's own first.
    @ivar unreadable: why those cannot be read, so that there are none here; empty if they can.
    @ivar isAsked: whether a certificate of the client was asked for.
    @ivar isCut: whether the other end hung up after the handshake, when it got no certificate.
    """

    host: str
    port: int
    name: str
    outcome: Outcome
    why: str = ""
    alert: int | None = None
    plain: bytes = b""
    version: str = ""
    cipher: str = ""
    alpn: str = ""
    chain: tuple[x509.Certificate, ...] = ()
    unreadable: str = ""
    isAsked: bool = False
    isCut: bool = False
    seconds: float = 0.0


def served(
    host: str, port: int, name: str, alpn: tuple[bytes, ...] = (), seconds: float = PATIENCE
) -> Served:
    """
    Shake hands and hang up; never raises for what goes wrong.

    @param host: an IP address.
    @param name: whom to ask for.
    @param alpn: the application protocols to offer.
    @param seconds: how long all of it may take.
    """
    began = time.monotonic()
    try:
        with talkTo(host, port, seconds) as talk:
            tls = TLSTalk(talk, name, alpn)
            outcome, why = _shake(tls)
            isCut = outcome is Outcome.DONE and _hangsUp(tls)
    except ValueError as error:
        return Served(host, port, name, Outcome.UNREACHED, str(error))
    except OSError as error:
        return Served(host, port, name, Outcome.UNREACHED, reasonOf(error))
    took, first = time.monotonic() - began, talk.first
    if first and (first[0] not in _FIRST or first[1:2] not in (b"", b"\3")):
        return Served(host, port, name, Outcome.PLAIN, why, plain=first, seconds=took)
    if outcome is Outcome.BROKEN and tls.alert is not None:
        outcome = Outcome.REFUSED
    chain, unreadable = _chain(tls.tls)
    return Served(
        host,
        port,
        name,
        outcome,
        why,
        alert=tls.alert,
        version=tls.tls.get_protocol_version_name() if outcome is Outcome.DONE else "",
        cipher=tls.tls.get_cipher_name() or "",
        alpn=tls.tls.get_alpn_proto_negotiated().decode("ascii", "backslashreplace"),
        chain=chain,
        unreadable=unreadable,
        isAsked=tls.isAsked,
        isCut=isCut,
        seconds=took,
    )


def _shake(tls: TLSTalk) -> tuple[Outcome, str]:
    try:
        tls.shake()
    except SSL.Error as error:
        return Outcome.BROKEN, explained(error)
    except TimeoutError:
        return Outcome.SILENT, "nothing more came"
    except EOFError:
        return Outcome.CLOSED, "it closed the connection"
    except OSError as error:
        return Outcome.RESET, reasonOf(error)
    return Outcome.DONE, ""


def _hangsUp(tls: TLSTalk) -> bool:
    """
    Whether it does so now that it knows the client, and our goodbye.

    Whoever wants a certificate in TLS 1.3 says so only when the client is done.
    """
    heard = b"there"
    try:
        if tls.isAsked and tls.tls.get_protocol_version_name() == "TLSv1.3":
            heard = tls.hear(_AFTERWARDS)
    except TimeoutError:
        pass
    except (SSL.Error, OSError):
        return True
    with suppress(SSL.Error, OSError, EOFError):
        tls.bye()
    return not heard


def _chain(tls: SSL.Connection) -> tuple[tuple[x509.Certificate, ...], str]:
    """The certificates, or why they cannot be read: OpenSSL takes some that nobody else does."""
    try:
        chain = tuple(tls.get_peer_cert_chain(as_cryptography=True) or ())
        for one in chain:
            # Parts that are read only when somebody asks.
            one.subject, one.issuer, one.serial_number  # noqa: B018
    except Exception as error:
        # cryptography has several for that, even KeyError.
        return (), f"{type(error).__name__}: {error}"
    return chain, ""
