"""
The frame that nearly all are, taken apart at once: a whole message, not large, not compressed.

Every other frame is wsproto's, and so is every one that is wrong: it has the words for that.
"""

from __future__ import annotations

from loopbackd.websocket.frames import BINARY, FINAL, TEXT

Message = str | bytes
"""Text and binary messages."""


def quickMessage(data: bytes, at: int, most: int) -> tuple[Message, int] | None:
    """
    The message that begins at C{at}, and where it ends; L{None} for whatever is not so simple.

    @param most: bytes it may have.
    """
    whole = len(data) - at
    if whole < 6:
        return None
    first, size = data[at], data[at + 1] - 0x80
    start = at + 6
    if size == 126:
        size = data[at + 2] << 8 | data[at + 3]
        start = at + 8
        if size < 126:
            return None
    if size < 0 or size > most or (size == 127 and start == at + 6):
        return None
    end = start + size
    if end > len(data) or first not in (FINAL | TEXT, FINAL | BINARY):
        return None
    payload = unmasked(data[start:end], data[start - 4 : start])
    if first == FINAL | BINARY:
        return payload, end
    try:
        return payload.decode(), end
    except UnicodeDecodeError:
        return None


def unmasked(payload: bytes, key: bytes) -> bytes:
    """A payload without the client's mask (RFC 6455 section 5.3)."""
    size = len(payload)
    mask = int.from_bytes((key * (size // 4 + 1))[:size], "little")
    return (int.from_bytes(payload, "little") ^ mask).to_bytes(size, "little")
