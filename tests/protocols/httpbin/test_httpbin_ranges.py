"""Parts of the alphabet."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from visiting import Visit, ask, request

from loopbackd.protocols.httpbin.ranges import letters, parseRange
from loopbackd.protocols.httpbin.site import makeSite


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (None, (0, 25)),
        ("bytes=0-15", (0, 15)),
        ("bytes=20-", (20, 25)),
        ("bytes=-5", (21, 25)),
        ("bytes=-50", (0, 25)),
        ("bytes=25-25", (25, 25)),
        ("bytes=10-5", None),
        ("bytes=32-40", None),
        ("bytes=0-40", None),
        ("bytes=26-", None),
        ("bytes=-0", None),
        ("bytes=-", (0, 25)),
        ("bytes=x", (0, 25)),
        ("items=0-1", (0, 25)),
        ("bytes=0-1,3-4", (0, 25)),
        (f"bytes={'9' * 30}-", (0, 25)),
    ],
)
def test_ranges(value: str | None, found: tuple[int, int] | None) -> None:
    """One range as httpbin reads it; what is none, or several, is all."""
    assert parseRange(value, 26) == found


@given(st.integers(0, 100), st.integers(0, 100))
def test_letters(start: int, size: int) -> None:
    """Each place has its letter."""
    expected = bytes(ord("a") + place % 26 for place in range(start, start + size))
    assert letters(start, start + size) == expected


def test_all() -> None:
    """All of it says what range it is."""
    answer = ask(makeSite(), "/range/30")
    assert (answer.status, answer.text) == (200, "abcdefghijklmnopqrstuvwxyzabcd")
    assert answer.get("ETag") == "range30"
    assert answer.get("Accept-Ranges") == "bytes"
    assert answer.get("Content-Range") == "bytes 0-29/30"


def test_part() -> None:
    """A part, and one there is not."""
    answer = ask(makeSite(), "/range/26", "GET", [("Range", "bytes=10-12")])
    assert (answer.status, answer.text) == (206, "klm")
    assert answer.get("Content-Range") == "bytes 10-12/26"
    answer = ask(makeSite(), "/range/26", "GET", [("Range", "bytes=30-")])
    assert (answer.status, answer.body, answer.get("Content-Range")) == (416, b"", "bytes */26")


@pytest.mark.parametrize(
    ("condition", "status"), [('"range26"', 206), ("range26", 206), ('"other"', 200)]
)
def test_condition(condition: str, status: int) -> None:
    """A part of something else is not wanted (RFC 9110 section 13.1.5)."""
    fields = [("Range", "bytes=0-1"), ("If-Range", condition)]
    assert ask(makeSite(), "/range/26", "GET", fields).status == status


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/range/0", 404),
        ("/range/102401", 404),
        ("/range/102400", 200),
        ("/range/26?duration=x", 400),
        ("/range/26?chunk_size=x", 400),
    ],
)
def test_bounds(target: str, status: int) -> None:
    """What there is not is not found, and what is no number is refused."""
    assert ask(makeSite(), target).status == status


def test_slowly() -> None:
    """Over that time, in steps of that size."""
    visit = Visit(makeSite())
    visit.say(request("/range/10?duration=1&chunk_size=4", fields=[("Range", "bytes=1-")]))
    heard = []
    for _ in range(4):
        heard.append(visit.heard.partition(b"\r\n\r\n")[2])
        visit.later(0.3)
    assert heard == [b"bcde", b"bcde", b"bcdefghi", b"bcdefghij"]
    (answer,) = visit.answers("GET")
    assert answer.get("Content-Length") == "9"
    visit.end()
