"""Tests for L{loopbackd.protocols.detect}."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from loopbackd.protocols.detect import LIMIT, Detector, Kind

HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(505)
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
V2 = b"\r\n\r\n\x00\r\nQUIT\n"

SURE = [
    (HELLO[:6], Kind.TLS),
    (b"\x16\x03\x00\x00\x01\x01", Kind.TLS),
    (b"\x16\x03\x04\x40\x00\x01", Kind.TLS),
    (b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10", Kind.TLS),
    (b"\x81\x0f\x01\x03\x01\x00\xe6\x00\x10\x00\x10", Kind.OTHER),
    (b"\x81\x0c\x01\x03\x01\x00\xe3\x00\x10\x00\x10", Kind.OTHER),
    (b"\x81\x0f\x01\x03\x03\x00\xe4\x00\x00\x00\x22", Kind.TLS),
    (b"\x80\x2e\x02", Kind.OTHER),
    (b"\x80\x2e\x01\x01", Kind.OTHER),
    (b"\x80\x2e\x01\x03\x05", Kind.OTHER),
    (b"\x82", Kind.OTHER),
    (PREFACE[:16], Kind.HTTP2),
    (b"PROXY TCP4 ", Kind.PROXY),
    (b"PROXY TCP6 ", Kind.PROXY),
    (b"PROXY UNKNOWN\r", Kind.PROXY),
    (b"PROXY UNKNOWN ", Kind.PROXY),
    (V2, Kind.PROXY),
    (b"GET /", Kind.HTTP),
    (b"OPTIONS *", Kind.HTTP),
    (b"GET http://", Kind.HTTP),
    (b"GET https://", Kind.HTTP),
    (b"PROPFIND /", Kind.HTTP),
    (b"CONNECT example.com:4", Kind.HTTP),
    (b"CONNECT [::1]:4", Kind.HTTP),
    (b"CONNECT " + b"a" * 255 + b":4", Kind.HTTP),
    (b"\r\n\r\n\r\n\r\nGET /", Kind.HTTP),
    (b"M-SEARCH * HTTP/1.1\r\n", Kind.HTTP),
    (b"PROXY /a HTTP/1.1\r\n", Kind.HTTP),
    (b"PRI * HTTP/1.1\r\n", Kind.HTTP),
    (b"\r\nPRI * HTTP/2.0\r\n", Kind.HTTP),
    (b"BREW /pot HTTP/1.0\n", Kind.HTTP),
    (b"A" * 32 + b" / HTTP/1.1\r\n", Kind.HTTP),
    (b"\x15", Kind.OTHER),
    (b"\x16\x02", Kind.OTHER),
    (b"\x16\x03\x05", Kind.OTHER),
    (b"\x16\x03\x01\x00\x00", Kind.OTHER),
    (b"\x16\x03\x01\x40\x01", Kind.OTHER),
    (b"\x16\x03\x01\x02\x00\x02", Kind.OTHER),
    (b"h", Kind.OTHER),
    (b"HELLO W", Kind.OTHER),
    (b"PING\r", Kind.OTHER),
    (b"GET x", Kind.OTHER),
    (b"EHLO m", Kind.OTHER),
    (b"PROXY TCP5", Kind.OTHER),
    (b"PROXY TCP4\r", Kind.OTHER),
    (b"CONNECT example.com ", Kind.OTHER),
    (b"CONNECT " + b"a" * 256, Kind.OTHER),
    (b"GET ho", Kind.OTHER),
    (b"PUSH /a /b\n", Kind.OTHER),
    (b"PUSH /a HTTP/x\n", Kind.OTHER),
    (b"A" * 33, Kind.OTHER),
    (b"\n", Kind.OTHER),
    (b"\rG", Kind.OTHER),
    (b"\r\n" * 4 + b"\r", Kind.OTHER),
    (b"\r\n\x00", Kind.OTHER),
    (b"\x00", Kind.OTHER),
]


def inOnePiece(data: bytes) -> Kind | None:
    """The answer to everything at once."""
    return Detector().feed(data)


@pytest.mark.parametrize(("data", "kind"), SURE)
def test_sureWithTheLastByteAndNotBefore(data: bytes, kind: Kind) -> None:
    """Every answer comes with the byte that makes it sure."""
    detector = Detector()
    answers = [detector.feed(data[at : at + 1]) for at in range(len(data))]
    assert answers == [None] * (len(data) - 1) + [kind]


@pytest.mark.parametrize(("data", "kind"), SURE)
def test_whatFollowsChangesNothing(data: bytes, kind: Kind) -> None:
    """An answer stays, whatever comes after it, in one piece or later."""
    assert inOnePiece(data + b"\x00\xff\r\n" * 10) is kind
    detector = Detector()
    detector.feed(data)
    assert detector.feed(b"GET / HTTP/1.1\r\n") is kind
    assert detector.decide() is kind


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", Kind.OTHER),
        (b"\r\n", Kind.OTHER),
        (b"GET", Kind.OTHER),
        (b"GET ", Kind.OTHER),
        (b"\x16\x03\x01", Kind.OTHER),
        (b"PRI * HT", Kind.OTHER),
        (b"PROXY TCP4", Kind.OTHER),
        (b"BREW /pot", Kind.OTHER),
        (b"BREW /pot HTTP/", Kind.OTHER),
        (b"BREW /pot HTTP/1", Kind.HTTP),
        (b"BREW /pot HTTP/1.1\r", Kind.HTTP),
        (b"\r\nBREW /pot HTTP/1.1", Kind.HTTP),
    ],
)
def test_decidesOnWhatThereIs(data: bytes, kind: Kind) -> None:
    """When time is up, only a request line that lacks its end counts as more than OTHER."""
    detector = Detector()
    assert detector.feed(data) is None
    assert detector.decide() is kind
    assert detector.feed(b"\r\n") is kind


def test_endlessRequestLineIsOther() -> None:
    """A line of an unknown method longer than the limit is given up at the limit."""
    detector = Detector()
    assert detector.feed(b"BREW /" + b"x" * (LIMIT - 7)) is None
    assert detector.feed(b"x") is Kind.OTHER
    assert inOnePiece(b"BREW /" + b"x" * LIMIT + b" HTTP/1.1\r\n") is Kind.OTHER


def test_keepsEverythingFed() -> None:
    """All bytes can be had back, beyond the limit and the answer too."""
    detector = Detector()
    detector.feed(b"GET /")
    detector.feed(b"x" * 1_000_000)
    assert detector.data == b"GET /" + b"x" * 1_000_000


def test_bigFeedIsNotCopied() -> None:
    """A megabyte fed at once is kept as it is."""
    data = b"x" * 1_000_000
    detector = Detector()
    detector.feed(data)
    assert detector.data is data


beginnings = st.sampled_from([data for data, _ in SURE] + [HELLO, PREFACE, b"", b"\r\n", b"GET "])
somebody = st.builds(bytes.__add__, beginnings, st.binary(max_size=60)) | st.binary(max_size=60)
textual = st.text("PRIGETXYOCH/*.:[] 12\r\n", max_size=80).map(str.encode)


@given(somebody | textual, st.lists(st.integers(0, 90)))
@example(b"PROXY UNKNOWN\r\n", [13])
@example(b"\r\n\r\n\x00\r\nQUIT\n", [4])
def test_splittingChangesNothing(data: bytes, cuts: list[int]) -> None:
    """Split anywhere, the answers and the guess are those for the whole."""
    whole, parts = Detector(), Detector()
    answer = whole.feed(data)
    for begin, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(data)], strict=True):
        last = parts.feed(data[begin:end])
    assert last is answer
    assert parts.decide() is whole.decide()
    assert parts.data == data
