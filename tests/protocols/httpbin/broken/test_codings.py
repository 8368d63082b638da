"""Tests for L{loopbackd.protocols.httpbin.broken.codings}."""

from __future__ import annotations

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopbackd.protocols.httpbin.broken.breakages import BREAKAGES
from loopbackd.protocols.httpbin.broken.codings import compressed, zeros
from loopbackd.protocols.httpbin.broken.right import BODY


@given(st.binary())
def test_compressed(data: bytes) -> None:
    """It is gzip, and the same bytes each time."""
    assert gzip.decompress(compressed(data)) == data
    assert compressed(data) == compressed(data)


@pytest.mark.parametrize("size", [1, 65535, 65536, 65537, 1_000_000])
def test_zeros(size: int) -> None:
    """So many zeros, and small on the wire."""
    assert gzip.decompress(zeros(size)) == bytes(size)
    assert len(zeros(size)) < size / 500 + 100


class Written:
    """A wire that only writes."""

    def __init__(self) -> None:
        self.data = b""

    def write(self, data: bytes) -> None:
        self.data += data

    async def drained(self) -> None: ...


def bodyOf(name: str) -> bytes:
    """What a breakage has behind its head."""
    wire = Written()
    one = BREAKAGES[name]
    with pytest.raises(StopIteration):
        one.script(wire, None, one.options({})).send(None)  # type: ignore[arg-type,attr-defined]
    return wire.data.partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("gzip-cut", "ended before"),
        ("gzip-without-trailer", "ended before"),
        ("gzip-wrong-checksum", "CRC check failed"),
        ("gzip-wrong-size", "Incorrect length"),
        ("gzip-then-junk", "Not a gzipped file"),
        ("gzip-that-is-none", "Not a gzipped file"),
        ("gzip-that-is-deflate", "Not a gzipped file"),
    ],
)
def test_wrongGzip(name: str, why: str) -> None:
    """A decoder that looks at everything finds just what is wrong."""
    with pytest.raises((EOFError, gzip.BadGzipFile, zlib.error), match=why):
        gzip.decompress(bodyOf(name))


def test_rightCodings() -> None:
    """What is only unusual is right."""
    assert gzip.decompress(bodyOf("gzip-two-members")) == BODY
    assert zlib.decompress(bodyOf("deflate-raw"), -15) == BODY
