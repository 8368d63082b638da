"""What a server shows to a client that speaks TLS to it, whatever that client would think of it."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from cryptography import x509
from OpenSSL import SSL, crypto

from loopbackd.tls.certificates import addressIn
from loopbackd.tls.targethandshake import inWords

TIMEOUT: Final = 2.0
"""Seconds for connecting and the handshake together."""

_WORST_LEVEL: Final = b"ALL:@SECLEVEL=0"
_FIRST: Final = 64
_RECORDS: Final = frozenset({0x14, 0x15, 0x16, 0x17})


@dataclass(frozen=True, slots=True)
class Served:
    """
    What came of a handshake.

    @ivar name: the host that was asked for.
    @ivar chain: the certificates that were shown, the server's own first.
    @ivar version: of TLS, as C{TLSv1.3}; empty where there is none.
    @ivar distrust: why a client that trusts whom this system trusts would not believe the chain,
        in OpenSSL's words; empty where it would. Dates and names are not in it.
    @ivar isSelfSigned: the server's certificate has signed itself.
    @ivar isOwn: the local authority of loopbackd has signed it.
    @ivar failure: why there is no TLS; empty where there is.
    @ivar heard: what the server said instead.
    """

    name: str
    chain: tuple[x509.Certificate, ...] = ()
    version: str = ""
    distrust: str = ""
    isSelfSigned: bool = False
    isOwn: bool = False
    failure: str = ""
    heard: bytes = b""


class _Late(Exception):
    """The time is over."""


def served(
    host: str,
    port: int,
    name: str,
    authority: x509.Certificate | None = None,
    trusted: Iterable[x509.Certificate] | None = None,
) -> Served:
    """
    Shake hands with a server, and look at what it shows; never raises for what goes wrong.

    @param host: its IP address.
    @param name: the host that a client would ask for.
    @param authority: the local one of loopbackd, where there is one.
    @param trusted: the authorities to trust, in place of the system's.
    """
    distrusted: list[int] = []
    tls = SSL.Connection(_context(distrusted, trusted), None)
    tls.set_connect_state()
    if addressIn(name) is None:
        with suppress(UnicodeError):
            tls.set_tlsext_host_name(name.encode("idna"))
    heard = bytearray()
    failure = ""
    try:
        with socket.create_connection((host, port), TIMEOUT) as sock:
            _shakeHands(tls, sock, heard)
    except _Late:
        failure = f"no handshake in {TIMEOUT} s"
    except SSL.Error as error:
        failure = _reason(error)
    except OSError as error:
        failure = error.strerror or str(error)
    shown = tls.get_peer_cert_chain() or []
    if failure and not shown:
        return Served(name, failure=failure, heard=bytes(heard[:_FIRST]))
    chain = tuple(one.to_cryptography() for one in shown)
    return Served(
        name,
        chain,
        tls.get_protocol_version_name(),
        _distrust(distrusted),
        bool(chain) and _hasSigned(chain[0], chain[0]),
        authority is not None and any(_hasSigned(authority, one) for one in chain),
        failure,
    )


def isTLS(heard: bytes) -> bool:
    """Whether bytes can be records of TLS (RFC 8446 section 5.1)."""
    return len(heard) > 1 and heard[0] in _RECORDS and heard[1] == 3


def _context(distrusted: list[int], trusted: Iterable[x509.Certificate] | None) -> SSL.Context:
    def judged(
        connection: SSL.Connection, certificate: crypto.X509, error: int, depth: int, good: int
    ) -> bool:
        if error:
            distrusted.append(error)
        return True

    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    # What is too old or too weak is to be seen, and then said.
    context.set_cipher_list(_WORST_LEVEL)
    context.set_min_proto_version(SSL.TLS1_VERSION)
    context.set_verify(SSL.VERIFY_PEER, judged)
    if trusted is None:
        context.set_default_verify_paths()
    else:
        store = context.get_cert_store()
        assert store is not None
        for one in trusted:
            store.add_cert(crypto.X509.from_cryptography(one))
    return context


def _shakeHands(tls: SSL.Connection, sock: socket.socket, heard: bytearray) -> None:
    until = time.monotonic() + TIMEOUT
    while True:
        try:
            tls.do_handshake()
        except SSL.WantReadError:
            pass
        except SSL.Error:
            _say(tls, sock)
            raise
        else:
            _say(tls, sock)
            return
        _say(tls, sock)
        data = _read(sock, until)
        if not data:
            raise ConnectionError("the server has hung up")
        if len(heard) < _FIRST:
            heard += data
        tls.bio_write(data)


def _say(tls: SSL.Connection, sock: socket.socket) -> None:
    with suppress(SSL.WantReadError):
        sock.sendall(tls.bio_read(1 << 16))


def _read(sock: socket.socket, until: float) -> bytes:
    left = until - time.monotonic()
    if left <= 0 or not select.select([sock], [], [], left)[0]:
        raise _Late
    return sock.recv(1 << 16)


def _hasSigned(issuer: x509.Certificate, one: x509.Certificate) -> bool:
    try:
        one.verify_directly_issued_by(issuer)
    except Exception:  # whatever is wrong with either, it has not
        return False
    return True


# X509_V_ERR_* of openssl/x509_vfy.h that have a check of their own: dates, names, purposes.
_OTHERS: Final = frozenset({9, 10, 26, 62, 64, 66, 67, 68})


def _distrust(errors: Iterable[int]) -> str:
    return next((inWords(error) for error in errors if error not in _OTHERS), "")


def _reason(error: SSL.Error) -> str:
    queue = error.args[0] if error.args else ()
    return ", ".join(str(one[-1]) for one in queue) if queue else "the connection was ended"
