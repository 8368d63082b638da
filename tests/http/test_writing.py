"""Tests for L{loopbackd.http.writing}."""

from __future__ import annotations

import tracemalloc

import pytest

from loopbackd.http.messages import Response
from loopbackd.http.writing import DateLine, fieldLines, headOf, statusLine


def test_statusLine() -> None:
    """The phrase is the status's own, or the one that was chosen, or none."""
    assert statusLine(200, None) == b"HTTP/1.1 200 OK\r\n"
    assert statusLine(418, None) == b"HTTP/1.1 418 I'm a teapot\r\n"
    assert statusLine(416, None) == b"HTTP/1.1 416 Range Not Satisfiable\r\n"
    assert statusLine(299, None) == b"HTTP/1.1 299 \r\n"
    assert statusLine(200, "Fine") == b"HTTP/1.1 200 Fine\r\n"


@pytest.mark.parametrize(("status", "reason"), [(99, None), (1000, None), (200, "a\r\nb: c")])
def test_noStatusLine(status: int, reason: str | None) -> None:
    """What would be something else is refused."""
    with pytest.raises(ValueError):
        statusLine(status, reason)


def test_longReasons() -> None:
    """Whoever chooses reasons does not choose how much is remembered."""
    tracemalloc.start()
    for number in range(100):
        statusLine(299, f"{number}" + "x" * 10_000)
    used = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert used < 100_000


def test_fieldLines() -> None:
    """Names and values go out as they are; text beyond ISO-8859-1 as UTF-8."""
    assert fieldLines([("A", "b"), (b"c", b"\xff")]) == b"A: b\r\nc: \xff\r\n"
    assert fieldLines([("A", "\u4e2d")]) == b"A: \xe4\xb8\xad\r\n"


@pytest.mark.parametrize("value", ["a\r\nb: c", "a\nb", "a\rb", "a\0b"])
def test_noFieldLines(value: str) -> None:
    """A line end would make two of it."""
    with pytest.raises(ValueError):
        fieldLines([("A", value)])
    with pytest.raises(ValueError):
        fieldLines([(value, "A")])


def test_date() -> None:
    """The date is that of the second."""
    now = 784111777.9
    date = DateLine(lambda: now)
    assert date() == b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
    now += 0.1
    assert date() == b"Date: Sun, 06 Nov 1994 08:49:38 GMT\r\n"


def test_headOf() -> None:
    """Status, date, server, the answer's own, what frames the body, and an empty line."""
    answer = Response(404, b"", "text/plain", fields=[("X", "y")])
    assert headOf(answer, b"Date: now\r\n", b"Content-Length: 0\r\n", b"") == (
        b"HTTP/1.1 404 Not Found\r\nDate: now\r\nServer: loopbackd\r\nX: y\r\n"
        b"Content-Type: text/plain\r\nContent-Length: 0\r\n\r\n"
    )
