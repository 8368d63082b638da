"""Kinds in words."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
import pytest

from loopbackd.faults import kinds
from loopbackd.faults.describing import describe
from loopbackd.faults.kind import Bytes, Kind, Milliseconds, Probability
from loopbackd.faults.kinds import kindClass


class Everything(Kind, frozen=True):
    """
    Does C{whole} and
    nothing else.

    The rest is for those who read on.
    """

    needed: int
    whole: Annotated[int, msgspec.Meta(gt=0, lt=9)] = 1
    time: Milliseconds = 0.5
    chance: Probability = 1.0
    size: Bytes = 7
    really: bool = False
    word: str = "x"
    which: Literal["a", "b"] = "a"
    perhaps: str | None = None
    many: tuple[str, ...] = ()
    table: dict[str, int] = msgspec.field(default_factory=dict)


def test_everything() -> None:
    """Each attribute with its default, and what it may be."""
    what, attributes = describe(Everything)
    assert what == "Does `whole` and nothing else."
    assert {one.name: one.allowed for one in attributes} == {
        "needed": "a whole number",
        "whole": "a whole number above 0 below 9",
        "time": "a number from 0 to 86_400_000",
        "chance": "a number from 0 to 1",
        "size": "a whole number from 0 to 9_223_372_036_854_775_807",
        "really": "true or false",
        "word": "a text",
        "which": "'a' or 'b'",
        "perhaps": "a text or nothing",
        "many": "a list",
        "table": "a table",
    }
    defaults = {one.name: one.default for one in attributes}
    assert defaults.pop("needed") is msgspec.UNSET
    assert list(defaults.values()) == [1, 0.5, 1.0, 7, False, "x", "a", None, (), {}]


@pytest.mark.parametrize("name", kinds._BUILT_IN)
def test_built_in(name: str) -> None:
    """Each has a sentence, and attributes that can be told."""
    what, attributes = describe(kindClass(name))
    assert what.endswith(".") and "{" not in what
    assert all(one.allowed != "a value" for one in attributes)
