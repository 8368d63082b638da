"""
The PROXY header: who the client of a load balancer is, as said in front of its bytes.

Versions 1 (a text line) and 2 (binary) of haproxy's proxy-protocol.txt, sections 2.1 and 2.2. The
parser takes bytes and gives values; it is strict, because a header that is guessed at is a forged
address.
"""

from __future__ import annotations

import functools
import ipaddress
import re
from typing import Final, Literal, NamedTuple

MAX_V1: Final = 107
"""The longest version 1 line, its CR LF included (section 2.1)."""

MAX_V2: Final = 4096
"""The longest version 2 block, after the 16 fixed bytes, that is accepted."""

Address = tuple[str, int]
"""Host and port; for a unix socket its path (C{@name} for an abstract one) and 0."""


class ProxyHeaderError(ValueError):
    """The peer sent no PROXY header, or one that breaks the specification; the text says how."""


class ProxyHeader(NamedTuple):
    """
    What a PROXY header said, complete for who writes a protocol: loopbackd itself reads less of it.

    The addresses are L{None} when the sender did not know them, spoke for itself (command "local")
    or proxied something other than a stream over IPv4, IPv6 or unix: then the addresses of the
    connection itself count.

    @ivar tlvs: the extensions of version 2 as (type, value), in order and without padding; empty
        where the addresses are L{None}, since the specification has the whole block skipped there.
    """

    version: Literal[1, 2]
    source: Address | None
    destination: Address | None
    family: Literal["tcp4", "tcp6", "unix", "unknown"]
    command: Literal["proxy", "local"]
    tlvs: tuple[tuple[int, bytes], ...] = ()


class ProxyParser:
    """
    Parses one header from the start of a stream, however it was split.

    What follows the header is in L{rest}; bytes fed after the answer are added to it.
    """

    __slots__ = ("_buffer", "_error", "_header", "_rest")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._header: ProxyHeader | None = None
        self._error: ProxyHeaderError | None = None
        self._rest: list[bytes] = []

    @property
    def rest(self) -> bytes:
        """The bytes after the header, for the protocol that comes next."""
        return b"".join(self._rest)

    def feed(self, data: bytes) -> ProxyHeader | None:
        """
        Take more bytes; L{None} asks for more, the header comes once it is complete.

        @raise ProxyHeaderError: it is malformed or too long; feeding more raises the same again.
        """
        if self._header is not None:
            self._rest.append(data)
            return self._header
        if self._error is not None:
            raise self._error
        self._buffer += data
        try:
            parsed = _parse(self._buffer)
        except ProxyHeaderError as error:
            self._error = error
            self._buffer.clear()
            raise
        if parsed is not None:
            self._header, length = parsed
            self._rest.append(bytes(self._buffer[length:]))
            self._buffer.clear()
        return self._header


_V1: Final = b"PROXY "
_V2: Final = b"\r\n\r\n\x00\r\nQUIT\n"
_V2_FIXED: Final = len(_V2) + 4
_PORT: Final = re.compile(rb"0|[1-9][0-9]{0,4}")

_NOOP: Final = 0x04
_CRC32C: Final = 0x03


def _parse(buffer: bytearray) -> tuple[ProxyHeader, int] | None:
    """The header at the start of C{buffer} and its length; L{None} while it is incomplete."""
    if buffer.startswith(_V1):
        return _parseV1(buffer)
    if buffer.startswith(_V2):
        return _parseV2(buffer)
    start = bytes(buffer[: len(_V2)])
    if _V1.startswith(start) or _V2.startswith(start):
        return None
    raise ProxyHeaderError(f"no PROXY header: the connection starts with {start!r}")


def _parseV1(buffer: bytearray) -> tuple[ProxyHeader, int] | None:
    """A text line (section 2.1)."""
    end = buffer.find(b"\n", 0, MAX_V1)
    if end < 0:
        if len(buffer) >= MAX_V1:
            raise ProxyHeaderError(f"PROXY line longer than {MAX_V1} bytes: {_shown(buffer)}")
        return None
    line = bytes(buffer[: end + 1])
    if not line.endswith(b"\r\n"):
        raise ProxyHeaderError(f"PROXY line does not end with CR LF: {line!r}")
    return _lineHeader(line[:-2]), end + 1


def _lineHeader(line: bytes) -> ProxyHeader:
    """What a version 1 line without its end says."""
    words = line.split(b" ")
    if words[1] == b"UNKNOWN":
        # The rest of the line must be ignored.
        return ProxyHeader(1, None, None, "unknown", "proxy")
    if words[1] not in (b"TCP4", b"TCP6"):
        raise ProxyHeaderError(
            f"PROXY family {words[1]!r} is none of TCP4, TCP6, UNKNOWN: {line!r}"
        )
    if len(words) != 6:
        raise ProxyHeaderError(f"PROXY line needs two addresses and two ports: {line!r}")
    host = _host4 if words[1] == b"TCP4" else _host6
    source, destination = ((host(words[at]), _port(words[at + 2])) for at in (2, 3))
    return ProxyHeader(1, source, destination, "tcp4" if words[1] == b"TCP4" else "tcp6", "proxy")


def _host4(word: bytes) -> str:
    """An IPv4 address in a version 1 line."""
    try:
        return str(ipaddress.IPv4Address(word.decode("ascii")))
    except ValueError:
        raise ProxyHeaderError(f"PROXY TCP4 address {word!r} is not IPv4") from None


def _host6(word: bytes) -> str:
    """An IPv6 address in a version 1 line; a zone would mean nothing on another machine."""
    try:
        address = ipaddress.IPv6Address(word.decode("ascii"))
    except ValueError:
        raise ProxyHeaderError(f"PROXY TCP6 address {word!r} is not IPv6") from None
    if address.scope_id is not None:
        raise ProxyHeaderError(f"PROXY TCP6 address {word!r} has a zone")
    return str(address)


def _port(word: bytes) -> int:
    """A port in a version 1 line."""
    if not _PORT.fullmatch(word) or int(word) > 0xFFFF:
        raise ProxyHeaderError(f"PROXY port {word!r} is not a decimal number from 0 to 65535")
    return int(word)


def _parseV2(buffer: bytearray) -> tuple[ProxyHeader, int] | None:
    """A binary header (section 2.2)."""
    if len(buffer) < _V2_FIXED:
        return None
    version, command = divmod(buffer[12], 16)
    family, transport = divmod(buffer[13], 16)
    size = int.from_bytes(buffer[14:16], "big")
    if version != 2:
        raise ProxyHeaderError(f"binary PROXY header has version {version}, not 2")
    if command > 1:
        raise ProxyHeaderError(f"PROXY command {command} is neither 0 (LOCAL) nor 1 (PROXY)")
    if size > MAX_V2:
        raise ProxyHeaderError(f"PROXY block of {size} bytes is longer than {MAX_V2}")
    length = _V2_FIXED + size
    if command == 0:
        header = ProxyHeader(2, None, None, "unknown", "local")
        return (header, length) if len(buffer) >= length else None
    if family > 3 or transport > 2:
        raise ProxyHeaderError(f"PROXY family and transport 0x{buffer[13]:02x} are not assigned")
    if len(buffer) < length:
        return None
    return _blockHeader(bytes(buffer[:length])), length


def _blockHeader(header: bytes) -> ProxyHeader:
    """What a complete version 2 header with the PROXY command says."""
    if header[13] == 0x11:
        return _inet(header, "tcp4", 4)
    if header[13] == 0x21:
        return _inet(header, "tcp6", 16)
    if header[13] == 0x31:
        source, destination, end = _pair(header, "unix", 108, 0)
        return ProxyHeader(
            2, (_path(source), 0), (_path(destination), 0), "unix", "proxy", _tlvs(header, end)
        )
    return ProxyHeader(2, None, None, "unknown", "proxy")


def _inet(header: bytes, family: Literal["tcp4", "tcp6"], size: int) -> ProxyHeader:
    """Two IP addresses of C{size} bytes, then two ports."""
    source, destination, end = _pair(header, family, size, 4)
    ports = header[end - 4 : end]
    return ProxyHeader(
        2,
        (str(ipaddress.ip_address(source)), int.from_bytes(ports[:2], "big")),
        (str(ipaddress.ip_address(destination)), int.from_bytes(ports[2:], "big")),
        family,
        "proxy",
        _tlvs(header, end),
    )


def _pair(header: bytes, family: str, size: int, ports: int) -> tuple[bytes, bytes, int]:
    """The two addresses of C{size} bytes and where they and the C{ports} after them end."""
    middle = _V2_FIXED + size
    end = middle + size + ports
    if len(header) < end:
        raise ProxyHeaderError(
            f"PROXY block of {len(header) - _V2_FIXED} bytes is too short for {family} addresses"
        )
    return header[_V2_FIXED:middle], header[middle : middle + size], end


def _path(field: bytes) -> str:
    """A sockaddr_un path; bytes that are not UTF-8 are escaped."""
    if field.startswith(b"\0"):
        field = field.rstrip(b"\0").replace(b"\0", b"@", 1)
    else:
        field = field.partition(b"\0")[0]
    return field.decode("utf-8", "backslashreplace")


def _tlvs(header: bytes, at: int) -> tuple[tuple[int, bytes], ...]:
    """The extensions from C{at} to the end (section 2.2.1 on), the checksum verified if there."""
    found: list[tuple[int, bytes]] = []
    while at < len(header):
        end = at + 3 + int.from_bytes(header[at + 1 : at + 3], "big")
        if at + 3 > len(header) or end > len(header):
            raise ProxyHeaderError(f"PROXY extension 0x{header[at]:02x} runs past its block")
        kind, value = header[at], header[at + 3 : end]
        if kind == _CRC32C:
            _verify(header, at + 3, value)
        if kind != _NOOP:
            found.append((kind, value))
        at = end
    return tuple(found)


def _verify(header: bytes, at: int, value: bytes) -> None:
    """The checksum extension covers the whole header with its own four bytes zero (2.2.3)."""
    if len(value) != 4:
        raise ProxyHeaderError(f"PROXY checksum has {len(value)} bytes, not 4")
    if crc32c(header[:at] + bytes(4) + header[at + 4 :]) != int.from_bytes(value, "big"):
        raise ProxyHeaderError(f"PROXY checksum {value.hex()} does not match the header")


def crc32c(data: bytes) -> int:
    """The checksum of RFC 4960 appendix B, which PROXY version 2 uses."""
    table = _crcTable()
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ table[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


@functools.cache
def _crcTable() -> tuple[int, ...]:
    """The checksum of every byte, made when the first header has a checksum."""
    table = []
    for crc in range(256):
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
        table.append(crc)
    return tuple(table)


def _shown(buffer: bytearray) -> str:
    """The start of what a peer sent, escaped, short enough for a log line."""
    return repr(bytes(buffer[:MAX_V1]))
