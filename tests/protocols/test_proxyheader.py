"""Tests for L{loopbackd.protocols.proxyheader}."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopbackd.protocols.proxyheader import (
    MAX_V2,
    ProxyHeader,
    ProxyHeaderError,
    ProxyParser,
    crc32c,
)

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
FOUR = bytes([192, 0, 2, 1, 127, 0, 0, 1, 0xDC, 0x04, 0xF5, 0xAD])
SIX = bytes(15) + b"\x01" + b"\x20\x01\x0d\xb8" + bytes(12) + b"\x00\x01\xf5\xad"


def v2(command: int, family: int, block: bytes) -> bytes:
    """A version 2 header."""
    return SIGNATURE + bytes([command, family]) + len(block).to_bytes(2, "big") + block


def tlv(kind: int, value: bytes) -> bytes:
    """An extension of version 2."""
    return bytes([kind]) + len(value).to_bytes(2, "big") + value


def unixBlock(source: bytes, destination: bytes) -> bytes:
    """The addresses of a unix stream."""
    return source.ljust(108, b"\0") + destination.ljust(108, b"\0")


def parse(data: bytes) -> tuple[ProxyHeader | None, bytes]:
    """What one feed of *data* gives, and the rest."""
    parser = ProxyParser()
    return parser.feed(data), parser.rest


def unknown(version: int, command: str) -> ProxyHeader:
    """A header that tells nothing about addresses."""
    return ProxyHeader(version, None, None, "unknown", command)  # type: ignore[arg-type]


GOOD = [
    (
        b"PROXY TCP4 192.0.2.1 127.0.0.1 56324 62893\r\n",
        ProxyHeader(1, ("192.0.2.1", 56324), ("127.0.0.1", 62893), "tcp4", "proxy"),
    ),
    (
        b"PROXY TCP6 ::1 2001:0DB8::0 0 65535\r\n",
        ProxyHeader(1, ("::1", 0), ("2001:db8::", 65535), "tcp6", "proxy"),
    ),
    (b"PROXY UNKNOWN\r\n", unknown(1, "proxy")),
    (b"PROXY UNKNOWN \xff whatever\r here\r\n", unknown(1, "proxy")),
    (b"PROXY UNKNOWN " + b"f" * 91 + b"\r\n", unknown(1, "proxy")),
    (
        v2(0x21, 0x11, FOUR),
        ProxyHeader(2, ("192.0.2.1", 56324), ("127.0.0.1", 62893), "tcp4", "proxy"),
    ),
    (
        v2(0x21, 0x21, SIX),
        ProxyHeader(2, ("::1", 1), ("2001:db8::", 62893), "tcp6", "proxy"),
    ),
    (
        v2(0x21, 0x31, unixBlock(b"/run/a.sock", b"\0abstract")),
        ProxyHeader(2, ("/run/a.sock", 0), ("@abstract", 0), "unix", "proxy"),
    ),
    (
        v2(0x21, 0x31, unixBlock(b"", b"/\xff")),
        ProxyHeader(2, ("", 0), ("/\\xff", 0), "unix", "proxy"),
    ),
    (
        v2(0x21, 0x11, FOUR + tlv(2, b"localhost") + tlv(4, bytes(5)) + tlv(2, b"")),
        ProxyHeader(
            2,
            ("192.0.2.1", 56324),
            ("127.0.0.1", 62893),
            "tcp4",
            "proxy",
            ((2, b"localhost"), (2, b"")),
        ),
    ),
    (v2(0x20, 0x00, b""), unknown(2, "local")),
    (v2(0x20, 0xFF, b"anything"), unknown(2, "local")),
    (v2(0x21, 0x00, b"anything"), unknown(2, "proxy")),
    (v2(0x21, 0x12, FOUR), unknown(2, "proxy")),
    (v2(0x21, 0x30, b""), unknown(2, "proxy")),
    (v2(0x20, 0x00, bytes(MAX_V2)), unknown(2, "local")),
]

BAD = [
    (b"GET / HTTP/1.1\r\n", "no PROXY header"),
    (b"PROXX", "no PROXY header"),
    (b"\r\n\r\nGET", "no PROXY header"),
    (b"PROXY \r\n", "is none of TCP4, TCP6, UNKNOWN"),
    (b"PROXY UDP4 1.1.1.1 2.2.2.2 1 2\r\n", "is none of TCP4, TCP6, UNKNOWN"),
    (b"PROXY UNKNOWNS\r\n", "is none of TCP4, TCP6, UNKNOWN"),
    (b"PROXY TCP4 1.1.1.1 2.2.2.2 1\r\n", "needs two addresses"),
    (b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2 \r\n", "needs two addresses"),
    (b"PROXY TCP4  1.1.1.1 2.2.2.2 1 2\r\n", "needs two addresses"),
    (b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\n", "does not end with CR LF"),
    (b"PROXY UNKNOWN\n\r\n", "does not end with CR LF"),
    (b"PROXY TCP4 01.1.1.1 2.2.2.2 1 2\r\n", "is not IPv4"),
    (b"PROXY TCP4 ::1 ::1 1 2\r\n", "is not IPv4"),
    (b"PROXY TCP4 1.1.1.1 \xd9\xa1.1.1.1 1 2\r\n", "is not IPv4"),
    (b"PROXY TCP6 1.1.1.1 ::1 1 2\r\n", "is not IPv6"),
    (b"PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n", "has a zone"),
    (b"PROXY TCP4 1.1.1.1 2.2.2.2 01 2\r\n", "port b'01'"),
    (b"PROXY TCP4 1.1.1.1 2.2.2.2 1 65536\r\n", "port b'65536'"),
    (b"PROXY TCP4 1.1.1.1 2.2.2.2 +1 2\r\n", r"port b'\+1'"),
    (b"PROXY TCP4 1.1.1.1 2.2.2.2  2\r\n", "port b''"),
    (b"PROXY UNKNOWN " + b"f" * 92 + b"\r\n", "longer than 107"),
    (b"PROXY TCP4 " + b"\x1b" * 96, r"longer than 107 bytes: .*\\x1b"),
    (v2(0x11, 0x11, FOUR), "version 1, not 2"),
    (v2(0x22, 0x11, FOUR), "command 2"),
    (v2(0x21, 0x41, FOUR), "0x41 are not assigned"),
    (v2(0x21, 0x13, FOUR), "0x13 are not assigned"),
    (v2(0x21, 0x11, FOUR[:-1]), "11 bytes is too short for tcp4"),
    (v2(0x21, 0x21, SIX[:-1]), "35 bytes is too short for tcp6"),
    (v2(0x21, 0x31, bytes(215)), "215 bytes is too short for unix"),
    (v2(0x21, 0x11, FOUR + b"\x02\x00"), "extension 0x02 runs past"),
    (v2(0x21, 0x11, FOUR + b"\x02\x00\x02x"), "extension 0x02 runs past"),
    (v2(0x21, 0x11, FOUR + tlv(3, b"abc")), "checksum has 3 bytes"),
    (v2(0x21, 0x11, FOUR + tlv(3, b"abcd")), "does not match"),
    (v2(0x20, 0x00, bytes(MAX_V2 + 1))[:16], "4097 bytes is longer than 4096"),
]


@pytest.mark.parametrize(("data", "header"), GOOD)
def test_headerAndRest(data: bytes, header: ProxyHeader) -> None:
    """A good header is told whole, and what follows is kept."""
    assert parse(data + b"\r\nrest") == (header, b"\r\nrest")


@pytest.mark.parametrize(("data", "header"), GOOD)
def test_answersWithTheLastByte(data: bytes, header: ProxyHeader) -> None:
    """Byte by byte the header comes with its last one, and later bytes go to the rest."""
    parser = ProxyParser()
    answers = [parser.feed(data[at : at + 1]) for at in range(len(data))]
    assert answers == [None] * (len(data) - 1) + [header]
    assert parser.feed(b"more") == header
    assert parser.rest == b"more"


@pytest.mark.parametrize(("data", "message"), BAD)
def test_malformed(data: bytes, message: str) -> None:
    """What breaks the specification is refused by name, every time."""
    parser = ProxyParser()
    with pytest.raises(ProxyHeaderError, match=message) as first:
        parser.feed(data)
    assert str(first.value).isprintable()
    with pytest.raises(ProxyHeaderError, match=message):
        parser.feed(b"PROXY UNKNOWN\r\n")
    assert parser.rest == b""


def test_checksumOfTheStandard() -> None:
    """The checksum gives the well-known value for the well-known digits."""
    assert crc32c(b"123456789") == 0xE3069283


def test_checksumVerified() -> None:
    """A checksum extension that is right is accepted and shown."""
    blank = v2(0x21, 0x11, FOUR + tlv(3, bytes(4)) + tlv(2, b"a"))
    value = crc32c(blank).to_bytes(4, "big")
    header, _ = parse(v2(0x21, 0x11, FOUR + tlv(3, value) + tlv(2, b"a")))
    assert header is not None
    assert header.tlvs == ((3, value), (2, b"a"))


def outcome(chunks: list[bytes]) -> tuple[object, bytes]:
    """What came of feeding *chunks*: header, None or that it was refused; and the rest."""
    parser = ProxyParser()
    header: object = None
    for chunk in chunks:
        try:
            header = parser.feed(chunk)
        except ProxyHeaderError:
            header = ProxyHeaderError
    return header, parser.rest


known = st.sampled_from([data for data, _ in GOOD + BAD])
damaged = st.builds(
    lambda data, at, byte: data[:at] + bytes([byte]) + data[at + 1 :],
    known,
    st.integers(0, 40),
    st.integers(0, 255),
)
blocks = st.builds(v2, st.sampled_from([0x20, 0x21]), st.integers(0, 0x33), st.binary())


@given(
    known | damaged | blocks | st.binary(max_size=60),
    st.binary(max_size=20),
    st.lists(st.integers(0, 130)),
)
def test_splittingChangesNothing(data: bytes, more: bytes, cuts: list[int]) -> None:
    """Any bytes in any chunks give what the whole gives, and raise nothing else."""
    whole = data + more
    bounds = [0, *sorted(cuts), len(whole)]
    chunks = [whole[begin:end] for begin, end in pairwise(bounds)]
    assert outcome(chunks) == outcome([whole])
