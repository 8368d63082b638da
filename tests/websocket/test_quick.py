"""Tests for L{loopbackd.websocket.quick}; that it agrees with wsproto is in C{test_wsinbound}."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from memorysocket import masked

from loopbackd.websocket.quick import quickMessage, unmasked


@given(st.text(max_size=300) | st.binary(max_size=300), st.binary(max_size=9))
def test_a_whole_message(message: str | bytes, before: bytes) -> None:
    """Wherever it begins, and whatever comes behind it."""
    isText = isinstance(message, str)
    payload = message.encode() if isinstance(message, str) else message
    frame = masked(0x81 if isText else 0x82, payload)
    data = before + frame + b"behind"
    expected = (message, len(before) + len(frame))
    assert quickMessage(data, len(before), len(payload)) == expected
    assert quickMessage(data, len(before), len(payload) - 1) is None
    assert quickMessage(data[: expected[1] - 1], len(before), 1000) is None


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        masked(0x01, b"x"),
        masked(0x80, b"x"),
        masked(0xC1, b"x"),
        masked(0x83, b"x"),
        masked(0x88, b""),
        masked(0x89, b""),
        masked(0x81, b"\xff"),
        masked(0x82, b"", b"\x7e\x00\x05") + b"Hello",
        masked(0x82, b"", b"\x7f" + (5).to_bytes(8, "big")) + b"Hello" + bytes(200),
        b"\x82\x05Hello" + bytes(200),
        b"\x82\x7e\x00\xff" + bytes(300),
    ],
)
def test_the_rest_is_wsprotos(frame: bytes) -> None:
    """What is not so simple, and what is wrong."""
    assert quickMessage(frame, 0, 1000) is None


@given(st.binary(max_size=70), st.binary(min_size=4, max_size=4))
def test_masks(payload: bytes, key: bytes) -> None:
    """As the RFC has it, byte by byte."""
    assert unmasked(payload, key) == bytes(
        byte ^ key[number % 4] for number, byte in enumerate(payload)
    )
