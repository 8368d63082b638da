"""Parts of a representation: what C{Range} asks for, and several parts as one body (RFC 9110)."""

from __future__ import annotations

import re
from dataclasses import dataclass

_RANGE = re.compile(r"([0-9]*)[ \t]*-[ \t]*([0-9]*)")
_MOST_DIGITS = 18


@dataclass(frozen=True, slots=True)
class Part:
    """
    Bytes of something that has more of them.

    @ivar first: the first one, counted from 0.
    @ivar last: the last one, itself included.
    """

    first: int
    last: int

    @property
    def length(self) -> int:
        """How many bytes that is."""
        return self.last - self.first + 1

    def contentRange(self, size: int) -> str:
        """The C{Content-Range} that goes with it, out of C{size} bytes (section 14.4)."""
        return f"bytes {self.first}-{self.last}/{size}"


def parseRange(value: str, size: int) -> list[Part] | None:
    """
    What a C{Range} field asks for (section 14.2), in the order it does.

    @param size: how many bytes there are.
    @return: the parts that exist; none of them is a range that cannot be satisfied.  L{None} where
        the unit is not bytes, which is to be answered as if nothing was asked.
    @raise ValueError: that is no set of ranges.
    """
    unit, equals, rest = value.partition("=")
    if unit.strip(" \t").lower() != "bytes":
        return None
    words = [word.strip(" \t") for word in rest.split(",")]
    words = [word for word in words if word]
    if not equals or not words:
        raise ValueError(f"no ranges in {value[:60]!r}; it looks like bytes=0-9, 20-, -5")
    parts = []
    for word in words:
        part = _part(word, size)
        if part is not None:
            parts.append(part)
    return parts


def _part(word: str, size: int) -> Part | None:
    found = _RANGE.fullmatch(word)
    if found is None or not (found[1] or found[2]) or len(word) > 2 * _MOST_DIGITS:
        raise ValueError(f"no range of bytes: {word[:60]!r}; it looks like 0-9, 20- or -5")
    if not found[1]:
        wanted = min(int(found[2]), size)
        return Part(size - wanted, size - 1) if wanted else None
    first, last = int(found[1]), int(found[2] or size)
    if found[2] and last < first:
        raise ValueError(f"a range ends behind its beginning: {word[:60]!r}")
    return Part(first, min(last, size - 1)) if first < size else None


class Multipart:
    """
    Several parts as one body, C{multipart/byteranges} (section 14.6).

    @param type: the media type of the whole that these are parts of.
    @param size: how many bytes that has.
    @param boundary: must not be found in it.
    @ivar type: the media type of the body.
    @ivar length: how many bytes the body has.
    @ivar heads: what stands before each part.
    @ivar end: what stands behind the last.
    """

    __slots__ = ("end", "heads", "length", "type")

    def __init__(self, parts: list[Part], type: str, size: int, boundary: str) -> None:
        self.type = f"multipart/byteranges; boundary={boundary}"
        self.heads = []
        for number, part in enumerate(parts):
            before = "\r\n" if number else ""
            self.heads.append(
                f"{before}--{boundary}\r\nContent-Type: {type}\r\n"
                f"Content-Range: {part.contentRange(size)}\r\n\r\n".encode("latin-1")
            )
        self.end = f"\r\n--{boundary}--\r\n".encode("latin-1")
        self.length = sum(map(len, self.heads)) + sum(one.length for one in parts) + len(self.end)
