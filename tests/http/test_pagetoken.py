"""Tests for L{loopbackd.http.pagetoken}."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from test_browsers import asked

from loopbackd.http.pagetoken import FIELD, PageToken

PROTOCOL = "Sec-WebSocket-Protocol"


def test_each_is_another() -> None:
    """And has 256 bits, in characters that may stand in a subprotocol."""
    tokens = {PageToken().value for _ in range(100)}
    assert len(tokens) == 100
    assert {len(one) for one in tokens} == {43}


def test_where_it_is_shown() -> None:
    """In the field, or among the subprotocols, once."""
    token = PageToken()
    for fields, found in [
        ([], False),
        ([(FIELD, token.value)], True),
        ([(FIELD.lower(), token.value)], True),
        ([(FIELD, token.value), (FIELD, token.value)], False),
        ([(PROTOCOL, f"loopbackd, {token.subprotocol}")], True),
        ([(PROTOCOL, token.subprotocol)], True),
        ([(PROTOCOL, token.value)], False),
        ([(PROTOCOL, f"{token.subprotocol}, {token.subprotocol}")], False),
        ([(FIELD, "x"), (PROTOCOL, token.subprotocol)], False),
        ([("Cookie", f"{FIELD}={token.value}")], False),
    ]:
        assert token.isShownBy(asked("GET", *fields)) == found, fields


@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0xFF, exclude_characters="\x7f")))
def test_nothing_else_is_it(shown: str) -> None:
    """Whatever is sent."""
    assert not PageToken().isShownBy(asked("GET", (FIELD, shown)))
