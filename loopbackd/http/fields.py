"""Header fields, in the order and case they came (RFC 9110 section 5)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

Pair = tuple[bytes, bytes]
"""A field line: name and value, without the colon and the white space around the value."""

FieldPairs = list[tuple[str | bytes, str | bytes]]
"""Fields to be sent."""

TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
"""What a field name, a method or a coding looks like (RFC 9110 section 5.6.2)."""

VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
"""What may stand in a field value (RFC 9110 section 5.5)."""


_keys: dict[str, bytes] = {}
_MOST_KEYS: Final = 1024


def _key(name: str) -> bytes:
    """What a name that is looked up is found by; remembered, since most are asked for again."""
    key = name.lower().encode("latin-1")
    if len(_keys) < _MOST_KEYS:
        _keys[name] = key
    return key


class Fields:
    """
    The fields of a message.

    Names are compared without regard to case; values are given as text, byte for character
    (ISO-8859-1), so that nothing is lost.

    @ivar pairs: every field line, in order, as it came.
    @ivar combined: each name in lower case, and its values joined with C{", "}.
    """

    __slots__ = ("combined", "pairs")

    def __init__(self, pairs: list[Pair]) -> None:
        self.pairs = pairs
        self.combined: dict[bytes, bytes] = {}
        combined = self.combined
        for name, value in pairs:
            key = name.lower()
            if key in combined:
                combined[key] += b", " + value
            else:
                combined[key] = value

    def __contains__(self, name: str) -> bool:
        return name.lower().encode("latin-1") in self.combined

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Names and values as text, in order."""
        for name, value in self.pairs:
            yield name.decode("latin-1"), value.decode("latin-1")

    def __len__(self) -> int:
        return len(self.pairs)

    def __repr__(self) -> str:
        return f"<Fields {self.pairs!r}>"

    @property
    def hasRepeats(self) -> bool:
        """Whether a name stands there more than once."""
        return len(self.combined) != len(self.pairs)

    def get(self, name: str) -> str | None:
        """The value of a field, its lines joined with C{", "}; L{None} without one."""
        value = self.combined.get(_keys.get(name) or _key(name))
        return None if value is None else value.decode("latin-1")

    def getAll(self, name: str) -> list[str]:
        """The value of each line of that name."""
        wanted = name.lower().encode("latin-1")
        return [value.decode("latin-1") for key, value in self.pairs if key.lower() == wanted]

    def members(self, name: str) -> list[str]:
        """The members of a comma-separated list, without empty ones (RFC 9110 section 5.6.1)."""
        found = self.get(name) or ""
        return [member for part in found.split(",") if (member := part.strip(" \t"))]


def encoded(text: str | bytes) -> bytes:
    """Text as it goes into a field: byte for character where that can be, else UTF-8."""
    if isinstance(text, bytes):
        return text
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogateescape")


def isField(name: str | bytes, value: str | bytes) -> bool:
    """Whether that can be sent as a field line without becoming something else."""
    return (
        TOKEN.fullmatch(encoded(name)) is not None and VALUE.fullmatch(encoded(value)) is not None
    )


def asPairs(fields: Iterable[tuple[str | bytes, str | bytes]]) -> list[Pair]:
    """Fields as bytes."""
    return [(encoded(name), encoded(value)) for name, value in fields]
