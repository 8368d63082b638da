"""Bytes without meaning, of any length, that are the same each time."""

from __future__ import annotations

from collections.abc import Iterator
from string import ascii_lowercase
from typing import Final

PIECE: Final = 1 << 14
"""Bytes that are made at a time."""

_ALPHABETS: Final = ascii_lowercase.encode() * (PIECE // 26 + 2)


def alphabet(first: int, count: int) -> bytes:
    """So many bytes of the alphabet that repeats for ever, from the C{first} on."""
    at = first % 26
    if at + count <= len(_ALPHABETS):
        return _ALPHABETS[at : at + count]
    return b"".join(alphabetPieces(first, count))


def alphabetPieces(first: int, count: int) -> Iterator[bytes]:
    """The same as L{alphabet}, a piece at a time."""
    while count > 0:
        length = min(count, PIECE)
        at = first % 26
        yield _ALPHABETS[at : at + length]
        first += length
        count -= length
