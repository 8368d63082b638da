"""
What a server can send on a WebSocket that is wrong, or right and often taken for wrong.

Each says what a client that follows RFC 6455 (and RFC 7692) makes of it.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final

from loopbackd.websocket.frames import (
    BINARY,
    CLOSE,
    COMPRESSED,
    CONTINUATION,
    FINAL,
    PING,
    PONG,
    TEXT,
    frame,
)


class Ending(Enum):
    """What happens to the connection after the frames."""

    WAIT = "the client is waited for"
    END = "it is ended, without a close frame"
    RESET = "it is reset"


@dataclass(frozen=True)
class BadFrames:
    """
    Bytes that are sent once the WebSocket is open.

    @ivar name: what they are asked for by.
    @ivar does: what is sent.
    @ivar rightly: what a right client does.
    @ivar source: where that is written.
    @ivar data: all bytes, in order; or what makes them, where they are many.
    @ivar code: what the client closes with; L{None} where it has nothing to complain of, and 1006
        where it cannot close any more.
    @ivar ending: of the connection.
    @ivar closes: whether one of the frames is a close frame, after which we must be silent.
    @ivar compressed: whether they need a client that offers permessage-deflate.
    """

    name: str
    does: str
    rightly: str
    source: str
    data: bytes | Callable[[], bytes]
    code: int | None = 1002
    ending: Ending = Ending.WAIT
    closes: bool = False
    compressed: bool = False

    def written(self) -> bytes:
        """The bytes."""
        return self.data if isinstance(self.data, bytes) else self.data()


_HELLO: Final = b"Hello"
_FAILS: Final = "fails the connection, with 1002 if it says why"
_NOT_TEXT: Final = "fails the connection, with 1007 if it says why"
_BOMB: Final = 1 << 26


def _deflated(payload: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-15)
    return (stream.compress(payload) + stream.flush(zlib.Z_SYNC_FLUSH))[:-4]


def _bomb() -> bytes:
    """Zeros, deflated to a thousandth."""
    return frame(FINAL | COMPRESSED | BINARY, _deflated(bytes(_BOMB)))


def _closing(name: str, does: str, source: str, payload: bytes, code: int = 1002) -> BadFrames:
    rightly = _NOT_TEXT if code == 1007 else _FAILS
    return BadFrames(name, does, rightly, source, frame(FINAL | CLOSE, payload), code, closes=True)


def _notText(name: str, does: str, data: bytes) -> BadFrames:
    return BadFrames(name, does, _NOT_TEXT, "RFC 6455 section 8.1", data, 1007)


def _wrong(name: str, does: str, source: str, data: bytes) -> BadFrames:
    return BadFrames(name, does, _FAILS, source, data)


_LENGTHS: Final = "RFC 6455 section 5.2"

_ALL: Final = (
    _wrong("rsv1", "the bit RSV1 of a pong is set", _LENGTHS, frame(FINAL | 0x40 | PONG, _HELLO)),
    _wrong("rsv2", "the bit RSV2 is set", _LENGTHS, frame(FINAL | 0x20 | TEXT, _HELLO)),
    _wrong("rsv3", "the bit RSV3 is set", _LENGTHS, frame(FINAL | 0x10 | TEXT, _HELLO)),
    _wrong("opcode-3", "a data frame has an opcode nobody knows", _LENGTHS, frame(0x83, _HELLO)),
    _wrong("opcode-11", "a control frame has an opcode nobody knows", _LENGTHS, frame(0x8B, b"")),
    _wrong(
        "masked",
        "the frame is masked, which only a client's may be",
        "RFC 6455 section 5.1",
        bytes([FINAL | TEXT, 0x80 | 5, 1, 2, 3, 4]) + bytes([0x49, 0x67, 0x6F, 0x68, 0x6E]),
    ),
    _wrong(
        "long-length-16",
        "the length of 5 bytes is written in two more bytes",
        _LENGTHS,
        bytes([FINAL | TEXT, 126, 0, 5]) + _HELLO,
    ),
    _wrong(
        "long-length-64",
        "the length of 5 bytes is written in eight more bytes",
        _LENGTHS,
        bytes([FINAL | TEXT, 127, 0, 0, 0, 0, 0, 0, 0, 5]) + _HELLO,
    ),
    _wrong(
        "negative-length",
        "the highest bit of a length in eight bytes is set",
        _LENGTHS,
        bytes([FINAL | TEXT, 127, 0x80, 0, 0, 0, 0, 0, 0, 5]) + _HELLO,
    ),
    BadFrames(
        "endless-length",
        "a frame says it has 2^62 bytes, and five come",
        "closes with 1009, or waits; it does not set memory aside for them",
        "RFC 6455 section 10.4",
        bytes([FINAL | BINARY, 127, 0x40, 0, 0, 0, 0, 0, 0, 0]) + _HELLO,
        1009,
    ),
    _wrong(
        "long-ping",
        "a ping has 126 bytes",
        "RFC 6455 section 5.5",
        frame(FINAL | PING, bytes(126)),
    ),
    _wrong(
        "fragmented-ping",
        "a ping comes in two frames",
        "RFC 6455 section 5.5",
        frame(PING, b"He") + frame(FINAL | CONTINUATION, b"llo"),
    ),
    _wrong(
        "continuation-first",
        "a continuation frame continues nothing",
        "RFC 6455 section 5.4",
        frame(FINAL | CONTINUATION, _HELLO),
    ),
    _wrong(
        "message-in-message",
        "a message begins before the one before has ended",
        "RFC 6455 section 5.4",
        frame(TEXT, b"He") + frame(FINAL | TEXT, _HELLO),
    ),
    _notText("not-utf-8", "text is not UTF-8", frame(FINAL | TEXT, b"Hell\xf6")),
    _notText(
        "not-utf-8-later",
        "the second frame of a text is not UTF-8",
        frame(TEXT, b"Hell") + frame(FINAL | CONTINUATION, b"\xf6"),
    ),
    _notText("half-character", "text ends inside a character", frame(FINAL | TEXT, b"\xe2\x82")),
    _notText("surrogate", "text has half of a pair", frame(FINAL | TEXT, b"\xed\xa0\x80")),
    _notText("overlong", "a character is too long", frame(FINAL | TEXT, b"\xc0\xaf")),
    BadFrames(
        "split-character",
        "the bytes of a character come in different frames",
        "takes the message: only the whole of it must be UTF-8",
        "RFC 6455 section 5.6",
        frame(TEXT, b"\xe2") + frame(CONTINUATION, b"\x82") + frame(FINAL | CONTINUATION, b"\xac"),
        None,
    ),
    BadFrames(
        "empty-frames",
        "a message has a hundred frames with nothing in them",
        "takes the message",
        "RFC 6455 section 5.4",
        frame(TEXT, b"He") + frame(CONTINUATION, b"") * 100 + frame(FINAL | CONTINUATION, b"llo"),
        None,
    ),
    BadFrames(
        "ping-in-message",
        "a ping comes between the frames of a message",
        "answers it, and takes the message",
        "RFC 6455 section 5.4",
        frame(TEXT, b"He") + frame(FINAL | PING, b"?") + frame(FINAL | CONTINUATION, b"llo"),
        None,
    ),
    BadFrames(
        "pong-unasked",
        "a pong answers nothing",
        "ignores it",
        "RFC 6455 section 5.5.3",
        frame(FINAL | PONG, _HELLO),
        None,
    ),
    BadFrames(
        "many-pings",
        "a thousand pings come at once",
        "answers all, or at least the last",
        "RFC 6455 section 5.5.3",
        b"".join(frame(FINAL | PING, b"%d" % number) for number in range(1000)),
        None,
    ),
    _closing("close-1-byte", "a close frame has half a code", "RFC 6455 section 5.5.1", b"\x03"),
    *(
        _closing(
            f"close-{code}",
            f"a close frame has the code {code}, {why}",
            "RFC 6455 section 7.4",
            code.to_bytes(2, "big"),
        )
        for code, why in (
            (0, "which is not used"),
            (999, "which is not used"),
            (1004, "which means nothing yet"),
            (1005, "which is never sent"),
            (1006, "which is never sent"),
            (1015, "which is never sent"),
            (1016, "which means nothing yet"),
            (2999, "which means nothing yet"),
            (5000, "which nobody may use"),
        )
    ),
    _closing(
        "close-not-utf-8",
        "the reason in a close frame is not UTF-8",
        "RFC 6455 section 5.5.1",
        b"\x03\xe8Hell\xf6",
        1007,
    ),
    _closing(
        "close-too-long",
        "a close frame has 126 bytes",
        "RFC 6455 section 5.5",
        b"\x03\xe8" + b"x" * 124,
    ),
    BadFrames(
        "data-after-close",
        "a message comes after the close frame",
        "does not hear the message, and answers the close frame",
        "RFC 6455 section 5.5.1",
        frame(FINAL | CLOSE, b"\x03\xe8") + frame(FINAL | TEXT, _HELLO),
        None,
        closes=True,
    ),
    BadFrames(
        "not-deflated",
        "a message says it is compressed, and cannot be inflated",
        "fails the connection, with 1007 or 1002 if it says why",
        "RFC 7692 section 7.2.2",
        frame(FINAL | COMPRESSED | TEXT, b"\xff\xff\xff\xff"),
        1007,
        compressed=True,
    ),
    BadFrames(
        "deflated-not-utf-8",
        "text is not UTF-8 once it is inflated",
        _NOT_TEXT,
        "RFC 6455 section 8.1",
        frame(FINAL | COMPRESSED | TEXT, _deflated(b"Hell\xf6")),
        1007,
        compressed=True,
    ),
    BadFrames(
        "rsv1-on-continuation",
        "a continuation frame says that it is compressed, which only the first may",
        _FAILS,
        "RFC 7692 section 6.1",
        frame(COMPRESSED | TEXT, b"") + frame(FINAL | COMPRESSED | CONTINUATION, _deflated(_HELLO)),
        compressed=True,
    ),
    BadFrames(
        "bomb",
        f"a message of {_BOMB} zeros comes in a thousandth of that",
        "closes with 1009 if that is more than it takes; it does not inflate more than that",
        "RFC 7692 section 8",
        _bomb,
        1009,
        compressed=True,
    ),
    BadFrames(
        "half-frame",
        "the connection ends inside a frame",
        "sees the connection closed, with 1006",
        "RFC 6455 section 7.1.5",
        bytes([FINAL | TEXT, 5]) + b"He",
        1006,
        Ending.END,
    ),
    BadFrames(
        "no-close",
        "the connection ends without a close frame",
        "sees the connection closed, with 1006",
        "RFC 6455 section 7.1.5",
        b"",
        1006,
        Ending.END,
    ),
    BadFrames(
        "reset",
        "the connection is reset",
        "sees the connection closed, with 1006",
        "RFC 6455 section 7.1.5",
        b"",
        1006,
        Ending.RESET,
    ),
)

BAD_FRAMES: Final = {one.name: one for one in _ALL}
"""By name."""
