"""A room where WebSockets hear each other."""

from __future__ import annotations

import json
from collections import deque
from typing import Any, Final

from loopbackd.websocket.connection import Closed
from loopbackd.websocket.sockets import WebSocket

TOO_SLOW: Final = 1013
"""What a member is closed with that does not read what others say (IANA's registry)."""

NOT_TEXT: Final = 1003
"""What a member is closed with that sends something binary."""


class Rooms:
    """The rooms that have somebody in them, by name."""

    def __init__(self) -> None:
        self._rooms: dict[str, Room] = {}

    def __len__(self) -> int:
        return len(self._rooms)

    async def chat(self, socket: WebSocket, room: str, name: str) -> None:
        """
        Be in a room until the WebSocket closes.

        @param name: what the others know it by; a number is added when somebody has it already.
        """
        found = self._rooms.get(room)
        if found is None:
            found = self._rooms[room] = Room()
        try:
            await found.chat(socket, name)
        finally:
            if not found.members:
                self._rooms.pop(room, None)


class Room:
    """
    Whoever is here hears what everybody says, also what they say themselves.

    Nothing is kept for a member that does not read: it is closed with L{TOO_SLOW}.

    @ivar members: their names.
    """

    def __init__(self) -> None:
        self.members: dict[WebSocket, str] = {}
        self._news: deque[tuple[str, WebSocket | None]] = deque()
        self._isTelling = False

    async def chat(self, socket: WebSocket, name: str) -> None:
        """Enter, talk, leave."""
        name = self._free(name)
        others = sorted(self.members.values())
        self.members[socket] = name
        self._tell(socket, _written({"type": "welcome", "name": name, "others": others}))
        self._tellAll({"type": "join", "name": name}, but=socket)
        try:
            async for message in socket:
                if isinstance(message, bytes):
                    socket.close(NOT_TEXT, "only text is understood here")
                    return
                self._tellAll({"type": "message", "name": name, "text": message})
        finally:
            if self.members.pop(socket, None) is not None:
                self._tellAll({"type": "leave", "name": name})

    def _free(self, name: str) -> str:
        taken = set(self.members.values())
        number, free = 1, name
        while free in taken:
            number += 1
            free = f"{name}-{number}"
        return free

    def _tellAll(self, what: dict[str, Any], but: WebSocket | None = None) -> None:
        """One after the other: who is closed as it is told has left, which is told after that."""
        self._news.append((_written(what), but))
        if self._isTelling:
            return
        self._isTelling = True
        try:
            while self._news:
                text, but = self._news.popleft()
                for socket in list(self.members):
                    if socket is not but:
                        self._tell(socket, text)
        finally:
            self._isTelling = False

    def _tell(self, socket: WebSocket, text: str) -> None:
        try:
            if not socket.trySend(text):
                socket.close(TOO_SLOW, "too slow in reading")
        except Closed:
            # It is about to leave.
            pass


def _written(what: dict[str, Any]) -> str:
    return json.dumps(what, ensure_ascii=False)
