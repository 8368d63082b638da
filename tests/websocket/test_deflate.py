"""Tests for L{loopbackd.websocket.deflate}."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from memorysocket import masked

from loopbackd.websocket.deflate import Deflater, Deflating
from loopbackd.websocket.inbound import Inbound, PeerClosed, SocketLimits, Wrong


def inflated(inbound: Inbound, payload: bytes, first: int = 0xC2) -> object:
    """What comes of one frame."""
    inbound.feed(masked(first, payload))
    return inbound.next()


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
    import tracemalloc

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
