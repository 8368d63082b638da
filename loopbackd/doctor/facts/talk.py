"""A short conversation with a server, which is over at a certain moment whatever comes."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

from OpenSSL import SSL

from loopbackd.tls.certificates import addressIn
from loopbackd.tls.handshake import waiting

PATIENCE: Final = 2.0
"""Seconds that all of it may take, from connecting on."""

PIECE: Final = 1 << 16
"""Bytes that are heard at once."""

_KEPT: Final = 256

T = TypeVar("T")


class Talk:
    """
    A connection on which we say something and hear what comes.

    @param until: the moment of L{time.monotonic} when it is over; then there is a L{TimeoutError}.
    @ivar first: the first of what came.
    """

    def __init__(self, sock: socket.socket, until: float) -> None:
        self._socket = sock
        self._until = until
        self.first = b""

    def __enter__(self) -> Talk:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def say(self, data: bytes) -> None:
        """
        Send all of that.

        @raise OSError: it cannot be; a L{TimeoutError} where that takes too long.
        """
        self._socket.settimeout(self._left())
        self._socket.sendall(data)

    def hear(self, longest: float | None = None) -> bytes:
        """
        Wait for something; nothing is the end.

        @param longest: no longer than so many seconds.
        @raise OSError: see L{say}; a L{ConnectionResetError} for a reset.
        """
        left = self._left()
        self._socket.settimeout(left if longest is None else min(left, longest))
        heard = self._socket.recv(PIECE)
        self.first += heard[: _KEPT - len(self.first)]
        return heard

    def _left(self) -> float:
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


def talkTo(host: str, port: int, seconds: float = PATIENCE) -> Talk:
    """
    Connect to an IP address.

    @raise OSError: there is no connection.
    """
    until = time.monotonic() + seconds
    return Talk(socket.create_connection((host, port), seconds), until)


def talkToPath(path: str, seconds: float = PATIENCE) -> Talk:
    """
    Connect to a unix socket.

    @raise OSError: there is no connection.
    """
    until = time.monotonic() + seconds
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.settimeout(seconds)
        sock.connect(path)
    except BaseException:
        sock.close()
        raise
    return Talk(sock, until)


class TLSTalk:
    """
    A conversation inside TLS, with whoever it is: nothing that is shown is judged.

    @param name: whom to ask for; an address is not asked for.
    @param alpn: the application protocols to offer.
    @ivar tls: OpenSSL's end.
    @ivar alert: the number of the last alert that came; L{None} for none.
    @ivar isAsked: whether a certificate of ours was asked for.
    @raise ValueError: that name cannot be asked for.
    """

    def __init__(self, talk: Talk, name: str, alpn: tuple[bytes, ...] = ()) -> None:
        self._talk = talk
        self.alert: int | None = None
        self.isAsked = False
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        # Whatever the other end can: what that is worth is for the checks to say.
        context.set_cipher_list(b"ALL:@SECLEVEL=0")
        context.set_min_proto_version(SSL.TLS1_VERSION)
        context.set_verify(SSL.VERIFY_NONE)
        context.set_info_callback(self._informed)
        self.tls = SSL.Connection(context, None)
        if addressIn(name) is None:
            self.tls.set_tlsext_host_name(_encoded(name))
        if alpn:
            self.tls.set_alpn_protos(list(alpn))
        self.tls.set_connect_state()

    def shake(self) -> None:
        """
        Shake hands.

        @raise SSL.Error: there is no TLS.
        @raise EOFError: the other end closes.
        @raise OSError: see L{Talk.hear}.
        """
        self._do(self.tls.do_handshake)

    def say(self, data: bytes) -> None:
        """Send all of that; raises what L{shake} does."""
        self._do(lambda: self.tls.sendall(data))

    def hear(self, longest: float | None = None) -> bytes:
        """Wait for something; nothing is the end. Raises what L{shake} does."""
        try:
            heard: bytes = self._do(lambda: self.tls.recv(PIECE), longest)
        except (SSL.ZeroReturnError, EOFError):
            return b""
        return heard

    def bye(self) -> None:
        """Say that this is the end, as TLS does (close_notify)."""
        self.tls.shutdown()
        self._flush()

    def _do(self, step: Callable[[], T], longest: float | None = None) -> T:
        while True:
            try:
                done = step()
            except SSL.WantReadError:
                self._flush()
                heard = self._talk.hear(longest)
                if not heard:
                    raise EOFError from None
                self.tls.bio_write(heard)
            except SSL.Error:
                self._flush()
                raise
            else:
                self._flush()
                return done

    def _flush(self) -> None:
        said = waiting(self.tls)
        if said:
            self._talk.say(said)

    def _informed(self, tls: Any, where: int, value: int) -> None:
        if where == SSL.SSL_CB_READ_ALERT:
            self.alert = value & 0xFF
        elif b"certificate request" in tls.get_state_string():
            self.isAsked = True


def _encoded(name: str) -> bytes:
    """A host name as it is asked for (RFC 6066 section 3)."""
    try:
        return name.removesuffix(".").encode("ascii" if name.isascii() else "idna")
    except UnicodeError:
        raise ValueError(f"{name!r} is no host name that can be asked for") from None
