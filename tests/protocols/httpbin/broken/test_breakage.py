"""Tests for L{loopbackd.protocols.httpbin.broken.breakage}."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopbackd.http.messages import Request, Wire
from loopbackd.protocols.httpbin.broken.breakage import SEED, Family, Options, Span, Verdict


def family() -> Family:
    """With one breakage that takes everything there is."""
    found = Family("tests")

    @found.script(
        "all",
        Verdict.TAKES,
        rightly="smiles",
        source="RFC 1",
        bytes=Span(5, 1, 10),
        seconds=Span(0.5, 0, 2),
        count=Span(1, 1, 3),
        seed=SEED,
    )
    async def all(wire: Wire, request: Request, options: Options) -> None:
        """
        Whatever
        it is.
        """

    return found


def test_whatIsWrittenDown() -> None:
    """A breakage has the words of its function and of its decorator."""
    (one,) = family().breakages
    assert (one.name, one.group, one.does) == ("all", "tests", "Whatever it is.")
    assert (one.verdict, one.rightly, one.source) == (Verdict.TAKES, "smiles", "RFC 1")


def test_defaults() -> None:
    """What is not asked for has its default; a seed is new each time."""
    (one,) = family().breakages
    first, second = one.options({}), one.options({})
    assert (first.bytes, first.seconds, first.count) == (5, 0.5, 1)
    assert first.seed != second.seed


@given(st.integers(1, 10), st.floats(0, 2), st.integers(1, 3), st.integers(0, (1 << 63) - 1))
def test_whatIsAsked(size: int, seconds: float, count: int, seed: int) -> None:
    """Within the bounds everybody gets what they ask for."""
    (one,) = family().breakages
    asked = {"bytes": size, "seconds": seconds, "count": count, "seed": seed}
    assert one.options(asked) == Options(size, seconds, count, seed)


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"bytes": 11}, "all: bytes = 11 is not within 1 and 10"),
        ({"seconds": -0.1}, "all: seconds = -0.1 is not within 0 and 2"),
        ({"seconds": float("nan")}, "all: seconds = nan is not within"),
        ({"colour": 1}, "all does not take colour; it takes bytes and seconds and count and seed"),
    ],
)
def test_whatCannotBe(asked: dict[str, float], why: str) -> None:
    """Beyond the bounds there is an error that names them."""
    (one,) = family().breakages
    with pytest.raises(ValueError, match=why):
        one.options(asked)
