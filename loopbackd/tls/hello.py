"""
What a client says before anything is secret: the ClientHello, read and not answered.

Which certificate it gets, and whether it gets one at all, is decided by what it asks for here. The
handshake itself is OpenSSL's, which reads the same bytes again and is the judge of their form.

RFC 8446 sections 4.1.2 and 5.1; server_name: RFC 6066 section 3; ALPN: RFC 7301 section 3.1.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

HELLO_LIMIT: Final = 1 << 16
"""The most bytes a ClientHello may take, its record headers included."""

PIECES_LIMIT: Final = 2048
"""The most records it may come in: all are read again with each byte that comes."""

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
    if len(data) > 9 and data[0] == 22 and data[5] == 1:
        # Nearly all are one record.
        size = 9 + int.from_bytes(data[6:9], "big")
        if size == _RECORD + int.from_bytes(data[3:5], "big") <= len(data):
            return _parse(bytes(data[9:size]))
    message = bytearray()
    at = pieces = 0
    while True:
        if len(message) >= 4:
            if message[0] != 1:
                raise HelloError(f"a handshake begins with message {message[0]}, not ClientHello")
            size = 4 + int.from_bytes(message[1:4], "big")
            if size > HELLO_LIMIT:
                raise HelloError(f"a ClientHello of {size} bytes is too long")
            if len(message) >= size:
                return _parse(bytes(message[4:size]))
        if at > HELLO_LIMIT or pieces > PIECES_LIMIT:
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
        pieces += 1


def _parse(body: bytes) -> ClientHello:
    """The inside of the message; by hand, since every handshake waits for it."""
    try:
        # Version and random, session, cipher suites, compression methods.
        at = 35 + body[34]
        at += 2 + (body[at] << 8 | body[at + 1])
        at += 1 + body[at]
        if at == len(body):
            return ClientHello()
        end = at + 2 + (body[at] << 8 | body[at + 1])
        at += 2
        _within(end, len(body))
        name = ""
        alpn: tuple[bytes, ...] = ()
        groups: tuple[int, ...] = ()
        while at < end:
            kind = body[at] << 8 | body[at + 1]
            start = at + 4
            at = start + (body[at + 2] << 8 | body[at + 3])
            _within(at, end)
            if kind == _SERVER_NAME:
                name = _serverName(_listed(body[start:at]))
            elif kind == _ALPN:
                alpn = tuple(_protocols(_listed(body[start:at])))
            elif kind == _GROUPS:
                numbers = _listed(body[start:at])
                groups = struct.unpack(f"!{len(numbers) // 2}H", numbers[: len(numbers) & ~1])
    except IndexError:
        raise HelloError(_CUT) from None
    return ClientHello(name, alpn, groups)


_CUT: Final = "a ClientHello ends in the middle of a field"


def _within(end: int, limit: int) -> None:
    if end > limit:
        raise HelloError(_CUT)


def _listed(value: bytes) -> bytes:
    """A list that is preceded by its length in two bytes."""
    end = 2 + (value[0] << 8 | value[1])
    _within(end, len(value))
    return value[2:end]


def _serverName(names: bytes) -> str:
    """The first host_name of a server_name extension."""
    at = 0
    while at < len(names):
        kind = names[at]
        start = at + 3
        at = start + (names[at + 1] << 8 | names[at + 2])
        _within(at, len(names))
        if kind == 0:
            name = names[start:at]
            if not name.isascii():
                raise HelloError(f"the server name {name!r} is not ASCII")
            return name.decode("ascii").lower().removesuffix(".")
    return ""


def _protocols(names: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(names):
        start, at = at + 1, at + 1 + names[at]
        _within(at, len(names))
        yield names[start:at]
