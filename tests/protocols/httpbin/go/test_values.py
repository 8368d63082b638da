"""Numbers, durations and choices as Go reads them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopbackd.http.errors import HTTPError
from loopbackd.protocols.httpbin.go import values


@pytest.mark.parametrize(
    ("text", "number"),
    [("0", 0), ("011", 11), ("+5", 5), ("-12345", -12345), ("9223372036854775807", (1 << 63) - 1)],
)
def test_whole_numbers(text: str, number: int) -> None:
    """In decimal digits, with a sign and leading zeros if one likes."""
    assert values.integer(text, "n") == number


@pytest.mark.parametrize(
    "text",
    [
        "",
        "foo",
        "3.14",
        "0xff",
        "1_000",
        " 1",
        "1 ",
        "\u0661",
        "12345678901234567890",
        "9" * 9000,
        "--1",
    ],
)
def test_what_is_no_whole_number(text: str) -> None:
    """Is the client's mistake, and the message names it."""
    with pytest.raises(HTTPError, match="invalid n: ") as caught:
        values.integer(text, "n")
    assert caught.value.status == 400 and len(caught.value.detail) < 120


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("0h", 0.0),
        ("1", 1.0),
        ("0.25", 0.25),
        ("1.0009", 1.0),
        (".5", 0.5),
        ("1e1", 10.0),
        ("-3.14", -3.14),
        ("10ns", 1e-8),
        ("5us", 5e-6),
        ("5µs", 5e-6),
        ("5μs", 5e-6),
        ("250ms", 0.25),
        ("0.25s", 0.25),
        ("1m", 60.0),
        ("1h1m1s", 3661.0),
        ("1.5h", 5400.0),
        (".5s", 0.5),
        ("1.s", 1.0),
        ("+1s", 1.0),
        ("-1ms", -0.001),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    """Go's syntax, or seconds cut to milliseconds."""
    assert values.parseDuration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text",
    ["", "foo", "s", "1x", "1 s", "1s ", "-", ".s", "nan", "inf", "1sm", "1s1", "0x1p4", "9" * 99],
)
def test_what_is_no_duration(text: str) -> None:
    """Not a number either: time has neither NaN nor infinity."""
    with pytest.raises(ValueError):
        values.parseDuration(text)


def test_durations_have_bounds() -> None:
    """And the message says which."""
    assert values.duration("1s", "delay", 0, 1) == 1
    with pytest.raises(HTTPError, match="longer than 1s"):
        values.duration("1.5s", "delay", 0, 1)
    with pytest.raises(HTTPError, match="shorter than 0s"):
        values.duration("-1", "delay", 0, 1)
    with pytest.raises(HTTPError, match="shorter than 1ns"):
        values.duration("0", "duration", 1e-9, 1)
    with pytest.raises(HTTPError, match="longer"):
        values.duration("1e300", "duration", 0, 1)


@pytest.mark.parametrize(
    ("seconds", "shown"), [(10, "10s"), (0.25, "250ms"), (5e-6, "5us"), (1e-9, "1ns"), (0, "0s")]
)
def test_durations_are_shown(seconds: float, shown: str) -> None:
    """With the largest unit that fits."""
    assert values.shownDuration(seconds) == shown


@given(st.floats(0, 1))
def test_a_fraction_is_what_was_written(number: float) -> None:
    """From 0 to 1."""
    assert values.fraction(repr(number), "rate") == number


@pytest.mark.parametrize("text", ["foo", "-1", "1.23", "nan", "inf", "-0.001", "", "1" * 99])
def test_what_is_no_fraction(text: str) -> None:
    """NaN is in no range."""
    with pytest.raises(HTTPError):
        values.fraction(text, "rate")


def test_weights() -> None:
    """One by default."""
    assert values.weighted("200,500:0.5") == [(200, 1.0), (500, 0.5)]


@pytest.mark.parametrize(
    "text",
    [
        "200:foo,500:1",
        "200:1,foo:1",
        "200:-1,500:1",
        "200:nan,500",
        "200:0,500:0",
        "200,",
        "99,200",
        ",".join(["200"] * 101),
    ],
)
def test_what_are_no_weights(text: str) -> None:
    """Whatever could not be chosen from, or answered with."""
    with pytest.raises(HTTPError):
        values.weighted(text)


@pytest.mark.parametrize(
    ("type", "isDangerous"),
    [
        ("text/plain", False),
        ("Text/Plain; charset=utf-8", False),
        ("application/json", False),
        ("application/octet-string", False),
        ("text/html", True),
        ("image/svg+xml", True),
        ("text/plain, text/html", True),
        ("text/plain;x, text/html", True),
        ('text/plain;x="a, text/html', True),
        ("text/plain;charset=x\n", True),
        ("", True),
        ("json", True),
    ],
)
def test_few_types_are_harmless(type: str, isDangerous: bool) -> None:
    """What cannot be read is not."""
    assert values.isDangerous(type) is isDangerous


def test_html_is_escaped_as_in_go() -> None:
    """Quotes by number."""
    assert values.escapedHTML(b"<a b='c' d=\"&\">") == b"&lt;a b=&#39;c&#39; d=&#34;&amp;&#34;&gt;"


def test_timings() -> None:
    """In milliseconds with two digits behind the point."""
    shown = values.serverTimings(("a", 0.25, "first"), ("b", 1 / 9, "second"))
    assert shown == 'a;dur=250.00;desc="first", b;dur=111.11;desc="second"'


READERS: list[Callable[[str], Any]] = [
    lambda text: values.integer(text, "n"),
    lambda text: values.integerIn(text, "n", 0, 9),
    lambda text: values.fraction(text, "n"),
    lambda text: values.duration(text, "n", 0, 10),
    values.status,
    values.weighted,
    lambda text: values.seeded(text).random(),
]


@given(
    st.sampled_from(READERS),
    st.text(max_size=80) | st.text("0123456789.eE+-msunh:,_x", max_size=80),
)
def test_anything_is_read_or_refused(read: Callable[[str], Any], text: str) -> None:
    """With a message of one line that can be sent."""
    try:
        read(text)
    except HTTPError as error:
        assert error.status == 400
        assert error.detail and "\n" not in error.detail
