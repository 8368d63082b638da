"""
What happens to payloads on their way: limits, and permessage-deflate (RFC 7692).

Not wsproto's own extension: that inflates without a bound, and takes the rest of a compressed
message for plain once a control frame has come in between.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any, Final

from wsproto.extensions import Extension
from wsproto.frame_protocol import CloseReason, FrameDecoder, FrameProtocol, Opcode, RsvBits

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

    @ivar problem: what is wrong with what was refused last.
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
        self._deflating = deflating
        self._inflater: Any = None
        self._compressed = False
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
            self._compressed = rsv.rsv1 and self._deflating is not None
        if payload_length > self._maxFragment:
            return self._tooBig(f"a frame has at most {self._maxFragment} bytes here")
        if not self._compressed and self._size + payload_length > self._maxMessage:
            return self._messageTooBig()
        return _RSV1 if first and self._compressed else _NO_BITS

    def frame_inbound_payload_data(
        self, proto: FrameDecoder | FrameProtocol, data: bytes
    ) -> bytes | CloseReason:
        """Inflate what has come of a frame."""
        if self._isControl or not self._compressed:
            return data
        return self._inflate(data)

    def frame_inbound_complete(
        self, proto: FrameDecoder | FrameProtocol, fin: bool
    ) -> bytes | CloseReason | None:
        """The frame is whole; at the end of a message comes what the sender left out."""
        size = self._length
        self.taken += size + (6 if size < 126 else 8 if size < 65536 else 14)
        if self._isControl:
            return None
        self.isWhole = fin
        if not self._compressed:
            self._size += size
        if not fin or not self._compressed:
            return None
        rest = self._inflate(_TAIL)
        assert self._deflating is not None
        if self._deflating.clientForgets:
            self._inflater = None
        return rest

    def _inflate(self, data: bytes) -> bytes | CloseReason:
        found = b""
        try:
            while data:
                if self._inflater is None or self._inflater.eof:
                    # A sender may end its stream, and begin anew (section 7.2.3.5).
                    self._inflater = zlib.decompressobj(-15)
                piece = self._inflater.decompress(data, self._maxMessage - self._size + 1)
                found = found + piece if found else piece
                self._size += len(piece)
                if self._size > self._maxMessage or self._inflater.unconsumed_tail:
                    return self._messageTooBig()
                data = self._inflater.unused_data
        except zlib.error as problem:
            self.problem = f"the message cannot be inflated: {problem}"
            return CloseReason.INVALID_FRAME_PAYLOAD_DATA
        return found

    def _messageTooBig(self) -> CloseReason:
        return self._tooBig(f"a message has at most {self._maxMessage} bytes here")

    def _tooBig(self, problem: str) -> CloseReason:
        self.problem = problem
        return _TOO_BIG


class Deflater:
    """The outbound side: whole messages in, the payload of one frame out."""

    def __init__(self, deflating: Deflating) -> None:
        self._deflating = deflating
        self._stream: Any = None

    def deflate(self, payload: bytes) -> bytes:
        """Compress one message."""
        if not payload:
            # zlib would say nothing at all the second time (section 7.2.3.6).
            return b"\x00"
        if self._stream is None:
            self._stream = zlib.compressobj(wbits=-self._deflating.bits)
        found: bytes = self._stream.compress(payload) + self._stream.flush(zlib.Z_SYNC_FLUSH)
        if self._deflating.forget:
            self._stream = None
        return found[: -len(_TAIL)]
