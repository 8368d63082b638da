"""How much longer JSON becomes with an indent; no I/O."""

from __future__ import annotations

import re
from itertools import accumulate
from typing import Final

_STRING: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.S)
_MARKS: Final = b"[]{},"
_OTHERS: Final = bytes(byte for byte in range(256) if byte not in _MARKS)
_STEPS: Final = [0] * 256
_STEPS[ord("[")] = _STEPS[ord("{")] = 1
_STEPS[ord("]")] = _STEPS[ord("}")] = -1
_ALWAYS: Final = 4096
_NEVER: Final = 1 << 21
_GROWTH: Final = 16


def isSprawling(text: bytes) -> bool:
    """
    Whether that JSON is better written without an indent: it is large, or nested so deeply that it
    would be many times as long.

    Each value stands on a line of its own, behind two spaces for each value that it is in: a
    megabyte of zeros in nine hundred lists would have nine hundred megabytes.

    @param text: well-formed.
    """
    if len(text) <= _ALWAYS:
        return False
    if len(text) > _NEVER:
        return True
    marks = _STRING.sub(b"", text).translate(None, _OTHERS)
    depths = accumulate(map(_STEPS.__getitem__, marks))
    return 2 * sum(depths) > _GROWTH * len(text)
