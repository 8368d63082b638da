"""Tests for L{loopbackd.websocket.deflate}."""

from __future__ import annotations

import tracemalloc
import zlib
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from memorysocket import masked
from wsproto.events import Ping

from loopbackd.websocket.deflate import SLICE, Deflater, Deflating
from loopbackd.websocket.inbound import (
    MORE,
    PART,
    PIECE,
    Inbound,
    Part,
    PeerClosed,
    Piece,
    SocketLimits,
    Wrong,
)


def inflated(inbound: Inbound, payload: bytes, first: int = 0xC2) -> object:
    """What comes of one frame in the end."""
    inbound.feed(masked(first, payload))
    while (heard := inbound.next()) is MORE:
        pass
    return heard


@given(
    st.lists(st.binary(max_size=200), max_size=8),
    st.integers(9, 15),
    st.booleans(),
)
def test_there_and_back(messages: list[bytes], bits: int, forget: bool) -> None:
    """What is deflated is inflated to the same, message after message, the empty one too."""
    deflater = Deflater(Deflating(bits, forget))
    inbound = Inbound(SocketLimits(), Deflating(bits, clientForgets=forget))
    for message in messages:
        assert inflated(inbound, deflater.deflate(message)) == message


def test_the_example_of_the_rfc() -> None:
    """Hello, in the ways of RFC 7692 section 7.2.3."""
    inbound = Inbound(SocketLimits(), Deflating())
    for payload in (
        b"\xf2\x48\xcd\xc9\xc9\x07\x00",
        b"\xf2\x00\x11\x00\x00",
        b"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00",
        b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00",
        b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00",
    ):
        assert inflated(inbound, payload) == b"Hello", payload


def test_a_ping_inside_a_compressed_message() -> None:
    """What comes behind it is still inflated (wsproto's own extension takes it for plain)."""
    payload = Deflater(Deflating()).deflate(b"Hello")
    inbound = Inbound(SocketLimits(), Deflating())
    inbound.feed(masked(0x42, payload[:3]) + masked(0x89, b"?") + masked(0x80, payload[3:]))
    found = [inbound.next() for _ in range(4)]
    assert b"Hello" in found


@pytest.mark.parametrize("size", [1000, 1001])
def test_a_message_is_inflated_up_to_the_limit(size: int) -> None:
    """And not a byte beyond it."""
    inbound = Inbound(SocketLimits(maxMessage=1000), Deflating())
    found = inflated(inbound, Deflater(Deflating()).deflate(bytes(size)))
    assert found == (bytes(size) if size == 1000 else Wrong(1009, found.problem))  # type: ignore[attr-defined]


def test_a_bomb_is_not_inflated() -> None:
    """Sixteen megabytes in sixteen kilobytes cost no more than the limit."""
    bomb = Deflater(Deflating()).deflate(bytes(1 << 24))
    inbound = Inbound(SocketLimits(maxMessage=1 << 16), Deflating())
    tracemalloc.start()
    try:
        found = inflated(inbound, bomb)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert isinstance(found, Wrong)
    assert found.code == 1009
    assert most < 1 << 20


def test_a_bomb_goes_off_in_slices() -> None:
    """Taken in pieces, sixteen megabytes need one of them, and one slice of work at a time."""
    bomb = Deflater(Deflating()).deflate(bytes(1 << 24))
    inbound = Inbound(SocketLimits(), Deflating())
    inbound.takesPieces = True
    sizes, parts = [], 0
    tracemalloc.start()
    try:
        inbound.feed(masked(0xC2, bomb))
        while (heard := inbound.next()) is not None:
            if isinstance(heard, Piece):
                sizes.append(len(heard.data))
            else:
                assert heard is MORE
                parts += 1
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sum(sizes) == 1 << 24
    assert max(sizes) < PIECE + SLICE
    assert len(sizes) + parts >= (1 << 24) // SLICE
    assert most < 1 << 20


def test_who_ignores_messages_keeps_nothing_of_them() -> None:
    """Not even of one that is begun and never ended."""
    bomb = Deflater(Deflating()).deflate(bytes(1 << 23))
    inbound = Inbound(SocketLimits(), Deflating())
    inbound.ignoresMessages = True
    tracemalloc.start()
    try:
        inbound.feed(masked(0x42, bomb))
        while inbound.next() is MORE:
            pass
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 1 << 19
    inbound.feed(masked(0x80, b"") + masked(0x89, b"?"))
    assert [inbound.next() for _ in range(2)] == [PART, Ping(payload=b"?")]


@given(st.data(), st.booleans())
def test_any_slices(data: st.DataObject, isText: bool) -> None:
    """However a compressed message is cut into frames and reads, its pieces are what was said."""
    text = data.draw(st.text(min_size=1, max_size=50)) * data.draw(st.integers(1, 10_000))
    payload = Deflater(Deflating()).deflate(text.encode())
    cuts = sorted(data.draw(st.lists(st.integers(0, len(payload)), max_size=4)))
    edges = [0, *cuts, len(payload)]
    frames, opcode = b"", 0x40 | (1 if isText else 2)
    for number, (begin, end) in enumerate(pairwise(edges)):
        last = 0x80 if number == len(cuts) else 0
        frames += masked(opcode | last, payload[begin:end])
        opcode = 0
    inbound = Inbound(SocketLimits(), Deflating())
    inbound.takesPieces = data.draw(st.booleans())
    step = data.draw(st.integers(1, len(frames)))
    found: list[str | bytes] = []
    ends = 0
    for at in range(0, len(frames), step):
        inbound.feed(frames[at : at + step])
        while (heard := inbound.next()) is not None:
            if isinstance(heard, Piece):
                found.append(heard.data)
                ends += heard.isLast
            elif isinstance(heard, str | bytes):
                found.append(heard)
                ends += 1
            else:
                assert isinstance(heard, Part), heard
    assert ends == 1
    assert len(found) == 1 or inbound.takesPieces
    empty: Any = "" if isText else b""
    assert empty.join(found) == (text if isText else text.encode())


@given(st.binary(max_size=100))
def test_garbage(payload: bytes) -> None:
    """It is inflated, or refused; nothing else happens."""
    found = inflated(Inbound(SocketLimits(maxMessage=1000), Deflating()), payload)
    assert isinstance(found, bytes) or (isinstance(found, Wrong) and found.code in (1007, 1009))


def test_streams_that_end_and_begin_again() -> None:
    """A sender may finish its stream with every message (section 7.2.3.5)."""
    inbound = Inbound(SocketLimits(), Deflating())
    for number in range(3):
        stream = zlib.compressobj(wbits=-15)
        payload = stream.compress(b"%d" % number) + stream.flush(zlib.Z_FINISH) + b"\0"
        assert inflated(inbound, payload) == b"%d" % number


@pytest.mark.parametrize(
    "frames",
    [
        masked(0x42, b"") + masked(0xC0, b""),
        masked(0xC9, b""),
        masked(0xA2, b""),
        masked(0x92, b""),
    ],
)
def test_reserved_bits(frames: bytes) -> None:
    """RSV1 belongs to the first frame of a message, the others to nobody."""
    inbound = Inbound(SocketLimits(), Deflating())
    inbound.feed(frames)
    found = [inbound.next() for _ in range(2)]
    assert any(isinstance(one, Wrong) and one.code == 1002 for one in found)


def test_nothing_is_compressed_unless_agreed() -> None:
    """Without an agreement RSV1 is a mistake."""
    found = inflated(Inbound(SocketLimits()), b"\x00")
    assert isinstance(found, Wrong)
    assert found.code == 1002
    assert not isinstance(found, PeerClosed)
