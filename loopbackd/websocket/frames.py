"""WebSocket frames as a server sends them (RFC 6455 section 5.2)."""

from __future__ import annotations

from typing import Final

FINAL: Final = 0x80
"""The bit that ends a message."""

COMPRESSED: Final = 0x40
"""RSV1: the message is compressed (RFC 7692 section 6)."""

CONTINUATION: Final = 0x0
TEXT: Final = 0x1
BINARY: Final = 0x2
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA

MOST_IN_CONTROL: Final = 125
"""Bytes that the payload of a control frame may have (section 5.5)."""


def frame(first: int, payload: bytes) -> bytes:
    """
    One unmasked frame.

    @param first: its first byte: bits and opcode; not looked at, so it may be wrong on purpose.
    """
    size = len(payload)
    if size < 126:
        return bytes((first, size)) + payload
    if size < 65536:
        return b"%c\x7e%b%b" % (first, size.to_bytes(2, "big"), payload)
    return b"%c\x7f%b%b" % (first, size.to_bytes(8, "big"), payload)


def closeFrame(code: int | None, reason: str = "") -> bytes:
    """
    A close frame.

    @param code: L{None} for a frame without one, which the other side hears as 1005.
    @raise ValueError: an endpoint may not send that (sections 5.5.1 and 7.4).
    """
    if code is None:
        if reason:
            raise ValueError(f"a close frame without a code has no reason, not {reason!r}")
        return frame(FINAL | CLOSE, b"")
    if not mayBeSent(code):
        raise ValueError(
            f"a close frame cannot say {code}: 1000 to 1003, 1007 to 1014 and 3000 to 4999 can be"
        )
    said = reason.encode()
    if len(said) > MOST_IN_CONTROL - 2:
        raise ValueError(f"a reason has at most {MOST_IN_CONTROL - 2} bytes, not {len(said)}")
    return frame(FINAL | CLOSE, code.to_bytes(2, "big") + said)


def mayBeSent(code: int) -> bool:
    """Whether a close frame may have that code (section 7.4, and IANA's registry)."""
    return 1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999
