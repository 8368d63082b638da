"""
An event of the log in words: lines of text or one of JSON, whatever a peer put into it.

Nothing here writes. What an event holds is bounded, escaped, and never the cause of an error.
"""

from __future__ import annotations

import json
import math
import re
from datetime import UTC, datetime
from typing import Any

from twisted.logger import LogEvent, formatTime
from twisted.python.failure import Failure
from twisted.python.reflect import qual, safe_repr, safe_str

PRIORITIES = {"debug": 7, "info": 6, "warn": 4, "error": 3, "critical": 2}
"""The levels, least urgent first, with their priorities for the journal (sd-daemon(3))."""

MESSAGE_LIMIT = 8192
"""How many characters of a message, or of a text in an event, are written."""

VALUE_LIMIT = 500
"""How many characters of the C{repr} of any other value in an event are written."""

TRACEBACK_LIMIT = 100
"""How many lines of a traceback are written."""

_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}

# What twisted.python.log adds to an event for observers older than twisted.logger.
_LEGACY = {"message", "time", "system", "isError", "failure", "why", "format", "logLevel"}


def escape(text: str) -> str:
    """
    Make visible what would move the cursor, end the line or reorder it: C0 and C1 controls, DEL,
    U+2028, U+2029, bidirectional overrides and isolates, lone surrogates.

    They become C{\\n}, C{\\x1b}, C{\\u202e}; the rest, backslashes too, stays as it is.
    """
    return _UNSAFE.sub(_visible, text)


def _visible(match: re.Match[str]) -> str:
    character = match.group()
    code = ord(character)
    return _SHORT.get(character) or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")


def reasonOf(error: Exception) -> str:
    """What went wrong, without a number: in the system's words where it is the system's."""
    return getattr(error, "strerror", None) or str(error)


def oneLine(text: str) -> str:
    """Escape a text and keep L{MESSAGE_LIMIT} characters of it, saying how many more there were."""
    # The limit is on what is written: escapes are up to six times as long as what they stand for,
    # and the journal splits a line at 48 KiB; the second half would be a line of the peer's own.
    shown = escape(text[:MESSAGE_LIMIT])
    return _clip(shown, MESSAGE_LIMIT, len(shown) + max(0, len(text) - MESSAGE_LIMIT))


def _clip(text: str, limit: int, length: int | None = None) -> str:
    more = (len(text) if length is None else length) - limit
    return f"{text[:limit]}... ({more} more characters)" if more > 0 else text


def _repr(value: object) -> str:
    return str(safe_repr(value))


def levelOf(event: LogEvent) -> str:
    """Its level, one of L{PRIORITIES}; an event that has none is info, or critical if an error."""
    name = getattr(event.get("log_level"), "name", None)
    if isinstance(name, str) and name in PRIORITIES:
        return name
    return "critical" if event.get("isError") else "info"


def textLines(event: LogEvent, message: str, failure: object, journal: bool) -> list[str]:
    """
    The lines for C{event}: one at the margin, and below it the traceback of C{failure}, indented.

    @param message: what the event says.
    @param failure: what went wrong: a L{Failure}, something else that is shown by its C{repr}, or
        nothing.
    @param journal: whether they are for systemd's journal (sd-daemon(3)).
    """
    level = levelOf(event)
    margin = f"<{PRIORITIES[level]}>" if journal else ""
    when = "" if journal else f"{_localTime(event.get('log_time'))} "
    namespace = escape(_clip(safe_str(event.get("log_namespace", "-")), VALUE_LIMIT))
    lines = [f"{margin}{when}[{namespace}#{level}] {oneLine(message)}"]
    if failure:
        lines += [f"{margin}  {line}" for line in _traceback(failure)]
    return lines


def jsonLine(event: LogEvent, message: str, failure: object) -> str:
    """
    The line for C{event}, a JSON object: time in UTC, level, namespace, message, failure, and the
    event's own values, renamed (C{level_}) where they are called like one of these.

    @param message: what the event says.
    @param failure: the L{Failure} that went wrong; anything else is left out.
    """
    record: dict[str, object] = {
        "time": _utcTime(event.get("log_time")),
        "level": levelOf(event),
        "namespace": _clip(safe_str(event.get("log_namespace", "-")), VALUE_LIMIT),
        "message": _clip(message, MESSAGE_LIMIT),
    }
    if isinstance(failure, Failure):
        record["failure"] = {
            "type": qual(failure.type) if failure.type else "-",
            "message": _clip(failure.getErrorMessage(), MESSAGE_LIMIT),
            "traceback": "\n".join(_traceback(failure)),
        }
    taken = {*record, "failure"}
    for key, value in event.items():
        name = _clip(key, VALUE_LIMIT) if isinstance(key, str) else _plain(_repr(key))
        if not name.startswith("log_") and not ("isError" in event and name in _LEGACY):
            record[f"{name}_" if name in taken else name] = _plain(value)
    return _UNSAFE.sub(_jsonVisible, json.dumps(record, ensure_ascii=False))


def _jsonVisible(match: re.Match[str]) -> str:
    code = ord(match.group())
    # Parsers differ about the escape of a lone surrogate, which is no character: show it as text.
    return f"\\\\u{code:04x}" if 0xD800 <= code <= 0xDFFF else f"\\u{code:04x}"


def _plain(value: object) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int) and -(2**63) <= value < 2**63:
        return int(value)
    if isinstance(value, float) and math.isfinite(value):
        return float(value)
    if isinstance(value, bytes | bytearray):
        value = value.decode("utf-8", "backslashreplace")
    return (
        _clip(value, MESSAGE_LIMIT) if isinstance(value, str) else _clip(_repr(value), VALUE_LIMIT)
    )


def _traceback(failure: object) -> list[str]:
    try:
        text = failure.getTraceback() if isinstance(failure, Failure) else _repr(failure)
    except Exception as error:
        text = f"(no traceback: {_repr(error)})"
    lines = text.rstrip("\n").split("\n")
    if len(lines) > TRACEBACK_LIMIT:
        half = TRACEBACK_LIMIT // 2
        lines[half:-half] = [f"... ({len(lines) - 2 * half} more lines)"]
    return [oneLine(line) for line in lines]


def _localTime(when: Any) -> str:
    try:
        return formatTime(when)
    except (TypeError, ValueError, OverflowError, OSError):
        return "-"


def _utcTime(when: Any) -> str | None:
    try:
        moment = datetime.fromtimestamp(when, UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        return None
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
