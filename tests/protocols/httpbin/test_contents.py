"""The alphabet without end."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from loopbackd.protocols.httpbin.contents import PIECE, alphabet, alphabetPieces


@given(st.integers(0, 10**12), st.integers(0, 3 * PIECE))
def test_every_byte_has_its_place(first: int, count: int) -> None:
    """However it is asked for, the byte at i is the letter i modulo 26."""
    whole = alphabet(first, count)
    assert len(whole) == count
    for at in {0, count // 2, count - 1} if count else ():
        assert whole[at] == 97 + (first + at) % 26
    pieces = list(alphabetPieces(first, count))
    assert b"".join(pieces) == whole
    assert all(0 < len(piece) <= PIECE for piece in pieces)
