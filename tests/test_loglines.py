"""Tests for `loopbackd.loglines`."""

from __future__ import annotations

import json
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.logger import LogLevel, formatEvent
from twisted.python.failure import Failure

from loopbackd import loglines

WHEN = 1795443849.25


@pytest.fixture(autouse=True)
def _timeZone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A time zone without surprises."""
    monkeypatch.setenv("TZ", "UTC")


def event(format: str = "message", **values: Any) -> dict[str, Any]:
    """An event as a `Logger` makes it."""
    return {
        "log_time": WHEN,
        "log_level": LogLevel.info,
        "log_namespace": "loopbackd.service",
        "log_format": format,
        **values,
    }


def failure(error: Exception) -> Failure:
    """A failure with a traceback."""
    try:
        raise error
    except Exception:
        return Failure()


def text(shown: dict[str, Any], journal: bool = False) -> list[str]:
    """The lines of text for an event."""
    return loglines.textLines(shown, formatEvent(shown), shown.get("log_failure"), journal)


def record(shown: dict[str, Any]) -> dict[str, Any]:
    """The JSON line for an event, read again."""
    line = loglines.jsonLine(shown, formatEvent(shown), shown.get("log_failure"))
    assert isPlain(line)
    found: dict[str, Any] = json.loads(line, parse_constant=pytest.fail)
    return found


def isPlain(text: str) -> bool:
    """Whether a terminal shows every character of `text` in its place, on one line."""
    bidirectional = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
    return not any(
        unicodedata.category(c) in {"Cc", "Cs", "Zl", "Zp"}
        or unicodedata.bidirectional(c) in bidirectional
        for c in text
    )


anyText = st.text(
    st.one_of(
        st.characters(),
        st.characters(categories=["Cc", "Cs", "Zl", "Zp"]),
        st.sampled_from("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\\x"),
    )
)


@given(anyText)
def test_escapeLeavesOnePlainLine(text: str) -> None:
    """Whatever the text, what is left is one line without control characters."""
    escaped = loglines.escape(text)
    assert isPlain(escaped)
    assert len(escaped.splitlines()) == (1 if text else 0)
    assert escaped.encode("utf-8").decode("utf-8") == escaped
    assert loglines.escape(escaped) == escaped


def test_escapeIsVisible() -> None:
    """Escapes are the ones that Python and C programmers read."""
    text = "\n\r\t\x1b[31m\x00\x7f\x9b\u2028\u202e\u2066\udc80 é \\ 日本"
    assert loglines.escape(text) == (
        "\\n\\r\\t\\x1b[31m\\x00\\x7f\\x9b\\u2028\\u202e\\u2066\\udc80 é \\ 日本"
    )


def test_reasonsHaveNoNumbers() -> None:
    """The system's word for it, or what somebody else said."""
    assert loglines.reasonOf(FileNotFoundError(2, "No such file", "/nowhere")) == "No such file"
    assert loglines.reasonOf(OSError("it is late")) == "it is late"
    assert loglines.reasonOf(ValueError("no text")) == "no text"


@given(anyText, st.integers(0, 3))
def test_oneLineIsBounded(text: str, times: int) -> None:
    """However long the text, a message is cut at its limit, and says so."""
    text *= 10**times
    shown = loglines.oneLine(text)
    assert isPlain(shown)
    assert len(shown) <= loglines.MESSAGE_LIMIT + 40
    assert (shown == loglines.escape(text)) or shown.endswith(" more characters)")


def test_oneLineSaysWhatIsMissing() -> None:
    """The number of characters that were left out is told."""
    assert loglines.oneLine("x" * (8192 + 12345)) == "x" * 8192 + "... (12345 more characters)"
    assert loglines.oneLine("x" * 8192) == "x" * 8192


def test_textLine() -> None:
    """A line has its time, namespace, level and message."""
    assert text(event("to {whom}", whom="you")) == [
        "2026-11-23T14:24:09+0000 [loopbackd.service#info] to you"
    ]


def test_textCannotBeForged() -> None:
    """A newline in a message or in a namespace does not begin a line."""
    forged = "x\n2026-11-23T14:24:09+0000 [loopbackd#info] all is well"
    for shown in (event("{it}", it=forged), event(log_namespace=forged)):
        (line,) = text(shown)
        assert isPlain(line)


def test_textTracebackIsIndented() -> None:
    """A traceback follows its line, indented, even where the error's own text has newlines."""
    error = ValueError("one\n[forged#info] two\x1b\r")
    first, *rest = text(event("broken", log_level=LogLevel.critical, log_failure=failure(error)))
    assert first.endswith("[loopbackd.service#critical] broken")
    assert rest[0] == "  Traceback (most recent call last):"
    assert rest[-2:] == ["  builtins.ValueError: one", "  [forged#info] two\\x1b\\r"]
    assert all(line.startswith("  ") and isPlain(line) for line in rest)


def test_textTracebackIsBounded() -> None:
    """Of a very long traceback the beginning and the end are kept."""
    lines = text(event(log_failure=failure(ValueError("\n".join(map(str, range(5000)))))))
    assert len(lines) == 1 + loglines.TRACEBACK_LIMIT + 1
    assert lines[-1] == "  4999"
    assert any(line.endswith(" more lines)") for line in lines)


def test_textForTheJournal() -> None:
    """Lines for the journal carry its priorities, each line of a traceback too, and no time."""
    events = [event(log_level=LogLevel.lookupByName(level)) for level in loglines.PRIORITIES]
    assert [line for shown in events for line in text(shown, journal=True)] == [
        f"<{priority}>[loopbackd.service#{level}] message"
        for level, priority in loglines.PRIORITIES.items()
    ]
    broken = event(log_level=LogLevel.error, log_failure=failure(ValueError()))
    assert all(line.startswith("<3>  ") for line in text(broken, journal=True)[1:])


def test_jsonLine() -> None:
    """A JSON line has the time in UTC, level, namespace, message and the event's own values."""
    values = {"n": 3, "x": 0.5, "yes": True, "none": None, "data": b"a\xff", "o": Ellipsis}
    assert record(event("n is {n}", **values)) == {
        "time": "2026-11-23T14:24:09.250Z",
        "level": "info",
        "namespace": "loopbackd.service",
        "message": "n is 3",
        **{**values, "data": "a\\xff", "o": "Ellipsis"},
    }


def test_jsonKeepsItsOwnNames() -> None:
    """A value called like one of the five fields does not replace it."""
    found = record(event("{level}", level=11, failure="none"))
    assert (found["level"], found["level_"], found["failure_"]) == ("info", 11, "none")


def test_jsonFailure() -> None:
    """A failure has its type, message and traceback."""
    found = record(event(log_failure=failure(ValueError("wrong\n"))))["failure"]
    assert (found["type"], found["message"]) == ("builtins.ValueError", "wrong\n")
    assert found["traceback"].startswith("Traceback (most recent call last):\n")


def test_jsonNumbersAreJson() -> None:
    """Numbers that JSON does not know, or that most readers would get wrong, are text."""
    found = record(event(a=float("nan"), b=float("-inf"), c=2**80, d=2**63 - 1))
    assert [found[name] for name in "abcd"] == ["nan", "-inf", str(2**80), 2**63 - 1]


def test_jsonReprIsBounded() -> None:
    """The repr of a large value is cut."""
    assert len(record(event(value=["x" * 10_000]))["value"]) < loglines.VALUE_LIMIT + 40
