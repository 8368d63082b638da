"""Tests for L{loopbackd.http.badevents}, by a client that is written after the standard."""

from __future__ import annotations

import itertools
import re

import pytest
from eventstream import EventStream

from loopbackd.http.badevents import BAD_STREAMS, BadStream
from loopbackd.http.events import EVENT_STREAM

ALL = pytest.mark.parametrize("stream", BAD_STREAMS.values(), ids=BAD_STREAMS)


@ALL
def test_what_a_right_client_dispatches(stream: BadStream) -> None:
    """Exactly that; of a stream without end, that and no more."""
    client = EventStream()
    pieces = itertools.islice(stream.pieces(), 4) if stream.isEndless else stream.pieces()
    found = client.feed(pieces)
    expected = list(stream.events)
    if not stream.type.startswith(EVENT_STREAM):
        # Nothing is dispatched because of the type; what is in it is right.
        assert (expected, len(found)) == ([], 1)
    else:
        assert found == expected
    assert client.retry in (None, 99999999999999999999999)


@ALL
def test_they_are_described(stream: BadStream) -> None:
    """In a line each."""
    assert re.fullmatch(r"[a-z0-9-]+", stream.name)
    assert stream.source.startswith("9.2.")
    for text in (stream.does, stream.rightly):
        assert not text.endswith(".")


def test_pieces_are_made_anew() -> None:
    """Each client gets the whole."""
    for stream in BAD_STREAMS.values():
        first, second = (b"".join(itertools.islice(stream.pieces(), 3)) for _ in range(2))
        assert first == second != b""
