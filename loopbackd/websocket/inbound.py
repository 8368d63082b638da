"""What a client says on a WebSocket: bytes in; messages, pings and closes out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO
from typing import Any, Final

from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, Pong, TextMessage

from loopbackd.websocket.deflate import Deflating, Payloads
from loopbackd.websocket.quick import Message, quickMessage


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
"""The only one."""

Heard = Message | Ping | Pong | PeerClosed | Wrong | Part


class Inbound:
    """
    Takes the bytes apart, by wsproto, and puts messages together.

    It does so only when asked for what comes L{next}: what nobody asks for stays bytes.
    """

    def __init__(self, limits: SocketLimits, deflating: Deflating | None = None) -> None:
        self._payloads = Payloads(limits.maxMessage, limits.maxFragment, deflating)
        self._wire = Connection(ConnectionType.SERVER, [self._payloads])
        self._events: Iterator[Any] = self._wire.events()
        self._text: StringIO | None = None
        self._binary: bytearray | None = None
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

    def stop(self) -> None:
        """Hear nothing more."""
        self._over = True

    def next(self) -> Heard | None:
        """What comes next; L{None} until there are more bytes."""
        if self._over:
            return None
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
            if event.message_finished and self._text is None and self._binary is None:
                return event.data  # type: ignore[no-any-return]
            return self._collect(event)
        if kind is CloseConnection:
            return self._closed(event)
        return event  # type: ignore[no-any-return]

    def _collect(self, event: TextMessage | BytesMessage) -> Message | Part:
        """Keep one part of a message; not as an object of its own, there can be millions."""
        if isinstance(event, TextMessage):
            if self._text is None:
                self._text = StringIO()
            self._text.write(event.data)
        else:
            if self._binary is None:
                self._binary = bytearray()
            self._binary += event.data
        if not event.message_finished:
            return PART
        message = bytes(self._binary or b"") if self._text is None else self._text.getvalue()
        self._text = self._binary = None
        return message

    def _closed(self, event: CloseConnection) -> PeerClosed | Wrong:
        self._over = True
        reason = event.reason or ""
        if self._wire.state in (ConnectionState.REMOTE_CLOSING, ConnectionState.CLOSED):
            return PeerClosed(int(event.code), reason)
        # wsproto's way to say that a frame is wrong.
        return Wrong(int(event.code), self._payloads.problem or reason)
