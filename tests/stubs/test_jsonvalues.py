"""Whether JSON is, or has, what is wanted."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopbackd.stubs.jsonvalues import checkJSON, isEqual, isSubset

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=12,
)


@given(values)
def test_everyValueIsItself(value: Any) -> None:
    """And has itself within."""
    assert isEqual(value, value)
    assert isSubset(value, value)


@given(values, values)
def test_equalIsSymmetric(one: Any, other: Any) -> None:
    """Whoever comes first; and what is equal has the other within."""
    assert isEqual(one, other) == isEqual(other, one)
    if isEqual(one, other):
        assert isSubset(one, other)


def _more(value: Any) -> Any:
    """The same value with another key in every object."""
    if isinstance(value, dict):
        return {**{name: _more(part) for name, part in value.items()}, "another key": 1}
    return [_more(part) for part in value] if isinstance(value, list) else value


@given(values)
def test_moreKeysDoNotMatter(value: Any) -> None:
    """At any depth; but they make it another value."""
    more = _more(value)
    assert isSubset(value, more)
    assert isEqual(value, more) == (value == more)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (True, 1),
        (1, True),
        (0, False),
        ("1", 1),
        (None, 0),
        ([1], [1, 2]),
        ([1, 2], [2, 1]),
        ({"a": 1}, {}),
        ({"a": 1}, {"a": "1"}),
        ({"a": {"b": 1}}, {"a": [1]}),
        ([], {}),
        ({}, []),
        (1, [1]),
    ],
)
def test_whatIsNotTheSame(wanted: Any, found: Any) -> None:
    """Neither equal nor within."""
    assert not isEqual(wanted, found)
    assert not isSubset(wanted, found)


def test_numbersAreComparedByValue() -> None:
    """1 and 1.0 are the same number in JSON."""
    assert isEqual({"a": [1]}, {"a": [1.0]})


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"a": {"b": [datetime.date(2026, 1, 1)]}}, "json.a.b = 2026-01-01: JSON has no dates"),
        (float("nan"), "json = nan: JSON has no such number"),
        ([float("inf")], "json = inf: JSON has no such number"),
    ],
)
def test_whatJSONCannotSay(value: Any, said: str) -> None:
    """TOML has dates and numbers that JSON has not."""
    with pytest.raises(ValueError, match="JSON has no") as caught:
        checkJSON(value, "json")
    assert said in str(caught.value)


def test_tooDeep() -> None:
    """A value without end ends in one line."""
    value: list[Any] = []
    for _ in range(200):
        value = [value]
    with pytest.raises(ValueError, match="nested too deeply"):
        checkJSON(value, "json")
