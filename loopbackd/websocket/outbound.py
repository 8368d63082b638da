"""What is said on a WebSocket: messages in; frames out, with no more work at once than must be."""

from __future__ import annotations

from collections.abc import Iterator

from loopbackd.websocket.deflate import SLICE, Deflater, Deflating
from loopbackd.websocket.frames import BINARY, COMPRESSED, CONTINUATION, FINAL, TEXT, frame
from loopbackd.websocket.inbound import Piece
from loopbackd.websocket.quick import Message


class Outbound:
    """
    Makes frames of messages, one after the other.

    What is compressed is kept until its message is whole, or there is too much of it: a client can
    be one that does not read before it has sent all, and waits for us to read that.

    @param deflating: what was agreed on about compression.
    @param most: bytes that are kept.
    """

    def __init__(self, deflating: Deflating | None, most: int) -> None:
        self._most = most
        self._deflater = None if deflating is None else Deflater(deflating)
        # What the next frame begins with; and what was compressed and is in no frame yet.
        self._opcode = CONTINUATION
        self._isWithin = False
        self._made = bytearray()

    def whole(self, message: Message) -> bytes | None:
        """
        The frame of a message; L{None} where making it takes a while.

        @raise RuntimeError: see L{frames}.
        """
        if self._deflater is not None and len(message) > SLICE:
            return None
        payload = self._begun(message, True)
        first, self._isWithin = FINAL | self._opcode, False
        if self._deflater is not None:
            payload = self._deflater.deflate(payload)
        # Not wsproto's send: that copies a message five times.
        return frame(first, payload)

    def frames(self, said: Message | Piece) -> Iterator[bytes]:
        """
        The frames of a message or a piece, each when it is asked for; nothing, in between, where
        others should have their turn.

        @raise RuntimeError: another message was begun in pieces, and not ended.
        """
        data, isLast = (said.data, said.isLast) if isinstance(said, Piece) else (said, True)
        payload = self._begun(data, not isinstance(said, Piece))
        if self._deflater is None:
            yield self._next(payload, isLast)
            return
        view = memoryview(payload)
        for at in range(0, len(view), SLICE):
            self._made += self._deflater.some(view[at : at + SLICE])
            yield self._next(self._taken(), False) if len(self._made) >= self._most else b""
        if isLast:
            self._made += self._deflater.rest()
            yield self._next(self._taken(), True)

    def _begun(self, data: Message, isWhole: bool) -> bytes:
        if self._isWithin and isWhole:
            raise RuntimeError("a message was begun in pieces, and the last of them was not sent")
        if not self._isWithin:
            self._isWithin = True
            self._opcode = TEXT if isinstance(data, str) else BINARY
            if self._deflater is not None:
                self._opcode |= COMPRESSED
        return data.encode() if isinstance(data, str) else data

    def _taken(self) -> bytes:
        made = bytes(self._made)
        self._made.clear()
        return made

    def _next(self, payload: bytes, isLast: bool) -> bytes:
        first = self._opcode | (FINAL if isLast else 0)
        self._opcode = CONTINUATION
        self._isWithin = not isLast
        return frame(first, payload)
