"""Entity tags, dates, and what becomes of a request with conditions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopbackd.http.head import Limits, parseHead
from loopbackd.http.messages import Request
from loopbackd.http.validators import (
    entityTags,
    httpDate,
    matchesStrongly,
    matchesWeakly,
    parseDate,
    precondition,
    wantsPart,
)

NEW_YEAR = 946684800
"""The first second of the year 2000."""


def asked(method: str = "GET", **fields: str) -> Request:
    """A request with those fields."""
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
    raw = f"{method} / HTTP/1.1\r\nHost: x\r\n{lines}\r\n".encode("latin-1")
    return Request(parseHead(raw, Limits()), None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "tags"),
    [
        ('"a"', ['"a"']),
        ('"a", W/"b" ,,"c"', ['"a"', 'W/"b"', '"c"']),
        ("*", ["*"]),
        (' "a,b" ', ['"a,b"']),
        ("abc", []),
        ('"a" w/"b"', ['"a"']),
        ('"open', []),
        ("", []),
    ],
)
def test_tags_are_read(value: str, tags: list[str]) -> None:
    """Up to what cannot be read."""
    assert entityTags(value) == tags


@given(st.lists(st.text(alphabet="abc,-", max_size=5)))
def test_a_list_has_what_was_put_into_it(words: list[str]) -> None:
    """Commas between quotes are no separators."""
    tags = [f'"{word}"' for word in words]
    assert entityTags(", ".join(tags)) == tags


def test_a_weak_tag_matches_only_weakly() -> None:
    """Section 8.8.3.2 has these in a table."""
    assert matchesWeakly('W/"1"', 'W/"1"') and not matchesStrongly('W/"1"', 'W/"1"')
    assert matchesWeakly('W/"1"', '"1"') and not matchesStrongly('W/"1"', '"1"')
    assert matchesWeakly('"1"', '"1"') and matchesStrongly('"1"', '"1"')
    assert not matchesWeakly('W/"1"', 'W/"2"')


def test_dates_are_read_and_written() -> None:
    """What is none, is none."""
    assert httpDate(NEW_YEAR) == "Sat, 01 Jan 2000 00:00:00 GMT"
    assert parseDate("Sat, 01 Jan 2000 00:00:00 GMT") == NEW_YEAR
    assert parseDate("yesterday") is None
    assert parseDate("Sat, 01 Jan 99999 00:00:00 GMT") is None


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({}, None),
        ({"If_None_Match": '"a"'}, 304),
        ({"If_None_Match": 'W/"a"'}, 304),
        ({"If_None_Match": "*"}, 304),
        ({"If_None_Match": '"b"'}, None),
        ({"If_Match": '"a"'}, None),
        ({"If_Match": "*"}, None),
        ({"If_Match": 'W/"a"'}, 412),
        ({"If_Match": '"b"'}, 412),
        ({"If_Match": '"b"', "If_None_Match": '"a"'}, 412),
        ({"If_Modified_Since": httpDate(NEW_YEAR)}, 304),
        ({"If_Modified_Since": httpDate(NEW_YEAR - 1)}, None),
        ({"If_Modified_Since": "whenever"}, None),
        ({"If_Unmodified_Since": httpDate(NEW_YEAR)}, None),
        ({"If_Unmodified_Since": httpDate(NEW_YEAR - 1)}, 412),
        ({"If_None_Match": '"b"', "If_Modified_Since": httpDate(NEW_YEAR)}, None),
    ],
)
def test_conditions_in_their_order(fields: dict[str, str], status: int | None) -> None:
    """Tags go before dates, what must be before what must not."""
    assert precondition(asked(**fields), '"a"', NEW_YEAR) == status


def test_what_changes_something_is_not_answered_with_304() -> None:
    """A PUT that must create finds that it would overwrite."""
    assert precondition(asked("PUT", If_None_Match="*"), '"a"', None) == 412


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ('"a"', True),
        ('W/"a"', False),
        ('"b"', False),
        (httpDate(NEW_YEAR), True),
        (httpDate(NEW_YEAR + 1), False),
        ("whenever", False),
    ],
)
def test_a_part_is_wanted_if_the_rest_is_known(value: str, wanted: bool) -> None:
    """Otherwise the whole has to be sent."""
    assert wantsPart(asked(If_Range=value), '"a"', NEW_YEAR) is wanted
    assert wantsPart(asked(), '"a"', NEW_YEAR)
