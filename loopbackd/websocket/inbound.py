"""What a client says on a WebSocket: bytes in; messages, pings and closes out."""

from __future__ import annotations

import zlib
from codecs import IncrementalDecoder, getincrementaldecoder
from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO
from typing import Any, Final

from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, Pong, TextMessage
from wsproto.frame_protocol import CloseReason

from loopbackd.websocket.deflate import Deflating, InflatedTooBig, Payloads
from loopbackd.websocket.quick import Message, quickMessage

_INVALID: Final = CloseReason.INVALID_FRAME_PAYLOAD_DATA


@dataclass(frozen=True)
class SocketLimits:
    """
    What a client may do.

    @ivar maxMessage: bytes in a message, inflated.
    @ivar maxFragment: bytes in a frame.
    @ivar keepalive: seconds of silence after which a ping is sent, and again until the connection
        is given up; L{None} to wait for ever.
    """

    maxMessage: int = 1 << 24
    maxFragment: int = 1 << 24
    keepalive: float | None = None


@dataclass(frozen=True)
class Piece:
    """
    A piece of a compressed message that is too big to be inflated as a whole.

    @ivar data: of text L{str}, of a binary message L{bytes}; can be empty.
    @ivar isLast: whether that is the end of the message.
    """

    data: Message
    isLast: bool


PIECE: Final = 1 << 17
"""Bytes, or characters, that make a piece; a message that has fewer is not taken apart."""


@dataclass(frozen=True)
class PeerClosed:
    """A close frame; 1005 where it has no code."""

    code: int
    reason: str


@dataclass(frozen=True)
class Wrong:
    """Something that the RFC forbids, or that is too big; nothing more is heard after it."""

    code: int
    problem: str


class Part:
    """A message has begun, or gone on; it is not whole yet."""


PART: Final = Part()
"""One that came."""

MORE: Final = Part()
"""One that was inflated, of which there is more: nobody should have to wait for that."""

Heard = Message | Piece | Ping | Pong | PeerClosed | Wrong | Part


class Inbound:
    """
    Takes the bytes apart, by wsproto, and puts messages together.

    It does so only when asked for what comes L{next}: what nobody asks for stays bytes, and
    compressed.

    @ivar takesPieces: whether a compressed message is told as L{Piece}s once it has so much; of a
        plain one nobody has more than was sent.
    @ivar ignoresMessages: whether nobody wants to know what is in messages; that a message was
        there can be told.
    """

    takesPieces = False
    ignoresMessages = False

    def __init__(self, limits: SocketLimits, deflating: Deflating | None = None) -> None:
        self._payloads = Payloads(limits.maxMessage, limits.maxFragment, deflating)
        self._wire = Connection(ConnectionType.SERVER, [self._payloads])
        self._events: Iterator[Any] = self._wire.events()
        self._text: StringIO | None = None
        self._binary: bytearray | None = None
        self._toldSome = False
        # What is being inflated is the end of a message, or not; None where nothing is.
        self._inflatesEnd: bool | None = None
        self._isText = False
        self._decoder: IncrementalDecoder | None = None
        self._over = False
        self._most = min(limits.maxMessage, limits.maxFragment)
        # What wsproto has not seen, where it has nothing before it; and how much it has seen.
        self._unseen = b""
        self._at = 0
        self._seen = 0

    def feed(self, data: bytes) -> None:
        """Take some bytes."""
        if self._over:
            return
        if self._unseen:
            self._unseen = self._unseen[self._at :] + data
            self._at = 0
        elif self._payloads.isWhole and self._seen == self._payloads.taken:
            self._unseen = data
            self._at = 0
        else:
            self._show(data)

    def _show(self, data: bytes) -> None:
        self._seen += len(data)
        self._wire.receive_data(data)

    def closeSent(self) -> None:
        """We have sent a close frame: the client's will be the answer."""
        self._wire.send(CloseConnection(code=1000))
        self.ignoresMessages = True

    def stop(self) -> None:
        """Hear nothing more."""
        self._over = True

    def next(self) -> Heard | None:
        """What comes next; L{None} until there are more bytes."""
        if self._over:
            return None
        if self._inflatesEnd is not None:
            return self._inflate(self._inflatesEnd)
        if self._unseen:
            found = quickMessage(self._unseen, self._at, self._most)
            if found is not None:
                message, self._at = found
                if self._at == len(self._unseen):
                    self._unseen = b""
                return message
            rest, self._unseen = self._unseen[self._at :], b""
            self._show(rest)
        event = next(self._events, None)
        if event is None:
            self._events = self._wire.events()
            return None
        kind = type(event)
        if kind is TextMessage or kind is BytesMessage:
            if self._payloads.isCompressed:
                self._isText = kind is TextMessage
                return self._inflate(event.message_finished)
            if event.message_finished and not self._hasBegun:
                return event.data  # type: ignore[no-any-return]
            return self._collect(event.data, event.message_finished)
        if kind is CloseConnection:
            return self._closed(event)
        return event  # type: ignore[no-any-return]

    @property
    def _hasBegun(self) -> bool:
        return self._text is not None or self._binary is not None or self._toldSome

    def _inflate(self, isEnd: bool) -> Message | Piece | Part | Wrong:
        """Go on with what came of a compressed message."""
        inflater = self._payloads.inflater
        assert inflater is not None
        try:
            data: Message = inflater.next() if inflater.hasMore else b""
            hasMore = inflater.hasMore
            isLast = isEnd and not hasMore
            if self._isText:
                if self._decoder is None:
                    self._decoder = getincrementaldecoder("utf-8")()
                data = self._decoder.decode(data, isLast)  # type: ignore[arg-type]
        except InflatedTooBig as problem:
            return self._wrong(CloseReason.MESSAGE_TOO_BIG, str(problem))
        except zlib.error as problem:
            return self._wrong(_INVALID, f"the message cannot be inflated: {problem}")
        except UnicodeDecodeError as problem:
            return self._wrong(_INVALID, str(problem))
        self._inflatesEnd = isEnd if hasMore else None
        if isLast:
            inflater.messageEnded()
            self._decoder = None
            if not self._hasBegun:
                return data
        heard = self._collect(data, isLast)
        return MORE if hasMore and heard is PART else heard

    def _collect(self, data: Message, isLast: bool) -> Message | Piece | Part:
        """Keep one part of a message; not as an object of its own, there can be millions."""
        if self.ignoresMessages:
            self._text = self._binary = None
            self._toldSome = not isLast
            return PART
        if isinstance(data, str):
            if self._text is None:
                self._text = StringIO()
            self._text.write(data)
            size = self._text.tell()
        else:
            if self._binary is None:
                self._binary = bytearray()
            self._binary += data
            size = len(self._binary)
        if not isLast and not (self.takesPieces and self._payloads.isCompressed and size >= PIECE):
            return PART
        whole = bytes(self._binary or b"") if self._text is None else self._text.getvalue()
        self._text = self._binary = None
        if isLast and not self._toldSome:
            return whole
        self._toldSome = not isLast
        return Piece(whole, isLast)

    def _closed(self, event: CloseConnection) -> PeerClosed | Wrong:
        self._over = True
        reason = event.reason or ""
        if self._wire.state in (ConnectionState.REMOTE_CLOSING, ConnectionState.CLOSED):
            return PeerClosed(int(event.code), reason)
        # wsproto's way to say that a frame is wrong.
        return Wrong(int(event.code), self._payloads.problem or reason)

    def _wrong(self, code: int, problem: str) -> Wrong:
        self._over = True
        return Wrong(int(code), problem)
