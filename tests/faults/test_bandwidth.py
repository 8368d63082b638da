"""Bandwidth: the rate is right, the stream smooth, and what is shared is shared fairly."""

from __future__ import annotations

from random import Random

import pytest
from suffering import Line, Noting, effectOf
from twisted.internet.task import Clock

from loopbackd.faults.bandwidth import Bandwidth
from loopbackd.faults.kind import Context, Mark
from loopbackd.faults.kinds import makeKind
from loopbackd.faults.link import Link


def pour(line: Line, seconds: float, chunk: int = 65536, step: float = 0.001) -> None:
    """Feed as much as is taken for so long, with timers that ring late by up to a step."""
    end = line.clock.seconds() + seconds
    while line.clock.seconds() < end:
        while not line.outlet.held:
            line.link.feed(bytes(chunk))
        line.clock.advance(step)


@pytest.mark.parametrize(
    ("rate", "chunk"),
    [(rate, 65536) for rate in (0.5, 10, 100, 1000, 10_000, 100_000)]
    + [(rate, 100) for rate in (0.5, 10, 100, 1000)],
)
def test_rate(rate: float, chunk: int) -> None:
    """What comes through in five seconds is as much as the rate says."""
    line = Line(effectOf("bandwidth", rate=rate))
    pour(line, 5, chunk)
    assert len(line.outlet.data) == pytest.approx(5 * rate * 1000, rel=0.005)


def test_smooth() -> None:
    """A hundredth of a second brings a hundredth of the bytes of a second."""
    line = Line(effectOf("bandwidth", rate=10))
    line.at(0, bytes(10_000), Mark.END)
    line.until(2)
    assert [len(piece) for _, piece in line.came[:-1] if isinstance(piece, bytes)] == [100] * 100
    assert [when for when, _ in line.came[:3]] == [0.01, 0.02, 0.03]
    assert line.came[-1] == (1.0, Mark.END)


def test_small_pieces_take_their_own_time() -> None:
    """A piece that is smaller than a turn takes as long as its bytes."""
    line = Line(effectOf("bandwidth", rate=1))
    line.at(0, b"12345")
    line.at(1, b"1234567890")
    line.until(2)
    assert line.came == [(0.005, b"12345"), (1.01, b"1234567890")]


def test_nothing_until_removed() -> None:
    """With a rate of 0 everything waits, until the toxic is taken away."""
    effect = effectOf("bandwidth")
    line = Line(effect)
    line.at(0, b"a", Mark.END)
    line.until(1000)
    assert line.came == [] and line.link.isStuck
    line.link.take(effect)
    assert line.came == [(1000, b"a"), (1000, Mark.END)]


def test_changed() -> None:
    """What waits goes on at the new rate, from when that was asked for."""
    effect = effectOf("bandwidth", rate=0)
    line = Line(effect)
    line.at(0, bytes(1000))
    line.at(5)
    line.link.change(effect, makeKind("bandwidth", {"rate": 1}))
    line.until(5.5)
    assert len(line.outlet.data) == pytest.approx(500, abs=16)
    line.link.change(effect, makeKind("bandwidth", {"rate": 1000}))
    line.until(5.501)
    assert len(line.outlet.data) == 1000


def test_idle_time_is_lost() -> None:
    """Whoever sent nothing for a while does not send more for it afterwards."""
    line = Line(effectOf("bandwidth", rate=10))
    line.at(0, b"x")
    line.at(60, bytes(1000))
    line.until(60.05)
    assert len(line.outlet.data) == 501


def test_paused_outlet_saves_no_time() -> None:
    """When the peer reads again it gets no more than it had room for, and a tenth of a second."""
    line = Line(effectOf("bandwidth", rate=100))
    line.link.pause()
    pour(line, 10)
    line.link.resume()
    pour(line, 1)
    assert len(line.outlet.data) <= 100_000 * 1.1 + 65536 + 1000


def several(number: int, kind: Bandwidth) -> tuple[Clock, list[Noting]]:
    """Links of so many connections that one toxic is on."""
    clock = Clock()
    shared = kind.share()
    outlets = []
    for one in range(number):
        outlet = Noting(clock)
        outlet.link = Link(clock, outlet)
        outlet.link.put(kind.effect(Context(Random(one), 0, one + 1, shared)), 0)
        outlets.append(outlet)
    return clock, outlets


def test_shared() -> None:
    """Connections that share a rate get it together, each as much, a newcomer at once."""
    clock, outlets = several(5, Bandwidth(rate=100, shared=True))
    *first, newcomer = outlets
    for second in range(10):
        for _ in range(100):
            for outlet in first if second < 5 else outlets:
                assert outlet.link is not None
                while not outlet.held:
                    outlet.link.feed(bytes(65536))
            clock.advance(0.01)
        if second == 4:
            for outlet in first:
                assert len(outlet.data) == pytest.approx(5 * 100_000 / 4, rel=0.02)
    assert len(newcomer.data) == pytest.approx(5 * 100_000 / 5, rel=0.02)
    assert newcomer.came[0][0] < 5.1
    assert sum(len(outlet.data) for outlet in outlets) == pytest.approx(1_000_000, rel=0.01)


def test_own() -> None:
    """Without it each has the rate for itself."""
    clock, outlets = several(3, Bandwidth(rate=100))
    for outlet in outlets:
        assert outlet.link is not None
        outlet.link.feed(bytes(50_000))
    for _ in range(100):
        clock.advance(0.01)
    assert [len(outlet.data) for outlet in outlets] == [50_000] * 3


def test_shared_from_now_on() -> None:
    """It can become shared, and be made each one's own, while connections are live."""
    clock, outlets = several(2, Bandwidth(rate=100))
    for outlet in outlets:
        outlet.link.feed(bytes(60_000))  # type: ignore[union-attr]
    for shared in (True, False):
        before = sum(len(outlet.data) for outlet in outlets)
        for outlet in outlets:
            stage = outlet.link._stages[0]  # type: ignore[union-attr]
            outlet.link.change(stage.effect, Bandwidth(rate=100, shared=shared))  # type: ignore[union-attr]
        for _ in range(20):
            clock.advance(0.01)
        passed = sum(len(outlet.data) for outlet in outlets) - before
        assert passed == pytest.approx(20_000 if shared else 40_000, rel=0.1)


@pytest.mark.parametrize("rate", [-1, 1e300, float("inf"), "10", True])
def test_bounds(rate: object) -> None:
    """A rate that is none is said to be none."""
    with pytest.raises(ValueError, match="rate"):
        makeKind("bandwidth", {"rate": rate})
