"""
The handshake, without I/O: bytes in, bytes out, and at the end OpenSSL's connection.

The ClientHello is read before OpenSSL sees it, because it decides which certificate is shown.
"""

from __future__ import annotations

from OpenSSL import SSL
from twisted.internet.interfaces import IAddress

from loopbackd.tls.contexts import NoSharedProtocol
from loopbackd.tls.hello import ClientHello, HelloError, readHello
from loopbackd.tls.terminator import Refusal, Terminator

_PIECE = 1 << 17


_SPEAK_TLS = b"TLS is spoken here: write https:// instead of http://\n"
_PLAIN_HTTP = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n"
    b"Connection: close\r\n\r\n%b" % (len(_SPEAK_TLS), _SPEAK_TLS)
)


class HandshakeError(Exception):
    """
    There is no TLS with this client; the text says why.

    @ivar lastWords: the alert that tells it, to be sent before the end.
    @ivar isOurs: it is no fault of the client's.
    """

    def __init__(self, why: str, lastWords: bytes, isOurs: bool = False) -> None:
        super().__init__(why)
        self.lastWords = lastWords
        self.isOurs = isOurs


class Handshake:
    """
    One handshake.

    @param host: the address that the client reached.
    @param waits: a client that offers application protocols is not answered before L{agree}.
    @ivar isWaiting: it is time for L{agree}.
    @ivar hello: what the client asked for, as far as it was heard.
    @ivar tls: OpenSSL's end of the connection; L{None} until the whole ClientHello has come.
    @ivar isDone: the keys are agreed on; more that the client said is with OpenSSL.
    """

    def __init__(self, terminator: Terminator, host: IAddress, waits: bool = False) -> None:
        self._terminator = terminator
        self._host = host
        self._head = bytearray()
        self.hello = ClientHello()
        self.tls: SSL.Connection | None = None
        self.isDone = False
        self.isWaiting = False
        self._waits = waits

    def feed(self, data: bytes) -> bytes:
        """
        Take what the client said.

        @return: what to send.
        @raise HandshakeError: it ends here.
        """
        if self.tls is None:
            self._head += data
            if self.isWaiting:
                return b""
            try:
                hello = readHello(self._head)
            except HelloError:
                # OpenSSL hears it as well, and knows the right alert.
                hello = ClientHello()
            if hello is None:
                return b""
            self.hello = hello
            if self._waits and hello.alpn:
                self.isWaiting = True
                return b""
            return self._start(None)
        self.tls.bio_write(data)
        return self._go(self.tls)

    def agree(self, alpn: bytes | None) -> bytes:
        """
        Go on with that application protocol, C{b""} for none, L{None} for the policy's choice.

        @return: as of L{feed}.
        @raise HandshakeError: it ends here.
        """
        self.isWaiting = False
        return self._start(alpn)

    def _start(self, alpn: bytes | None) -> bytes:
        self.tls = self._connect(self.hello)
        self.tls.set_app_data(alpn)
        self.tls.bio_write(bytes(self._head))
        self._head.clear()
        return self._go(self.tls)

    def _go(self, tls: SSL.Connection) -> bytes:
        try:
            tls.do_handshake()
        except SSL.WantReadError:
            pass
        except (SSL.Error, NoSharedProtocol) as error:
            why = explained(error)
            if why == "http request":
                # An alert would tell such a client nothing.
                raise HandshakeError("it speaks HTTP without TLS", _PLAIN_HTTP) from error
            raise HandshakeError(why, waiting(tls)) from error
        else:
            self.isDone = True
        return waiting(tls)

    def _connect(self, hello: ClientHello) -> SSL.Connection:
        try:
            return self._terminator.connect(hello, self._host)
        except Refusal as refusal:
            # A record with a fatal alert, not encrypted yet (RFC 8446 sections 5.1 and 6).
            alert = bytes([21, 3, 3, 0, 2, 2, refusal.alert])
            raise HandshakeError(str(refusal), alert, refusal.isOurs) from refusal


def waiting(tls: SSL.Connection) -> bytes:
    """All that OpenSSL wants to have sent."""
    said = b""
    try:
        said = tls.bio_read(_PIECE)
        while len(said) % _PIECE == 0:
            said += tls.bio_read(_PIECE)
    except SSL.WantReadError:
        pass
    return said


def explained(error: Exception) -> str:
    """What OpenSSL says went wrong, in its own words."""
    if not isinstance(error, SSL.Error):
        return str(error)
    if isinstance(error, SSL.SysCallError):
        return str(error.args[-1]).lower()
    reasons = [entry[-1] for entry in error.args[0]] if error.args else []
    return ", ".join(reason for reason in reasons if reason) or "it ended"
