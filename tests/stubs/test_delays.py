"""How long answers are put off."""

from __future__ import annotations

from random import Random
from statistics import mean, median

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopbackd.httpsettings import DelaySettings
from loopbackd.stubs.delays import LONGEST, delayOf


def drawn(wanted: object, seed: int = 1, count: int = 2000) -> list[float]:
    """So many of them."""
    delay = delayOf(msgspec.convert(wanted, float | DelaySettings))
    assert delay is not None
    chance = Random(seed)
    return [delay(chance) for _ in range(count)]


def test_fixed() -> None:
    """The same each time; and none where it is 0."""
    assert set(drawn(0.5)) == {0.5}
    assert delayOf(0.0) is None


def test_theSameSeedGivesTheSame() -> None:
    """So that a test can be run again."""
    assert drawn({"uniform": [0, 1]}, 7) == drawn({"uniform": [0, 1]}, 7)
    assert drawn({"uniform": [0, 1]}, 7) != drawn({"uniform": [0, 1]}, 8)


def test_theyAreWhatTheyAreCalled() -> None:
    """By what two thousand of them come to."""
    uniform = drawn({"uniform": [1, 3]})
    assert min(uniform) >= 1
    assert max(uniform) <= 3
    assert mean(uniform) == pytest.approx(2, abs=0.1)
    assert mean(drawn({"normal": [5, 1]})) == pytest.approx(5, abs=0.1)
    tail = drawn({"lognormal": [2, 0.5]})
    assert median(tail) == pytest.approx(2, abs=0.15)
    assert max(tail) > 5


@given(st.floats(1e-3, 86400), st.floats(0, 10), st.integers())
def test_theyAreTimes(median: float, sigma: float, seed: int) -> None:
    """Never before now, and never without end."""
    for wanted in ({"normal": [median, sigma * median]}, {"lognormal": [median, sigma]}):
        try:
            seconds = drawn(wanted, seed, 20)
        except msgspec.ValidationError:
            continue
        assert all(0 <= one <= LONGEST for one in seconds)


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({}, "delay has nothing"),
        ({"uniform": [1, 2], "normal": [1, 2]}, "delay has uniform and normal"),
        ({"uniform": [2, 1]}, "write the smaller one first"),
        ({"lognormal": [1, 11]}, "write less than 10"),
    ],
)
def test_mistakes(wanted: object, said: str) -> None:
    """Each is told with its remedy."""
    with pytest.raises(ValueError, match="delay") as caught:
        delayOf(msgspec.convert(wanted, DelaySettings))
    assert said in str(caught.value)
