"""Slicer: pieces of the right sizes, apart by the right time, and nothing is lost."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from suffering import Line, effectOf

from loopbackd.faults.kind import Mark
from loopbackd.faults.kinds import makeKind


def sizes(line: Line) -> list[int]:
    return [len(piece) for _, piece in line.came if isinstance(piece, bytes)]


def test_sizes() -> None:
    """Every piece but the last of an arrival has the average size, where it does not vary."""
    line = Line(effectOf("slicer", average_size=1000))
    line.at(0, bytes(2500), bytes(1000), Mark.END)
    assert sizes(line) == [1000, 1000, 500, 1000]
    assert line.came[-1] == (0, Mark.END)


def test_delay() -> None:
    """There is a delay between one piece and the next, in microseconds."""
    line = Line(effectOf("slicer", average_size=1, delay=250))
    line.at(0, b"abc", Mark.END)
    line.until(1)
    assert line.came == [(0, b"a"), (0.00025, b"b"), (0.0005, b"c"), (0.0005, Mark.END)]


def test_variation() -> None:
    """Sizes vary by so much, and are the average on average."""
    line = Line(effectOf("slicer", average_size=100, size_variation=30))
    for _ in range(20):
        line.link.feed(bytes(65536))
    whole = [size for size in sizes(line) if size >= 70]
    assert min(whole) == 70 and max(whole) == 130
    assert sum(whole) / len(whole) == pytest.approx(100, rel=0.01)


def test_same_seed() -> None:
    """The same seed gives the same pieces at the same times; another one others."""

    def schedule(seed: int) -> list[object]:
        line = Line(effectOf("slicer", seed, average_size=10, size_variation=9, delay=100))
        line.at(0, bytes(1000))
        line.until(10)
        return list(line.came)

    assert schedule(7) == schedule(7) != schedule(8)


def test_changed() -> None:
    """What waits is cut anew, from the byte that is next."""
    effect = effectOf("slicer", average_size=1, delay=1_000_000)
    line = Line(effect)
    line.at(0, b"abcdefgh")
    line.until(2.5)
    assert line.outlet.data == b"abc"
    line.link.change(effect, makeKind("slicer", {"average_size": 3, "delay": 100}))
    line.until(3)
    assert [piece for _, piece in line.came] == [b"a", b"b", b"c", b"def", b"gh"]


@given(
    st.integers(1, 200),
    st.integers(0, 200),
    st.integers(0, 3000),
    st.lists(st.tuples(st.floats(0, 0.01), st.binary(min_size=1, max_size=500)), max_size=8),
)
def test_exact(
    average: int, variation: int, delay: int, arrivals: list[tuple[float, bytes]]
) -> None:
    """Whatever arrives when: it goes on to the byte, in pieces within the bounds."""
    variation = min(variation, average)
    attributes = {"average_size": average, "size_variation": variation, "delay": delay}
    line = Line(effectOf("slicer", **attributes))
    when = 0.0
    for apart, chunk in arrivals:
        when += apart
        line.at(when, chunk)
    line.link.feed(Mark.END)
    line.until(when + 20)
    assert line.outlet.data == b"".join(chunk for _, chunk in arrivals)
    assert all(1 <= size <= average + variation for size in sizes(line))
    assert line.came[-1][1] is Mark.END
    times = [when for when, piece in line.came if isinstance(piece, bytes)]
    assert all(b - a >= delay / 1e6 - 2e-6 for a, b in pairwise(times))
    assert line.link.isEmpty and not line.clock.getDelayedCalls()


@pytest.mark.parametrize(
    ("attributes", "named"),
    [
        ({}, "average_size"),
        ({"average_size": 0}, "average_size"),
        ({"average_size": -5}, "average_size"),
        ({"average_size": 10, "size_variation": 11}, "size_variation = 11"),
        ({"average_size": 10, "size_variation": -1}, "size_variation"),
        ({"average_size": 10, "delay": -1}, "delay"),
        ({"average_size": 1.5}, "average_size"),
    ],
)
def test_bounds(attributes: dict[str, object], named: str) -> None:
    """What cannot be cut is refused, by name."""
    with pytest.raises(ValueError, match=named):
        makeKind("slicer", attributes)
