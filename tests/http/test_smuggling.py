"""
No two recipients may disagree about where one of our requests ends: ours and h11, on any bytes.

What ours refuses cannot be disagreed about: the connection ends there.
"""

from __future__ import annotations

import os
import re
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from reading import read, readByH11

EXAMPLES = 10_000 if os.environ.get("CI") == "true" else 1_000

HEADS = [
    b"GET / HTTP/1.1\r\nHost: x\r\n",
    b"POST /post HTTP/1.1\r\nHost: x\r\n",
    b"POST /p?q=1 HTTP/1.0\r\n",
    b"get http://a:1?b HTTP/1.1\r\nhost:a\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: \r\n",
    b"M-SEARCH /x HTTP/1.7\r\nHost: [::1]:80\r\n",
    b"CONNECT x:1 HTTP/1.1\r\nHost: x:1\r\n",
    b"PRI * HTTP/2.0\r\n",
]
FIELDS = [
    b"Content-Length: 5\r\n",
    b"Content-Length: 0\r\n",
    b"Content-Length:3 \t\r\n",
    b"Content-Length: +5\r\n",
    b"Content-Length: -5\r\n",
    b"Content-Length: 0x5\r\n",
    b"Content-Length: 5, 5\r\n",
    b"Content-Length: 1_0\r\n",
    b"Content-Length: \r\n",
    b"Content-Length : 5\r\n",
    b"content_length: 5\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"transfer-encoding:CHUNKED\r\n",
    b"Transfer-Encoding: chunked, identity\r\n",
    b"Transfer-Encoding: gzip, chunked\r\n",
    b"Transfer-Encoding: \x0bchunked\r\n",
    b"Transfer-Encoding:\r\n chunked\r\n",
    b"Transfer-Encoding : chunked\r\n",
    b"Transfer-Encoding: identity\r\n",
    b"Connection: close\r\n",
    b"Connection: keep-alive, Upgrade\r\n",
    b"Upgrade: websocket\r\n",
    b"Expect: 100-continue\r\n",
    b"X: a\r\n b\r\n",
    b"X: \xff\x80 y\r\n",
    b"X: \r\n",
    b"X:\r\n",
    b": x\r\n",
    b"X\r\n",
    b"Trailer: T\r\n",
    b"Proxy-Connection: close\r\n",
]
BODIES = [
    b"hello",
    b"3\r\nabc\r\n0\r\n\r\n",
    b"0\r\n\r\n",
    b"00\r\n\r\n",
    b"5;a=b\r\nhello\r\n0;c\r\nT: u\r\n\r\n",
    b"5 ;a\r\nhello\r\n0\r\n\r\n",
    b"A\r\n0123456789\r\n0\r\nContent-Length: 5\r\nX: y\r\n\r\n",
    b"5 \r\nhello\r\n0\r\n\r\n",
    b"0x5\r\nhello\r\n0\r\n\r\n",
    b"5\nhello\r\n0\r\n\r\n",
    b"5\r\nhello0\r\n\r\n",
    b"fffffffffffffffff\r\nx",
    b"-1\r\nx\r\n0\r\n\r\n",
    b"GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n",
]
BITS = [bytes([one]) for one in b'\r\n \t\x00\x0b\x0c\x7f\x80\xa0\xff:;,01f_+-"\\#']
BITS += [b"\r\n", b"\r\n\r\n", b"%00", b"HTTP/1.1", b"chunked"]

SPACED = re.compile(rb"\n[0-9A-Fa-f]+[ \t]+;")
"""The white space that a recipient must take (RFC 9112 section 7.1.1), and h11 does not."""

PARTS = st.one_of(
    st.sampled_from(HEADS),
    st.sampled_from(FIELDS),
    st.sampled_from(BODIES),
    st.sampled_from(BITS),
    st.binary(max_size=8),
)


@st.composite
def requests(draw: Any) -> bytes:
    """One request, most often a good one."""
    fields = draw(st.lists(st.sampled_from(FIELDS), max_size=3))
    body = draw(st.sampled_from([b"", *BODIES]))
    return b"".join([draw(st.sampled_from(HEADS)), *fields, b"\r\n", body])


@st.composite
def streams(draw: Any) -> bytes:
    """Some requests, with a few bytes changed."""
    data = bytearray(b"".join(draw(st.lists(requests(), min_size=1, max_size=3))))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(data)))
        data[at : at + draw(st.integers(0, 2))] = draw(st.sampled_from([b"", *BITS]))
    return bytes(data)


STREAMS = st.one_of(
    streams(), streams(), st.lists(PARTS, max_size=12).map(b"".join), st.binary(max_size=200)
)


def agree(data: bytes) -> None:
    """Fail where the two disagree on something that ours does not refuse."""
    ours, theirs = read([data]), readByH11(data)
    for number, one in enumerate(ours.whole):
        if number == len(theirs.whole) and theirs.refused and SPACED.search(data):
            return
        assert number < len(theirs.whole), f"h11 does not read {one}: {theirs}"
        assert one == theirs.whole[number]
    if not ours.refused:
        assert len(theirs.whole) == len(ours.whole), "ours waits where h11 has found an end"
        if not theirs.refused:
            assert ours.begun == theirs.begun


@given(STREAMS)
@settings(max_examples=EXAMPLES)
def test_h11(data: bytes) -> None:
    """Requests, their bodies and their ends are the same, or ours refuses."""
    agree(data)


@given(STREAMS, st.lists(st.integers(0, 400), max_size=12))
@settings(max_examples=EXAMPLES)
def test_anyPieces(data: bytes, cuts: list[int]) -> None:
    """What is read does not depend on how the bytes arrive."""
    at = sorted({0, *(cut for cut in cuts if cut < len(data))})
    pieces = [data[one:two] for one, two in zip(at, [*at[1:], len(data)], strict=True)]
    whole = read([data])
    for others in (pieces, [data[at : at + 1] for at in range(len(data))]):
        found = read(others)
        assert (found.whole, found.begun) == (whole.whole, whole.begun)
        # What is wrong in several ways is refused for the first of them that is seen.
        assert bool(found.refused) is bool(whole.refused)
