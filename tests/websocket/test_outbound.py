"""Tests for L{loopbackd.websocket.outbound}."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from memorysocket import Talk

from loopbackd.websocket.conversations import echo
from loopbackd.websocket.deflate import SLICE, Deflating
from loopbackd.websocket.frames import FINAL
from loopbackd.websocket.inbound import Piece
from loopbackd.websocket.outbound import Outbound


def heard(
    outbound: Outbound, said: list[str | bytes | Piece], deflating: Deflating | None
) -> object:
    """What wsproto makes of it."""
    talk = Talk(echo, None, deflating)
    for one in said:
        for framed in outbound.frames(one):
            talk.transport.write(framed)
    messages = talk.messages()
    talk.end()
    return messages


@given(
    st.sampled_from([None, Deflating(), Deflating(9, True)]),
    st.lists(st.lists(st.text(max_size=50), min_size=1, max_size=4), max_size=4),
)
def test_pieces_are_messages(deflating: Deflating | None, texts: list[list[str]]) -> None:
    """However a message is cut into pieces, the client hears it whole; empty ones too."""
    said: list[str | bytes | Piece] = []
    for text in texts:
        last = len(text) - 1
        said += [Piece(piece, number == last) for number, piece in enumerate(text)]
        said += [b"between"]
    expected: list[str | bytes] = []
    for text in texts:
        expected += ["".join(text), b"between"]
    assert heard(Outbound(deflating, 1 << 24), said, deflating) == expected


def test_what_is_big_is_made_in_slices() -> None:
    """One frame in the end, if it is not more than may be kept."""
    data = random.Random(1).randbytes(8 * SLICE)
    outbound = Outbound(Deflating(), 1 << 24)
    assert outbound.whole(data) is None
    *before, framed = outbound.frames(data)
    assert before == [b""] * 8
    assert framed[0] & FINAL
    assert heard(Outbound(Deflating(), 1 << 24), [data], Deflating()) == [data]


def test_not_more_is_kept_than_may_be() -> None:
    """It goes out in frames, then."""
    data = random.Random(1).randbytes(20 * SLICE)
    outbound = Outbound(Deflating(), 2 * SLICE)
    sizes = [len(framed) for framed in outbound.frames(data) if framed]
    assert len(sizes) > 4
    assert max(sizes) < 5 * SLICE
    assert heard(Outbound(Deflating(), 2 * SLICE), [data, "next"], Deflating()) == [data, "next"]


def test_a_message_within_another() -> None:
    """Is refused: nobody could tell them apart."""
    outbound = Outbound(None, 100)
    list(outbound.frames(Piece("a", False)))
    with pytest.raises(RuntimeError, match="in pieces"):
        outbound.whole("b")
    with pytest.raises(RuntimeError, match="in pieces"):
        list(outbound.frames("b"))
    list(outbound.frames(Piece("c", True)))
    assert outbound.whole("b") == b"\x81\x01b"
