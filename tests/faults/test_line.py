"""The link in memory, for tests of toxics."""

from __future__ import annotations

import pytest

from loopbackd.faults.blackhole import Blackhole
from loopbackd.faults.cut import Cut
from loopbackd.faults.kind import Mark
from loopbackd.faults.latency import Latency
from loopbackd.testing import Line, effectOf


def test_kinds_and_effects() -> None:
    """Toxics are given as kinds or as effects, and met in that order."""
    line = Line(Latency(latency=100), effectOf(Latency(latency=50)))
    line.at(1, b"a")
    line.at(1.02, b"b", Mark.END)
    line.until(9)
    assert line.came == [(1.15, b"a"), (1.17, b"b"), (1.17, Mark.END)]
    assert line.data == b"ab"


def test_change_and_remove() -> None:
    """Toxics are changed and taken away by their numbers."""
    line = Line(Latency(latency=60_000), Latency(latency=1000))
    line.at(0, b"a")
    line.at(1, b"b")
    line.change(0, Latency(latency=500))
    line.until(5)
    assert line.came == [(2, b"a"), (2.5, b"b")]
    line.change(0, Latency(latency=60_000))
    line.at(6, b"c")
    line.remove(0)
    line.remove(1)
    assert line.came[2:] == [(6, b"c")]


def test_ends() -> None:
    """How a toxic ends the connection is noted, and nothing comes after it."""
    line = Line(Cut(after=1000, reset=True))
    line.at(0.5, b"a")
    line.at(2, b"b")
    assert line.came == [(0.5, b"a")] and line.outlet.cuts == [(1, Mark.RESET)]


def test_nothing_for_links() -> None:
    """What acts on openings alone has no effect on a link."""
    with pytest.raises(ValueError, match=r"Blackhole.* does nothing to links"):
        effectOf(Blackhole())
