"""Latency: how late, by which distribution, and the same for the same seed."""

from __future__ import annotations

from statistics import fmean, pstdev

import pytest
from suffering import Line, effectOf

from loopbackd.faults.kind import Mark
from loopbackd.faults.kinds import makeKind

MANY = 20_000


def delays(number: int = MANY, seed: int = 1, **attributes: object) -> list[float]:
    """How late each of so many pieces is, in milliseconds; where none waits for another."""
    effect = effectOf("latency", seed, **attributes)
    return [1000 * when for _ in range(number) for when, _piece in effect.data(0.0, 0.0, b"x")]


def test_exact() -> None:
    """Without jitter it is so many milliseconds; the end is not late by itself."""
    line = Line(effectOf("latency", latency=12.5))
    line.at(1, b"a")
    line.at(2, Mark.END)
    line.until(3)
    assert line.came == [(1.0125, b"a"), (2, Mark.END)]


def test_order() -> None:
    """What would overtake waits for what it would overtake, and so does the end."""
    line = Line(effectOf("latency", latency=100, jitter=100))
    pieces = [bytes([number]) for number in range(200)]
    for number, piece in enumerate(pieces):
        line.at(number / 1000, piece)
    line.link.feed(Mark.END)
    line.until(2)
    assert [piece for _, piece in line.came] == [*pieces, Mark.END]
    assert [when for when, _ in line.came] == sorted(when for when, _ in line.came)


def test_uniform() -> None:
    """As far below as above, and nothing farther than the jitter."""
    found = delays(latency=100, jitter=40)
    assert 60 <= min(found) < 61 and 139 < max(found) <= 140
    assert fmean(found) == pytest.approx(100, abs=1)
    assert pstdev(found) == pytest.approx(40 / 3**0.5, rel=0.02)


def test_normal() -> None:
    """The jitter is the standard deviation, and nothing is farther than four of it."""
    found = delays(latency=100, jitter=20, distribution="normal")
    assert fmean(found) == pytest.approx(100, abs=1)
    assert pstdev(found) == pytest.approx(20, rel=0.02)
    assert sum(80 < delay < 120 for delay in found) / MANY == pytest.approx(0.683, abs=0.01)
    assert min(found) >= 20 and max(found) <= 180


def test_pareto() -> None:
    """Most are a little early and a few very late; the mean stays near the latency."""
    found = delays(latency=100, jitter=30, distribution="pareto")
    assert min(found) == pytest.approx(100 - 30 * 2 / 3, abs=0.1)
    assert max(found) == pytest.approx(100 + 30 * 4, abs=0.01)
    assert sum(delay < 100 for delay in found) / MANY == pytest.approx(1 - 1.5**-3, abs=0.01)
    assert fmean(found) == pytest.approx(100, abs=2)


@pytest.mark.parametrize("distribution", ["uniform", "normal", "pareto"])
def test_never_early(distribution: str) -> None:
    """More jitter than latency lets some come at once, and none before they were sent."""
    found = delays(latency=1, jitter=100, distribution=distribution)
    assert min(found) == 0 and max(found) > 50


@pytest.mark.parametrize("distribution", ["uniform", "normal", "pareto"])
def test_same_seed(distribution: str) -> None:
    """The same seed is late in the same way; another one in another."""
    asked = {"latency": 50, "jitter": 20, "distribution": distribution}
    assert delays(100, 7, **asked) == delays(100, 7, **asked) != delays(100, 8, **asked)


def test_changed_distribution() -> None:
    """What waits is drawn again, by the new distribution, from when it came."""
    effect = effectOf("latency", latency=60_000)
    line = Line(effect)
    line.at(0, b"a")
    line.at(1)
    kind = makeKind("latency", {"latency": 5000, "jitter": 500, "distribution": "pareto"})
    line.link.change(effect, kind)
    line.until(20)
    ((when, _),) = line.came
    assert 4.66 < when < 7


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("latency", -1),
        ("jitter", 1 << 62),
        ("jitter", -1),
        ("jitter", float("nan")),
        ("latency", "1"),
        ("latency", True),
        ("distribution", "gauss"),
    ],
)
def test_bounds(attribute: str, value: object) -> None:
    """What is out of bounds is refused, by name."""
    with pytest.raises(ValueError, match=attribute):
        makeKind("latency", {attribute: value})
