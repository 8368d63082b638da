"""
What happens to payloads on their way: limits, and permessage-deflate (RFC 7692).

Not wsproto's own extension: that inflates without a bound, and takes the rest of a compressed
message for plain once a control frame has come in between.

Sixteen megabytes fit into sixteen kilobytes, and take a fifth of a second: so both sides work a
L{SLICE} at a time, and whoever asks for the next one decides when.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any, Final

from wsproto.extensions import Extension
from wsproto.frame_protocol import CloseReason, FrameDecoder, FrameProtocol, Opcode, RsvBits

SLICE: Final = 1 << 14
"""Bytes of a message, uncompressed, that are worked on at once."""

# Of those that a sender ends, so many in one slice.
_MOST_STREAMS: Final = 16

_TAIL: Final = b"\x00\x00\xff\xff"
_TOO_BIG: Final = CloseReason.MESSAGE_TOO_BIG
_NO_BITS: Final = RsvBits(False, False, False)
_RSV1: Final = RsvBits(True, False, False)


@dataclass(frozen=True)
class Deflating:
    """
    What a handshake agreed on.

    @ivar bits: the base 2 logarithm of our window, 9 to 15.
    @ivar forget: whether each message of ours is compressed by itself.
    @ivar clientForgets: the same of the client's.
    """

    bits: int = 15
    forget: bool = False
    clientForgets: bool = False


class Payloads(Extension):
    """
    The inbound side of a connection, as an extension of wsproto's decoder.

    A frame or a message that is too big is refused as soon as its size is known, which for a plain
    one is at its header.

    wsproto can ask about a header more than once, while the mask behind it has not come.

    What is compressed is not inflated here: it goes to C{inflater}, and wsproto is told that a
    frame had nothing in it.

    @ivar problem: what is wrong with what was refused last.
    @ivar isCompressed: whether the message that is coming, or came last, is.
    @ivar inflater: has what came of it; L{None} where nothing may be compressed.
    @ivar taken: bytes in all frames that came to their end.
    @ivar isWhole: whether no message waits for more frames.
    """

    name = "permessage-deflate"

    def __init__(self, maxMessage: int, maxFragment: int, deflating: Deflating | None) -> None:
        self.problem = ""
        self.taken = 0
        self.isWhole = True
        self._maxMessage = maxMessage
        self._maxFragment = maxFragment
        self.isCompressed = False
        self.inflater = None if deflating is None else Inflater(maxMessage, deflating)
        self._isControl = False
        self._size = 0
        self._length = 0

    def enabled(self) -> bool:
        """Always: the limits are."""
        return True

    def offer(self) -> bool | str:
        """Nothing; L{loopbackd.websocket.handshake} negotiates."""
        return False

    def frame_inbound_header(
        self, proto: FrameDecoder | FrameProtocol, opcode: Opcode, rsv: RsvBits, payload_length: int
    ) -> CloseReason | RsvBits:
        """Look at a frame before any of its payload is there."""
        self._isControl = opcode.iscontrol()
        self._length = payload_length
        if self._isControl:
            return _NO_BITS
        first = opcode is not Opcode.CONTINUATION
        if first:
            self._size = 0
            self.isCompressed = rsv.rsv1 and self.inflater is not None
        if payload_length > self._maxFragment:
            return self._tooBig(f"a frame has at most {self._maxFragment} bytes here")
        if not self.isCompressed and self._size + payload_length > self._maxMessage:
            return self._tooBig(messageTooBig(self._maxMessage))
        return _RSV1 if first and self.isCompressed else _NO_BITS

    def frame_inbound_payload_data(
        self, proto: FrameDecoder | FrameProtocol, data: bytes
    ) -> bytes | CloseReason:
        """What has come of a frame."""
        if self._isControl or not self.isCompressed:
            return data
        assert self.inflater is not None
        self.inflater.feed(data)
        return b""

    def frame_inbound_complete(
        self, proto: FrameDecoder | FrameProtocol, fin: bool
    ) -> bytes | CloseReason | None:
        """The frame is whole; at the end of a message comes what the sender left out."""
        size = self._length
        self.taken += size + (6 if size < 126 else 8 if size < 65536 else 14)
        if self._isControl:
            return None
        self.isWhole = fin
        if not self.isCompressed:
            self._size += size
        elif fin:
            assert self.inflater is not None
            self.inflater.feed(_TAIL)
        return None

    def _tooBig(self, problem: str) -> CloseReason:
        self.problem = problem
        return _TOO_BIG


class InflatedTooBig(Exception):
    """A message is bigger than it may be."""


def messageTooBig(most: int) -> str:
    """What is said then."""
    return f"a message has at most {most} bytes here"


class Inflater:
    """
    The inbound side: compressed messages in, in any pieces, and a L{SLICE} after the other out.

    @param most: bytes that a message may have.
    """

    def __init__(self, most: int, deflating: Deflating) -> None:
        self._most = most
        self._forgets = deflating.clientForgets
        self._stream: Any = None
        self._waiting = b""
        self._size = 0
        self._isFull = False

    def feed(self, data: bytes) -> None:
        """Take some of a message."""
        self._waiting = self._waiting + data if self._waiting else data

    @property
    def hasMore(self) -> bool:
        """Whether there is something to inflate still of what was taken."""
        return bool(self._waiting) or self._isFull

    def next(self) -> bytes:
        """
        What comes next; it can be nothing.

        @raise InflatedTooBig: the message is.
        @raise zlib.error: it cannot be inflated.
        """
        found = b""
        for _ in range(_MOST_STREAMS):
            if self._stream is None or self._stream.eof:
                # A sender may end its stream, and begin anew (section 7.2.3.5).
                self._stream = zlib.decompressobj(-15)
            most = min(SLICE - len(found), self._most - self._size + 1)
            piece: bytes = self._stream.decompress(self._waiting, most)
            found = found + piece if found else piece
            self._size += len(piece)
            if self._size > self._most:
                raise InflatedTooBig(messageTooBig(self._most))
            self._waiting = self._stream.unconsumed_tail or self._stream.unused_data
            # zlib itself can have more to say than there was room for.
            self._isFull = len(piece) == most and not self._stream.eof
            if not self._waiting or len(found) == SLICE:
                break
        return found

    def messageEnded(self) -> None:
        """What comes from now on is another message."""
        self._size = 0
        if self._forgets:
            self._stream = None


class Deflater:
    """The outbound side: messages in, in L{SLICE}s or as a whole; payloads of frames out."""

    def __init__(self, deflating: Deflating) -> None:
        self._deflating = deflating
        self._stream: Any = None
        self._isEmpty = True

    def some(self, data: bytes | memoryview) -> bytes:
        """Compress some of a message; what comes out is often nothing yet."""
        if not data:
            return b""
        self._isEmpty = False
        if self._stream is None:
            self._stream = zlib.compressobj(wbits=-self._deflating.bits)
        found: bytes = self._stream.compress(data)
        return found

    def rest(self) -> bytes:
        """The end of a message."""
        if self._isEmpty:
            # zlib would say nothing at all the second time (section 7.2.3.6).
            return b"\x00"
        self._isEmpty = True
        found: bytes = self._stream.flush(zlib.Z_SYNC_FLUSH)
        if self._deflating.forget:
            self._stream = None
        return found[: -len(_TAIL)]

    def deflate(self, payload: bytes) -> bytes:
        """Compress one message, as a whole."""
        return self.some(payload) + self.rest()
