"""Duplicates: which pieces come twice."""

from __future__ import annotations

from suffering import Line, effectOf

from loopbackd.faults.kind import Mark
from loopbackd.faults.kinds import makeKind


def test_off_by_default() -> None:
    """Without a rate nothing comes twice."""
    line = Line(effectOf("duplicate"))
    line.at(0, b"a", b"b", Mark.END)
    assert line.came == [(0, b"a"), (0, b"b"), (0, Mark.END)]


def test_always() -> None:
    """With a rate of 1 everything comes twice, piece by piece; the end does not."""
    line = Line(effectOf("duplicate", rate=1))
    line.at(0, b"ab", b"c", Mark.END)
    assert [piece for _, piece in line.came] == [b"ab", b"ab", b"c", b"c", Mark.END]


def test_rate() -> None:
    """As often as the rate says, and the same for the same seed."""
    one, other = (Line(effectOf("duplicate", rate=0.25, seed=9)) for _ in range(2))
    for number in range(2000):
        one.at(0, number.to_bytes(2, "big"))
        other.at(0, number.to_bytes(2, "big"))
    assert one.came == other.came
    assert 2400 < len(one.came) < 2600


def test_changed() -> None:
    """Another rate is in force from the next piece on."""
    effect = effectOf("duplicate", rate=1)
    line = Line(effect)
    line.at(0, b"a")
    line.link.change(effect, makeKind("duplicate", {"rate": 0}))
    line.at(0, b"b")
    assert line.outlet.data == b"aab"
