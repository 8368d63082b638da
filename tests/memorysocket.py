"""A WebSocket in memory: ours on a string transport, and wsproto as its client."""

from __future__ import annotations

import random
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from visiting import MemoryTransport
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Event, Message, Pong, TextMessage
from wsproto.extensions import PerMessageDeflate

from loopbackd.logs import OncePerSecond
from loopbackd.websocket.deflate import Deflating
from loopbackd.websocket.inbound import SocketLimits
from loopbackd.websocket.sockets import Application, WebSocket


def masked(first: int, payload: bytes, length: bytes | None = None) -> bytes:
    """A frame as a client sends it; its length can be written wrong."""
    size = len(payload)
    if length is None:
        length = bytes([size]) if size < 126 else b"\x7e" + size.to_bytes(2, "big")
    return bytes([first, length[0] | 0x80]) + length[1:] + bytes(4) + payload


class Talk:
    """
    One conversation.

    @ivar heard: the events of the client so far.
    """

    def __init__(
        self,
        application: Application,
        limits: SocketLimits | None = None,
        deflating: Deflating | None = None,
        lines: OncePerSecond | None = None,
    ) -> None:
        self.clock = Clock()
        self.transport = MemoryTransport()
        self.socket = WebSocket(application, self.clock, limits, None, deflating, None, lines)
        extensions = []
        if deflating is not None:
            extension = PerMessageDeflate()
            parameters = f"permessage-deflate; server_max_window_bits={deflating.bits}"
            if deflating.forget:
                parameters += "; server_no_context_takeover"
            if deflating.clientForgets:
                parameters += "; client_no_context_takeover"
            extension.finalize(parameters)
            extensions.append(extension)
        self.client = Connection(ConnectionType.CLIENT, extensions)
        self.heard: list[Event] = []
        self.socket.makeConnection(self.transport)  # type: ignore[arg-type]

    def say(self, data: bytes, chance: random.Random | None = None) -> None:
        """Have our side receive bytes; in pieces by chance."""
        at = 0
        while at < len(data):
            size = len(data) if chance is None else chance.randint(1, 40)
            self.socket.dataReceived(data[at : at + size])
            at += size

    def send(self, event: Event) -> None:
        """Have the client send that."""
        self.say(self.client.send(event))

    def hear(self) -> list[Event]:
        """What the client has heard since it was asked last."""
        data = self.transport.value()
        self.transport.clear()
        events: list[Event] = []
        if data:
            self.client.receive_data(data)
            events = list(self.client.events())
        self.heard += events
        return events

    def messages(self) -> list[str | bytes]:
        """The messages among what it has heard since."""
        found: list[str | bytes] = []
        part: Any = None
        for event in self.hear():
            if isinstance(event, TextMessage | BytesMessage):
                part = event.data if part is None else part + event.data
                if event.message_finished:
                    found.append(part)
                    part = None
        return found

    def closes(self) -> tuple[int, str] | None:
        """The close frame among what it has heard since."""
        for event in self.hear():
            if isinstance(event, CloseConnection):
                return int(event.code), event.reason or ""
        return None

    def pongs(self) -> list[bytes]:
        """The pongs among what it has heard since."""
        return [bytes(event.payload) for event in self.hear() if isinstance(event, Pong)]

    def later(self, seconds: float) -> None:
        """Let time go by, a tenth of a second at a time."""
        for _ in range(round(seconds * 10)):
            self.clock.advance(0.1)
        self.clock.advance(1e-6)

    def end(self, reason: Exception | None = None) -> None:
        """The connection is gone, and no delayed call is left."""
        self.socket.connectionLost(Failure(reason or ConnectionDone()))
        assert self.clock.getDelayedCalls() == []


def message(data: str | bytes, finished: bool = True) -> Message[Any]:
    """A message, or a part of one, for wsproto to send."""
    if isinstance(data, str):
        return TextMessage(data=data, message_finished=finished)
    return BytesMessage(data=data, message_finished=finished)
