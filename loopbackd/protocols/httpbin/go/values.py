"""
Numbers, durations and choices as Go reads them, and Go's way to say that they are none.

Each function takes what the client wrote and gives its value, or raises L{HTTPError} 400.
"""

from __future__ import annotations

import random
import re
from typing import Annotated, Final

from msgspec import Meta

from loopbackd.http.errors import HTTPError

Integer = Annotated[str, Meta(extra_json_schema={"type": "integer"})]
"""A parameter that is read by L{integer}."""

Number = Annotated[str, Meta(extra_json_schema={"type": "number"})]
"""A parameter that is read by L{fraction}."""

Duration = Annotated[
    str,
    Meta(
        extra_json_schema={
            "description": "seconds, or as Go writes it: 1.5s, 100ms, 1m30s",
            "pattern": r"^([0-9]+(\.[0-9]+)?|([0-9]+(\.[0-9]+)?(ns|us|ms|s|m|h))+)$",
        }
    ),
]
"""A parameter that is read by L{duration}."""

_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,40}")
_FLOAT: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,6})?")
_DURATION: Final = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")
_UNITS: Final = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,
    "μs": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
}
_LARGEST: Final = 1 << 63
_LONGEST_TEXT: Final = 64
_MOST_CHOICES: Final = 100


def _wrong(name: str, text: str, why: str) -> HTTPError:
    return HTTPError(400, f"invalid {name}: {text[:60]!r} {why}")


def integer(text: str, name: str) -> int:
    """A whole number of 64 bits, in decimal digits."""
    if _INTEGER.fullmatch(text) is None:
        raise _wrong(name, text, "is no whole number")
    number = int(text)
    if not -_LARGEST <= number < _LARGEST:
        raise _wrong(name, text, "has more than 64 bits")
    return number


def integerIn(text: str, name: str, least: int, most: int) -> int:
    """A whole number from C{least} to C{most}."""
    number = integer(text, name)
    if not least <= number <= most:
        raise HTTPError(400, f"invalid {name}: {number} not in range [{least}, {most}]")
    return number


def fraction(text: str, name: str) -> float:
    """A number from 0 to 1."""
    if len(text) > _LONGEST_TEXT or _FLOAT.fullmatch(text) is None:
        raise _wrong(name, text, "is no number")
    number = float(text)
    if not 0 <= number <= 1:
        raise HTTPError(400, f"invalid {name}: {text} not in range [0, 1]")
    return number


def parseDuration(text: str) -> float:
    """
    Seconds, from a duration as Go writes it (C{1.5s}, C{100ms}, C{1m30s}) or from a number of them.

    A number is cut to whole milliseconds, as there.

    @raise ValueError: it is neither.
    """
    if len(text) > _LONGEST_TEXT:
        raise ValueError("is too long for a duration")
    if _FLOAT.fullmatch(text) is not None:
        number = float(text)
        return int(number * 1000) / 1000 if abs(number) < 1e12 else number
    sign, rest = (text[0], text[1:]) if text[:1] in ("+", "-") else ("+", text)
    total, at = 0.0, 0
    while at < len(rest):
        found = _DURATION.match(rest, at)
        if found is None:
            break
        total += float(found[1]) * _UNITS[found[2]]
        at = found.end()
    if not rest or at < len(rest):
        raise ValueError("is no duration; write seconds, or 1.5s, 100ms, 1m30s")
    return -total if sign == "-" else total


def duration(text: str, name: str, least: float, most: float) -> float:
    """Seconds from C{least} to C{most}; see L{parseDuration}."""
    try:
        seconds = parseDuration(text)
    except ValueError as error:
        raise _wrong(name, text, str(error)) from None
    if seconds > most:
        raise _wrong(name, text, f"is longer than {shownDuration(most)}")
    if seconds < least:
        raise _wrong(name, text, f"is shorter than {shownDuration(least)}")
    return seconds


def shownDuration(seconds: float) -> str:
    """Seconds for people: C{10s}, C{250ms}, C{1ns}."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:g}{unit}"
    return f"{seconds / 1e-9:g}ns" if seconds else "0s"


def seeded(text: str | None) -> random.Random:
    """
    Chance that is the same for the same seed; without one, never the same.

    The numbers are not those that Go makes of that seed.
    """
    return random.Random(integer(text, "seed")) if text else random.Random()


def status(text: str, least: int = 100, most: int = 599) -> int:
    """A status that an answer can have."""
    return integerIn(text, "status code", least, most)


def weighted(text: str) -> list[tuple[int, float]]:
    """Statuses and their weights, C{200:0.9,500:0.1}; one without a weight has 1."""
    choices: list[tuple[int, float]] = []
    parts = text.split(",")
    if len(parts) > _MOST_CHOICES:
        raise HTTPError(400, f"no more than {_MOST_CHOICES} status codes at a time")
    for part in parts:
        code, colon, weight = part.partition(":")
        number = 1.0
        if colon:
            if len(weight) > _LONGEST_TEXT or _FLOAT.fullmatch(weight) is None:
                raise _wrong("weight value", weight, "is no number")
            number = float(weight)
            if not 0 <= number <= 1e9:
                raise _wrong("weight value", weight, "is negative, or too much")
        choices.append((status(code), number))
    if not any(weight for _, weight in choices):
        raise HTTPError(400, "invalid weights: one at least must be more than 0")
    return choices


def serverTimings(*timings: tuple[str, float, str]) -> str:
    """
    The value of C{Server-Timing} (W3C Server Timing).

    @param timings: the name of each, its seconds, and what it is.
    """
    return ", ".join(
        f'{name};dur={seconds * 1000:.2f};desc="{what}"' for name, seconds, what in timings
    )


_ESCAPES: Final = ((b"&", b"&amp;"), (b"'", b"&#39;"), (b"<", b"&lt;"), (b">", b"&gt;"))


def escapedHTML(text: bytes) -> bytes:
    """Text that stays text where HTML is expected; quotes as Go writes them."""
    for plain, escaped in _ESCAPES:
        text = text.replace(plain, escaped)
    return text.replace(b'"', b"&#34;")


_MEDIA_TYPE: Final = re.compile(
    r"[ \t]*([!#$%&'*+\-.^_`|~0-9A-Za-z]+/[!#$%&'*+\-.^_`|~0-9A-Za-z]+)[ \t]*(?:;.*)?"
)
_SAFE: Final = frozenset(
    ["application/json", "application/octet-stream", "application/octet-string", "text/plain"]
)


def isDangerous(type: str) -> bool:
    """
    Whether a browser might run what comes with that media type.

    Behind a comma could be another one, which a browser would take (Fetch standard, "extract a MIME
    type").
    """
    found = _MEDIA_TYPE.fullmatch(type)
    return found is None or "," in type or found[1].lower() not in _SAFE


def plainly(value: str) -> str:
    """A value of a query as it may stand in a field: on one line, without control characters."""
    return _CONTROLS.sub(" ", value).strip()


_CONTROLS: Final = re.compile("[\x00-\x08\x0a-\x1f\x7f]+")
