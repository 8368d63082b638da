"""Slow close: only the end is late."""

from __future__ import annotations

import pytest
from suffering import Line, effectOf

from loopbackd.faults.kind import Mark
from loopbackd.faults.kinds import makeKind


@pytest.mark.parametrize("mark", [Mark.END, Mark.CLOSE])
def test_late_end(mark: Mark) -> None:
    """Data passes at once, the end after the delay."""
    line = Line(effectOf("slow_close", delay=1500))
    line.at(1, b"a", mark)
    line.until(5)
    assert line.came == [(1, b"a"), (2.5, mark)]
    assert not line.clock.getDelayedCalls()


def test_changed() -> None:
    """An end that waits is looked at again, from when it came."""
    effect = effectOf("slow_close", delay=60_000)
    line = Line(effect)
    line.at(0, Mark.END)
    line.at(1)
    line.link.change(effect, makeKind("slow_close", {"delay": 3000}))
    line.until(10)
    assert line.came == [(3, Mark.END)]


def test_removed() -> None:
    """An end that waits goes on when it is taken away."""
    effect = effectOf("slow_close", delay=60_000)
    line = Line(effect)
    line.at(0, Mark.END)
    line.at(1)
    line.link.take(effect)
    assert line.came == [(1, Mark.END)]


def test_nothing_is_late() -> None:
    """Without a delay, nothing happens."""
    line = Line(effectOf("slow_close"))
    line.at(1, Mark.END)
    assert line.came == [(1, Mark.END)]


@pytest.mark.parametrize("delay", [-1, 1 << 62, "1", None])
def test_bounds(delay: object) -> None:
    """A delay that is none is said to be none."""
    with pytest.raises(ValueError, match="delay"):
        makeKind("slow_close", {"delay": delay})
