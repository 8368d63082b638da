"""
What do the first bytes of a client say?

L{Detector} is fed what arrived and answers with a L{Kind} as soon as nothing that could still come
would change the answer. It does no I/O and keeps no time: whoever feeds it calls L{decide} when the
client has been silent for too long or has closed its side.

TLS records and ClientHello: RFC 8446 sections 4 and 5.1; in the form of SSL 2.0: RFC 5246 appendix
E.2. HTTP/1: RFC 9112 sections 2.2 and 3. HTTP/2: RFC 9113 section 3.4. PROXY: haproxy's
proxy-protocol.txt, sections 2.1 and 2.2.
"""

from __future__ import annotations

import enum
import re
from typing import Final

LIMIT: Final = 8192
"""The most bytes an answer can need: a request line longer than this is OTHER."""


class Kind(enum.Enum):
    """What a client speaks, as far as its first bytes tell."""

    TLS = "tls"
    HTTP = "http"
    HTTP2 = "http2"
    PROXY = "proxy"
    OTHER = "other"


class Detector:
    """
    Finds out what a client speaks; the answer does not depend on how its bytes were split.

    Once there is an answer it stays, whatever is fed.
    """

    __slots__ = ("_chunks", "_head", "_kind", "_lineOnly")

    def __init__(self) -> None:
        self._chunks: list[bytes] = []
        self._head = bytearray()
        self._kind: Kind | None = None
        self._lineOnly = False

    @property
    def data(self) -> bytes:
        """Everything fed so far, to be passed on to whoever speaks that protocol."""
        return b"".join(self._chunks)

    def feed(self, data: bytes) -> Kind | None:
        """Look at more bytes, the first L{LIMIT} of a connection at most; L{None} asks for more."""
        self._chunks.append(data)
        if self._kind is None and data:
            seen = len(self._head)
            self._head += data[: LIMIT - seen]
            self._kind = self._look(seen)
            if self._kind is None and len(self._head) == LIMIT:
                self._kind = Kind.OTHER
        return self._kind

    def decide(self) -> Kind:
        """
        The best guess when nothing more will come in time.

        Whatever is still ambiguous is OTHER, except a request line that lacks only its end.
        """
        if self._kind is None:
            complete = self._lineOnly and _VERSION_AT_END.search(self._head) is not None
            self._kind = Kind.HTTP if complete else Kind.OTHER
        return self._kind

    def _look(self, seen: int) -> Kind | None:
        """Judge the head, of which the first C{seen} bytes have been judged before."""
        if not self._lineOnly:
            start = bytes(self._head[:_START])
            verdicts = (_tls(start), _ssl2(start), _proxy(start), _http(start))
            for verdict in verdicts:
                if isinstance(verdict, Kind):
                    return verdict
            if _Open.LINE not in verdicts:
                return None if _Open.MORE in verdicts else Kind.OTHER
            # Nothing else starts with a method, a space and a target.
            self._lineOnly = True
            seen = 0
        return self._requestLine(seen)

    def _requestLine(self, seen: int) -> Kind | None:
        """Wait for the end of a line that began like a request with an unknown method."""
        begin = _afterEmptyLines(self._head)
        end = self._head.find(b"\n", max(begin, seen))
        if end < 0:
            return None
        if self._head.startswith(_PREFACE_LINE):
            return Kind.HTTP2
        return Kind.HTTP if _VERSION_AT_END.search(self._head, begin, end) else Kind.OTHER


class _Open(enum.Enum):
    """What a candidate answers while, or because, it is not sure of a L{Kind}."""

    NEVER = "it cannot become this"
    MORE = "the next bytes will tell"
    LINE = "the rest of the line will tell"


_PREFACE_LINE: Final = b"PRI * HTTP/2.0\r\n"
_SSL3_VERSIONS: Final = tuple(bytes([3, minor]) for minor in range(5))
_PROXY_V1: Final = (b"PROXY TCP4 ", b"PROXY TCP6 ", b"PROXY UNKNOWN ", b"PROXY UNKNOWN\r")
_PROXY_V2: Final = b"\r\n\r\n\x00\r\nQUIT\n"

_METHODS: Final = frozenset(
    b"GET HEAD POST PUT DELETE CONNECT OPTIONS TRACE PATCH "
    b"PROPFIND PROPPATCH MKCOL COPY MOVE LOCK UNLOCK".split()
)
_MAX_METHOD: Final = 32
_MAX_HOST: Final = 255
_MAX_EMPTY: Final = len(b"\r\n") * 4
_START: Final = _MAX_EMPTY + _MAX_METHOD + 1 + _MAX_HOST + 4

_METHOD: Final = re.compile(rb"[A-Z][A-Z0-9_-]{0,%d}" % (_MAX_METHOD - 1))
_TARGETS: Final = (b"/", b"*", b"http://", b"https://")
_HOST: Final = rb"(?:[A-Za-z0-9._~%%-]{1,%d}|\[[A-Za-z0-9.:_~%%-]{1,%d}\])" % (
    _MAX_HOST,
    _MAX_HOST - 2,
)
_AUTHORITY: Final = re.compile(_HOST + rb":[0-9]")
_AUTHORITY_SO_FAR: Final = re.compile(_HOST + rb":?|\[[A-Za-z0-9.:_~%%-]{0,%d}" % (_MAX_HOST - 2))
_VERSION_AT_END: Final = re.compile(rb" HTTP/[0-9][0-9.]*[ \t]*\r?\Z")


def _afterEmptyLines(head: bytes | bytearray) -> int:
    """Where the request line starts: a few empty lines before it are skipped (RFC 9112 2.2)."""
    at = 0
    while at < _MAX_EMPTY and head.startswith(b"\r\n", at):
        at += 2
    return at


def _tls(start: bytes) -> Kind | _Open:
    """A handshake record that begins with a ClientHello."""
    if not b"\x16\x03".startswith(start[:2]):
        return _Open.NEVER
    if len(start) > 2 and start[2] > 4:
        return _Open.NEVER
    if len(start) > 4 and not 1 <= int.from_bytes(start[3:5], "big") <= 1 << 14:
        return _Open.NEVER
    if len(start) < 6:
        return _Open.MORE
    return Kind.TLS if start[5] == 1 else _Open.NEVER


def _ssl2(start: bytes) -> Kind | _Open:
    """
    A ClientHello in the form of SSL 2.0, as scanners and very old clients send it.

    That is not spoken anywhere any more, and should not be taken for something to echo.
    """
    if not start:
        return _Open.MORE
    if start[0] & 0xFE != 0x80 or start[2:3] not in (b"", b"\x01"):
        return _Open.NEVER
    if start[3:5] not in (b"", b"\0", b"\x03", b"\0\x02", *_SSL3_VERSIONS):
        return _Open.NEVER
    if len(start) < 11:
        return _Open.MORE
    length = int.from_bytes(start[:2], "big") & 0x7FFF
    ciphers, session, challenge = (int.from_bytes(start[at : at + 2], "big") for at in (5, 7, 9))
    fits = length == 9 + ciphers + session + challenge and ciphers % 3 == 0 and challenge >= 16
    return Kind.TLS if fits else _Open.NEVER


def _proxy(start: bytes) -> Kind | _Open:
    """A PROXY header, version 1 up to the family or version 2 by its signature."""
    if start.startswith((*_PROXY_V1, _PROXY_V2)):
        return Kind.PROXY
    if any(signature.startswith(start) for signature in (*_PROXY_V1, _PROXY_V2)):
        return _Open.MORE
    return _Open.NEVER


def _http(start: bytes) -> Kind | _Open:
    """A request line: sure by method and target, or a candidate whose line must be awaited."""
    at = _afterEmptyLines(start)
    if at == len(start) or (start[at:] == b"\r" and at < _MAX_EMPTY):
        return _Open.MORE
    method = _METHOD.match(start, at)
    if method is None:
        return _Open.NEVER
    if method.end() == len(start):
        return _Open.MORE
    if start[method.end()] != 0x20:
        return _Open.NEVER
    target = start[method.end() + 1 :]
    known = method.group() in _METHODS
    if target.startswith(_TARGETS):
        return Kind.HTTP if known else _Open.LINE
    if any(form.startswith(target) for form in _TARGETS):
        return _Open.MORE
    if method.group() == b"CONNECT":
        if _AUTHORITY.match(target):
            return Kind.HTTP
        if _AUTHORITY_SO_FAR.fullmatch(target):
            return _Open.MORE
    return _Open.NEVER
