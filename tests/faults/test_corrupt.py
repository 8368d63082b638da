"""Corruption: how many bits are flipped, and that it is the same ones each time."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from suffering import Line, effectOf

from loopbackd.faults.kind import Mark
from loopbackd.faults.kinds import makeKind


def flipped(before: bytes, after: bytes) -> list[int]:
    """How many bits differ in each byte that does."""
    return [(a ^ b).bit_count() for a, b in zip(before, after, strict=True) if a != b]


@pytest.mark.parametrize("rate", [0, 5e-324, 1e-31])
def test_none(rate: float) -> None:
    """Without a rate, or with one that is next to nothing, everything arrives as it was."""
    line = Line(effectOf("corrupt", rate=rate))
    line.at(0, b"x" * 100_000, Mark.END)
    assert line.came == [(0, b"x" * 100_000), (0, Mark.END)]


def test_all() -> None:
    """With a rate of 1 each byte has one bit flipped."""
    line = Line(effectOf("corrupt", rate=1))
    line.at(0, b"hello", b" world")
    assert flipped(b"hello world", line.outlet.data) == [1] * 11


def test_rate() -> None:
    """As many as the rate says, one bit each, and each of the eight bits."""
    line = Line(effectOf("corrupt", rate=0.01))
    line.at(0, bytes(100_000))
    counts = flipped(bytes(100_000), line.outlet.data)
    assert set(counts) == {1}
    assert 850 < len(counts) < 1150
    assert {byte for byte in line.outlet.data if byte} == {1 << bit for bit in range(8)}


@given(
    st.integers(0, 1 << 30),
    st.floats(0, 1),
    st.lists(st.integers(1, 500), min_size=1, max_size=20),
)
def test_same_bytes(seed: int, rate: float, sizes: list[int]) -> None:
    """The same seed hits the same bytes, however they are cut; none is added or missing."""
    whole, cut = (Line(effectOf("corrupt", rate=rate, seed=seed)) for _ in range(2))
    stream = bytes(number % 251 for number in range(sum(sizes)))
    whole.at(0, stream)
    for start, end in itertools.pairwise([0, *itertools.accumulate(sizes)]):
        cut.at(0, stream[start:end])
    assert cut.outlet.data == whole.outlet.data
    assert len(cut.outlet.data) == len(stream)


def test_changed() -> None:
    """Another rate is in force from the next byte on."""
    effect = effectOf("corrupt")
    line = Line(effect)
    line.at(0, bytes(1000))
    line.link.change(effect, makeKind("corrupt", {"rate": 1}))
    line.at(1, bytes(1000))
    line.link.change(effect, makeKind("corrupt", {"rate": 0}))
    line.at(2, bytes(1000))
    data = line.outlet.data
    assert data[:1000] == data[2000:] == bytes(1000) and 0 not in data[1000:2000]
