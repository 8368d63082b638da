"""Tests for L{loopbackd.websocket.inbound}."""

from __future__ import annotations

import random
import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from memorysocket import masked
from wsproto.events import Ping, Pong

from loopbackd.websocket.deflate import Deflating
from loopbackd.websocket.inbound import Heard, Inbound, Part, PeerClosed, SocketLimits, Wrong


def everything(
    inbound: Inbound, data: bytes, chance: random.Random | None = None
) -> Iterator[Heard]:
    """All that is heard of these bytes; they come in pieces by chance."""
    at = 0
    while at < len(data):
        size = len(data) if chance is None else chance.randint(1, 20)
        inbound.feed(data[at : at + size])
        at += size
        while (heard := inbound.next()) is not None:
            if not isinstance(heard, Part):
                yield heard


def only(data: bytes, limits: SocketLimits | None = None) -> Heard:
    """The one thing that is heard."""
    (heard,) = everything(Inbound(limits or SocketLimits()), data)
    return heard


def test_messages_are_put_together() -> None:
    """Text and binary, with pings and pongs between the parts."""
    data = (
        masked(0x01, b"He")
        + masked(0x89, b"a")
        + masked(0x00, b"")
        + masked(0x8A, b"b")
        + masked(0x80, b"llo")
        + masked(0x02, b"\xff")
        + masked(0x80, b"\x00")
        + masked(0x81, b"")
    )
    expected = [Ping(payload=b"a"), Pong(payload=b"b"), "Hello", b"\xff\x00", ""]
    assert list(everything(Inbound(SocketLimits()), data)) == expected


@given(st.lists(st.text(max_size=30) | st.binary(max_size=30), max_size=6), st.randoms())
def test_any_chunking(messages: list[str | bytes], chance: random.Random) -> None:
    """However messages are cut into frames, and frames into pieces, they come out whole."""
    data = b""
    for message in messages:
        payload = message.encode() if isinstance(message, str) else message
        opcode = 1 if isinstance(message, str) else 2
        while len(payload) > 3 and chance.random() < 0.6:
            cut = chance.randint(0, len(payload))
            data += masked(opcode, payload[:cut])
            payload, opcode = payload[cut:], 0
            if chance.random() < 0.3:
                data += masked(0x8A, b"")
        data += masked(0x80 | opcode, payload)
    heard = everything(Inbound(SocketLimits()), data, chance)
    assert [one for one in heard if not isinstance(one, Pong)] == messages


@given(st.binary(max_size=300), st.randoms(), st.booleans())
def test_any_bytes(data: bytes, chance: random.Random, compress: bool) -> None:
    """Nothing is raised, nothing comes behind an end, and the chunking makes no difference."""
    deflating = Deflating() if compress else None
    limits = SocketLimits(1000, 500)
    once = list(everything(Inbound(limits, deflating), data))
    pieces = list(everything(Inbound(limits, deflating), data, chance))
    ends = [one for one in once if isinstance(one, PeerClosed | Wrong)]
    assert ends in ([], once[-1:])
    assert [one for one in once if not isinstance(one, Wrong)] == [
        one for one in pieces if not isinstance(one, Wrong)
    ]
    assert [one.code for one in once if isinstance(one, Wrong)] == [
        one.code for one in pieces if isinstance(one, Wrong)
    ]


@given(st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=130)), max_size=8), st.randoms())
def test_any_frames(frames: list[tuple[int, bytes]], chance: random.Random) -> None:
    """The same of what looks like frames."""
    data = b"".join(masked(first, payload) for first, payload in frames)
    for heard in everything(Inbound(SocketLimits(1000, 500), Deflating()), data, chance):
        assert isinstance(heard, str | bytes | Ping | Pong | PeerClosed | Wrong)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\x81\x05Hello", 1002),
        (masked(0x83, b""), 1002),
        (masked(0x80, b""), 1002),
        (masked(0x09, b""), 1002),
        (masked(0x89, bytes(126)), 1002),
        (masked(0x82, b"", b"\x7e\x00\x05"), 1002),
        (masked(0x82, b"", b"\x7f" + bytes([0x80, 0, 0, 0, 0, 0, 0, 5])), 1002),
        (masked(0x88, b"\x03"), 1002),
        (masked(0x88, b"\x03\xec"), 1002),
        (masked(0x88, b"\x03\xe8\xff"), 1007),
        (masked(0x81, b"\xff"), 1007),
        (masked(0x81, b"\xe2\x82"), 1007),
    ],
)
def test_what_is_wrong_has_its_code(data: bytes, code: int) -> None:
    """Each with the code that the RFC gives it."""
    heard = only(data)
    assert isinstance(heard, Wrong)
    assert heard.code == code
    assert heard.problem


@pytest.mark.parametrize(
    ("payload", "closed"),
    [
        (b"", PeerClosed(1005, "")),
        (b"\x03\xe8", PeerClosed(1000, "")),
        ("\x0f\xa0für immer".encode("latin-1"), None),
        (b"\x0f\xa0" + "für immer".encode(), PeerClosed(4000, "für immer")),
    ],
)
def test_close_frames(payload: bytes, closed: PeerClosed | None) -> None:
    """With and without a code and a reason."""
    heard = only(masked(0x88, payload))
    assert heard == closed or (closed is None and isinstance(heard, Wrong))


def test_bad_text_is_found_before_the_frame_is_whole() -> None:
    """So nobody sends a megabyte of it in vain."""
    inbound = Inbound(SocketLimits())
    whole = masked(0x81, b"\xff" + bytes(1000))
    heard = list(everything(inbound, whole[:20]))
    assert [one.code for one in heard if isinstance(one, Wrong)] == [1007]


def test_a_frame_that_is_too_big_is_refused_at_its_header() -> None:
    """And so is one that makes its message too big."""
    limits = SocketLimits(maxMessage=300, maxFragment=200)
    for sizes, code in (([200], None), ([201], 1009), ([200, 100], None), ([200, 101], 1009)):
        inbound = Inbound(limits)
        heard: list[Heard] = []
        for number, size in enumerate(sizes):
            isLast = number == len(sizes) - 1
            first = (0 if number else 2) | (0x80 if isLast else 0)
            data = masked(first, bytes(size))
            heard += everything(inbound, data[:-size] if isLast and code else data)
        assert [one.code for one in heard if isinstance(one, Wrong)] == ([code] if code else [])


def test_a_header_in_pieces_counts_once() -> None:
    """wsproto looks at it again with every byte of the mask."""
    limits = SocketLimits(maxMessage=300, maxFragment=200)
    inbound = Inbound(limits)
    data = masked(0x02, bytes(200)) + masked(0x80, bytes(100))
    for _ in range(2):
        heard = [one for at in range(len(data)) for one in everything(inbound, data[at : at + 1])]
        assert heard == [bytes(300)]


@given(
    st.lists(
        st.tuples(
            st.sampled_from([0x81, 0x82, 0x01, 0x02, 0x80, 0x00, 0x89, 0x8A]),
            st.binary(max_size=4) | st.sampled_from([bytes(125), bytes(126), bytes(300)]),
        ),
        max_size=8,
    ),
    st.randoms(),
)
def test_the_quick_way_and_wsprotos_are_one(
    frames: list[tuple[int, bytes]], chance: random.Random
) -> None:
    """What comes at once is heard as what comes byte by byte, where wsproto does all."""
    data = b"".join(masked(first, payload) for first, payload in frames)
    limits = SocketLimits(400, 290)
    slowly = Inbound(limits)
    expected = [one for at in range(len(data)) for one in everything(slowly, data[at : at + 1])]
    for pieces in (None, chance):
        found = list(everything(Inbound(limits), data, pieces))
        assert [codeOf(one) for one in found] == [codeOf(one) for one in expected]


def codeOf(heard: Heard) -> object:
    """What is heard; of what is wrong its code."""
    return heard.code if isinstance(heard, Wrong) else heard


def test_parts_of_nearly_nothing_cost_nearly_nothing() -> None:
    """A message in frames of two bytes needs little more than its size."""
    frames = masked(0x00, b"ab") * 8192
    inbound = Inbound(SocketLimits())
    list(everything(inbound, masked(0x02, b"")))
    tracemalloc.start()
    try:
        for _ in range(4):
            list(everything(inbound, frames))
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 1 << 18


def test_what_nobody_asks_for_stays_bytes() -> None:
    """It is taken apart one by one."""
    inbound = Inbound(SocketLimits())
    inbound.feed(masked(0x81, b"a") + masked(0x88, b""))
    assert inbound.next() == "a"
    inbound.feed(masked(0x81, b"late"))
    assert inbound.next() == PeerClosed(1005, "")
    assert inbound.next() is None


def test_stopped() -> None:
    """It hears nothing more."""
    inbound = Inbound(SocketLimits())
    inbound.feed(masked(0x81, b"a"))
    inbound.stop()
    inbound.feed(masked(0x81, b"b"))
    assert inbound.next() is None
