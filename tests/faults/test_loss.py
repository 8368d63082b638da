"""Loss: what is late for it, by how much, and that nothing is missing."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from suffering import Line, effectOf

from loopbackd.faults.kind import Mark
from loopbackd.faults.kinds import makeKind
from loopbackd.faults.loss import LONGEST, SEGMENT, TRIES


def meanDelay(rate: float, rto: float) -> float:
    """How late a segment is on average, in seconds, of those that arrive."""
    chances = [rate**losses * (1 - rate) for losses in range(TRIES + 1)]
    delays = [math.fsum(min(rto * 2**n, LONGEST) for n in range(losses)) for losses in range(16)]
    return math.fsum(c * d for c, d in zip(chances, delays, strict=True)) / math.fsum(chances)


def test_none() -> None:
    """Without a rate nothing is late."""
    line = Line(effectOf("loss"))
    line.at(0, bytes(100_000), Mark.END)
    assert line.came == [(0, bytes(100_000)), (0, Mark.END)]


def test_times() -> None:
    """What is late is so by the sum of doubling time-outs."""
    effect = effectOf("loss", rate=0.4, rto=200)
    late = []
    for _ in range(2000):
        (part,) = effect.data(0.0, 0.0, b"x")
        late.append(round(part[0], 6))
    assert set(late) <= {round(0.2 * (2**n - 1), 6) for n in range(TRIES)}
    share = sum(one > 0 for one in late) / len(late)
    assert 0.36 < share < 0.44
    twice = sum(one >= 0.6 for one in late) / len(late)
    assert 0.13 < twice < 0.19


def test_mean() -> None:
    """On average a segment is late by what the rate says."""
    effect = effectOf("loss", rate=0.2, rto=1000, seed=7)
    late = [next(iter(effect.data(0.0, 0.0, b"x")))[0] for _ in range(20_000)]
    assert math.fsum(late) / len(late) == pytest.approx(meanDelay(0.2, 1.0), rel=0.1)


@given(st.integers(0, 1 << 30), st.floats(0, 0.6), st.integers(1, 200_000))
def test_whole_and_in_order(seed: int, rate: float, size: int) -> None:
    """Whatever is lost arrives in the end; what stands behind it waits."""
    chunk = bytes(number % 251 for number in range(size))
    effect = effectOf("loss", rate=rate, seed=seed)
    parts = list(effect.data(3.0, 3.0, chunk))
    assert b"".join(part for _, part in parts) == chunk  # type: ignore[arg-type]
    times = [when for when, _ in parts]
    assert times == sorted(times) and times[0] >= 3.0
    sizes = [len(part) for _, part in parts]  # type: ignore[arg-type]
    assert all(one % SEGMENT == 0 for one in sizes[:-1])


def test_segments() -> None:
    """Of a long piece only what stands behind a lost segment is late."""
    effect = effectOf("loss", rate=0.02, seed=3)
    line = Line(effect)
    line.at(0, bytes(SEGMENT * 200))
    first = len(line.outlet.data)
    assert 0 < first < SEGMENT * 200 and first % SEGMENT == 0
    line.until(60)
    assert len(line.outlet.data) == SEGMENT * 200


def test_end_can_be_lost() -> None:
    """The end is a segment, too."""
    late = [effectOf("loss", rate=0.5, seed=seed).end(1.0, 1.0) for seed in range(50)]
    assert 1.0 in late and 1.2 in late and max(late) > 1.5


def test_hopeless() -> None:
    """Where nothing arrives at all the connection is reset after the last time-out."""
    line = Line(effectOf("loss", rate=1))
    line.at(0, b"x")
    line.until(920)
    assert line.came == [] and line.outlet.cuts == []
    line.until(2000)
    timeouts = math.fsum(min(0.2 * 2**number, LONGEST) for number in range(16))
    assert line.outlet.cuts == [(pytest.approx(timeouts), Mark.RESET)]
    assert not line.clock.getDelayedCalls()


def test_changed() -> None:
    """What was given up arrives after all when the rate falls."""
    effect = effectOf("loss", rate=1)
    line = Line(effect)
    line.at(0, b"a", b"b", Mark.END)
    line.until(10)
    line.link.change(effect, makeKind("loss", {"rate": 0}))
    assert [piece for _, piece in line.came] == [b"a", b"b", Mark.END]
    line.until(5000)
    assert line.outlet.cuts == []


@pytest.mark.parametrize("wrong", [{"rate": 1.1}, {"rate": -0.1}, {"rto": 199}, {"rto": 120_001}])
def test_bounds(wrong: dict[str, float]) -> None:
    """A rate is a probability, a time-out what Linux allows."""
    ((key, value),) = wrong.items()
    with pytest.raises(ValueError, match=f"loss: {key} = {value}: "):
        makeKind("loss", wrong)
