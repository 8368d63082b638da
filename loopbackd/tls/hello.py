"""
What a client says before anything is secret: the ClientHello, read and not answered.

Which certificate it gets, and whether it gets one at all, is decided by what it asks for here. The
handshake itself is OpenSSL's, which reads the same bytes again and is the judge of their form.

RFC 8446 sections 4.1.2 and 5.1; server_name: RFC 6066 section 3; ALPN: RFC 7301 section 3.1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

HELLO_LIMIT: Final = 1 << 16
"""The most bytes a ClientHello may take, its record headers included."""

_SERVER_NAME: Final = 0
_GROUPS: Final = 10
_ALPN: Final = 16

_RECORD: Final = 5
_LONGEST_RECORD: Final = 1 << 14


class HelloError(ValueError):
    """These bytes are no ClientHello."""


@dataclass(frozen=True, slots=True)
class ClientHello:
    """
    What a client asks for, as far as it matters here.

    @ivar serverName: the host it wants, in lower case and without a final dot; empty for none.
    @ivar alpn: the application protocols it offers, its favourite first.
    @ivar groups: the numbers of the key exchange groups it offers, likewise; empty where it names
        none.
    """

    serverName: str = ""
    alpn: tuple[bytes, ...] = ()
    groups: tuple[int, ...] = ()


def readHello(data: bytes | bytearray) -> ClientHello | None:
    """
    The ClientHello at the start of a stream; L{None} while it is incomplete.

    @raise HelloError: it is malformed, or longer than L{HELLO_LIMIT}.
    """
    message = bytearray()
    at = 0
    while True:
        if len(message) >= 4:
            if message[0] != 1:
                raise HelloError(f"a handshake begins with message {message[0]}, not ClientHello")
            size = 4 + int.from_bytes(message[1:4], "big")
            if size > HELLO_LIMIT:
                raise HelloError(f"a ClientHello of {size} bytes is too long")
            if len(message) >= size:
                return _parse(bytes(message[4:size]))
        if at > HELLO_LIMIT:
            raise HelloError("a ClientHello in too many pieces")
        header = data[at : at + _RECORD]
        if header and header[0] != 22:
            raise HelloError(f"record type {header[0]} within a ClientHello")
        if len(header) < _RECORD:
            return None
        length = int.from_bytes(header[3:5], "big")
        if not 0 < length <= _LONGEST_RECORD:
            raise HelloError(f"a record of {length} bytes")
        if len(data) < at + _RECORD + length:
            return None
        message += data[at + _RECORD : at + _RECORD + length]
        at += _RECORD + length


def _parse(body: bytes) -> ClientHello:
    """The inside of the message: version, random, session, ciphers, compression, extensions."""
    rest = _Reader(body)
    rest.take(2 + 32)
    for width in (1, 2, 1):
        rest.block(width)
    name = ""
    alpn: tuple[bytes, ...] = ()
    groups: tuple[int, ...] = ()
    if rest.left:
        extensions = _Reader(rest.block(2))
        while extensions.left:
            kind = extensions.number(2)
            value = _Reader(extensions.block(2))
            if kind == _SERVER_NAME:
                name = _serverName(value)
            elif kind == _ALPN:
                alpn = tuple(_blocks(_Reader(value.block(2)), 1))
            elif kind == _GROUPS:
                listed = value.block(2)
                groups = tuple(
                    int.from_bytes(listed[at : at + 2], "big") for at in range(0, len(listed), 2)
                )
    return ClientHello(name, alpn, groups)


def _serverName(value: _Reader) -> str:
    """The first host_name of a server_name extension."""
    names = _Reader(value.block(2))
    while names.left:
        kind, name = names.number(1), names.block(2)
        if kind == 0:
            try:
                return name.decode("ascii").lower().removesuffix(".")
            except UnicodeDecodeError:
                raise HelloError(f"the server name {name!r} is not ASCII") from None
    return ""


def _blocks(reader: _Reader, width: int) -> Iterator[bytes]:
    while reader.left:
        yield reader.block(width)


class _Reader:
    """Takes numbers and length-prefixed blocks off the front of some bytes."""

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def left(self) -> int:
        """How many bytes have not been taken."""
        return len(self._data) - self._at

    def take(self, size: int) -> bytes:
        """The next bytes."""
        if size > self.left:
            raise HelloError("a ClientHello ends in the middle of a field")
        self._at += size
        return self._data[self._at - size : self._at]

    def number(self, width: int) -> int:
        """The next number, big end first."""
        return int.from_bytes(self.take(width), "big")

    def block(self, width: int) -> bytes:
        """The next block, whose length comes first, in that many bytes."""
        return self.take(self.number(width))
