"""Tests for L{loopbackd.http.events}."""

from __future__ import annotations

import re

import pytest
from eventstream import EventStream
from hypothesis import given
from hypothesis import strategies as st

from loopbackd.http.events import encodeEvent

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
LINE = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\0"), max_size=20)


def test_how_it_looks() -> None:
    """A line a field, and an empty one."""
    event = encodeEvent("a\nb", event="news", id="7", retry=100, comment="hi")
    assert event == b": hi\nevent: news\nid: 7\nretry: 100\ndata: a\ndata: b\n\n"
    assert encodeEvent(comment="") == b": \n\n"
    assert encodeEvent("") == b"data: \n\n"


@given(TEXT, st.none() | LINE, st.none() | LINE, st.none() | st.integers(0, 10**9), TEXT)
def test_a_client_hears_what_was_said(
    data: str, event: str | None, id: str | None, retry: int | None, comment: str
) -> None:
    """But every kind of line end as a line feed."""
    stream = EventStream()
    coded = encodeEvent(data, event=event, id=id, retry=retry, comment=comment)
    heard = stream.feed([coded[at : at + 1] for at in range(len(coded))])
    assert heard == [(event or "message", re.sub("\r\n|\r", "\n", data), id or "")]
    assert stream.retry == retry


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"event": "a\nb", "data": ""}, "an event type is one line"),
        ({"id": "a\rb"}, "an id is one line"),
        ({"id": "a\0b"}, "NUL"),
        ({"retry": -1}, "from 0 on, not -1"),
        ({"event": "lost"}, "reaches nobody"),
        ({}, "an event has"),
    ],
)
def test_what_a_client_would_not_hear_as_meant(fields: dict[str, object], problem: str) -> None:
    """Is not made."""
    with pytest.raises(ValueError, match=problem):
        encodeEvent(**fields)  # type: ignore[arg-type]
