"""Tests for L{loopbackd.http.negotiation}."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopbackd.http.negotiation import chooseCoding, chooseType, preferences, wantsPage

OURS = ("zstd", "br", "gzip", "deflate")
WORDS = st.sampled_from([*OURS, "identity", "*", "x-gzip", "snafu", "GZip"])
WEIGHTS = st.sampled_from(["", ";q=0", ";q=0.000", ";q=1", "; q=0.5", ";Q=0.2", " ; q=0.999"])
FIELDS = st.lists(st.tuples(WORDS, WEIGHTS)).map(lambda all: ", ".join(a + b for a, b in all))


@pytest.mark.parametrize(
    ("field", "found"),
    [
        ("", []),
        ("gzip", [("gzip", [], 1.0)]),
        ("GZIP;q=0.5 , *;q=0", [("gzip", [], 0.5), ("*", [], 0.0)]),
        (",, br ,", [("br", [], 1.0)]),
        ("text/html;Level=1;q=0.4;ext=1", [("text/html", ["level=1"], 0.4)]),
        ('a/b;x="1,\\"2;q=0";q=0.3, c/d', [("a/b", ['x="1,\\"2;q=0"'], 0.3), ("c/d", [], 1.0)]),
        ("gzip;q=2, gzip;q=x, gzip;q=0.1234, br", [("br", [], 1.0)]),
        ("g zip, br", [("br", [], 1.0)]),
        ('a/b;x="never closed, br', [("a/b", ['x="never closed, br'], 1.0)]),
    ],
)
def test_preferences(field: str, found: list[tuple[str, list[str], float]]) -> None:
    """Members with their weights; those that cannot be read are left out."""
    assert preferences(field) == found


@given(st.text(alphabet=st.characters(max_codepoint=255)))
def test_anything(field: str) -> None:
    """Whatever a client sends, there is an answer, and it is one of ours."""
    assert chooseCoding(field, OURS) in {*OURS, "identity", None}
    assert chooseType(field, ["text/plain"]) in {"text/plain", None}


@pytest.mark.parametrize(
    ("field", "coding"),
    [
        (None, "zstd"),
        ("", "identity"),
        ("*", "zstd"),
        ("gzip, br", "br"),
        ("gzip, br;q=0.9", "gzip"),
        ("x-gzip", "gzip"),
        ("snafu", "identity"),
        ("gzip;q=0", "identity"),
        ("*;q=0", None),
        ("identity;q=0", None),
        ("identity;q=0, *", "zstd"),
        ("*;q=0, deflate", "deflate"),
        ("*;q=0.5, gzip;q=0.4", "zstd"),
        ("*;q=0, identity;q=0.1", "identity"),
        ("identity, gzip;q=0.5", "identity"),
        ("gzip;q=0.001", "gzip"),
    ],
)
def test_codings(field: str | None, coding: str | None) -> None:
    """The examples of RFC 9110 section 12.5.3, and their like."""
    assert chooseCoding(field, OURS) == coding


def said(field: str, coding: str) -> float | None:
    """What a field says of a coding, in so many words."""
    for what, _, weight in preferences(field):
        if (what == "x-gzip" and coding == "gzip") or what == coding:
            return weight
    for what, _, weight in preferences(field):
        if what == "*":
            return weight
    return None


@given(FIELDS)
def test_theBestOfAll(field: str) -> None:
    """What is chosen is allowed, and nothing that is allowed is liked better."""
    chosen = chooseCoding(field, OURS)
    liked = {coding: said(field, coding) for coding in (*OURS, "identity")}
    if chosen is None:
        assert liked["identity"] == 0
        assert not any(liked[coding] for coding in OURS)
    else:
        weight = liked[chosen]
        assert weight is None or weight > 0
        assert max(value or 0 for value in liked.values()) == (weight or 0)


@pytest.mark.parametrize(
    ("field", "type"),
    [
        (None, "application/json"),
        ("*/*", "application/json"),
        ("text/*", "text/plain"),
        ("text/plain, application/json;q=0.5", "text/plain"),
        ("text/*;q=0.9, application/*;q=0.8", "text/plain"),
        ("*/*, application/json;q=0", "text/plain"),
        ("text/plain;format=flowed", None),
        ("image/png", None),
        ("", None),
    ],
)
def test_types(field: str | None, type: str | None) -> None:
    """The most specific range counts."""
    assert chooseType(field, ["application/json", "text/plain"]) == type


@pytest.mark.parametrize(
    ("accept", "wants"),
    [
        ("text/html,application/xhtml+xml,*/*;q=0.8", True),
        ("application/json, Text/HTML;q=0.1", True),
        ("text/html;q=0", False),
        ("*/*", False),
        (None, False),
    ],
)
def test_a_page_is_for_who_names_it(accept: str | None, wants: bool) -> None:
    """Who takes anything gets what programs get."""
    assert wantsPage(accept) is wants
