"""Lines of a stream."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopbackd.protocols.lines import Lines, LineTooLong


def test_both_ends_of_a_line() -> None:
    """A line feed, with or without a carriage return before it."""
    lines = Lines(10)
    lines.feed(b"one\r\ntwo\n\nthr")
    assert [lines.next() for _ in range(4)] == [b"one", b"two", b"", None]
    assert lines.rest() == b"thr"
    assert len(lines) == 0


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_the_limit(end: bytes) -> None:
    """A line of just that many bytes is one; with one more it is none, ended or not."""
    lines = Lines(10)
    lines.feed(b"x" * 10 + end)
    assert lines.next() == (b"x" * 10 if end else None)
    lines = Lines(10)
    lines.feed(b"x" * 11 + end)
    with pytest.raises(LineTooLong):
        lines.next()


def test_many_lines_at_once_take_time_in_proportion() -> None:
    """The rest is not copied for each of them: a million come out at once."""
    lines = Lines(10)
    lines.feed(b"\n" * 1_000_000)
    assert sum(1 for _ in iter(lines.next, None)) == 1_000_000


@given(st.binary(max_size=200), st.lists(st.integers(0, 200)))
def test_however_it_comes(data: bytes, cuts: list[int]) -> None:
    """The lines are those of the whole."""
    lines = Lines(1000)
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    found = []
    for start, stop in pairwise(places):
        lines.feed(data[start:stop])
        found += list(iter(lines.next, None))
    whole = data.split(b"\n")
    assert [*found, lines.rest()] == [line.removesuffix(b"\r") for line in whole]
