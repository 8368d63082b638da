"""A client of server-sent events, as the HTML standard (section 9.2) has it."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable


class EventStream:
    """
    Interprets a stream.

    @ivar events: what was dispatched: type, data, last event id.
    @ivar retry: the reconnection time, in milliseconds, if it was set.
    """

    def __init__(self) -> None:
        self.events: list[tuple[str, str, str]] = []
        self.retry: int | None = None
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._begun = False
        self._parts: list[str] = []
        self._afterCR = False
        self._type = ""
        self._data = ""
        self._id = ""
        self._lastId = ""

    def feed(self, pieces: Iterable[bytes]) -> list[tuple[str, str, str]]:
        """Take these pieces of the stream; all events so far."""
        for piece in pieces:
            text = self._decoder.decode(piece)
            if text and not self._begun:
                self._begun = True
                text = text.removeprefix("\ufeff")
            if self._afterCR and text:
                self._afterCR = False
                text = text.removeprefix("\n")
            *lines, rest = re.split("\r\n|\r|\n", text)
            for line in lines:
                self._line("".join([*self._parts, line]))
                self._parts = []
            self._parts.append(rest)
            self._afterCR = text.endswith("\r")
        return self.events

    def _line(self, line: str) -> None:
        if not line:
            self._dispatch()
        elif not line.startswith(":"):
            name, _, value = line.partition(":")
            self._field(name, value.removeprefix(" "))

    def _field(self, name: str, value: str) -> None:
        if name == "event":
            self._type = value
        elif name == "data":
            self._data += value + "\n"
        elif name == "id":
            if "\0" not in value:
                self._id = value
        elif name == "retry" and value and all(one in "0123456789" for one in value):
            self.retry = int(value)

    def _dispatch(self) -> None:
        self._lastId = self._id
        if self._data:
            self.events.append((self._type or "message", self._data[:-1], self._lastId))
        self._data = self._type = ""
