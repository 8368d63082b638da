"""
Server-sent events, as they are written (HTML standard, section 9.2).

A stream of them is UTF-8 of the type L{EVENT_STREAM}; a client that loses it asks again, with the
last C{id} it was told in C{Last-Event-ID}.
"""

from __future__ import annotations

import re
from typing import Final

EVENT_STREAM: Final = "text/event-stream"
"""The media type."""

_LINE_END: Final = re.compile(r"\r\n|\r|\n")


def encodeEvent(
    data: str | None = None,
    *,
    event: str | None = None,
    id: str | None = None,
    retry: int | None = None,
    comment: str | None = None,
) -> bytes:
    """
    One event.

    @param data: what it says; every kind of line end in it reaches the client as a line feed.
    @param event: its type; C{"message"} where it has none.
    @param id: what the client shall tell us when it comes back; empty for nothing.
    @param retry: milliseconds after which it shall come back when the stream is lost.
    @param comment: what clients pass over; good for keeping a connection alive.
    @raise ValueError: the client would not hear what is meant.
    """
    lines = [] if comment is None else [f": {line}" for line in _LINE_END.split(comment)]
    if event is not None:
        if data is None:
            raise ValueError(f"an event of type {event!r} without data reaches nobody")
        lines.append(f"event: {_oneLine('an event type', event)}")
    if id is not None:
        if "\0" in id:
            raise ValueError(f"an id with a NUL in it is ignored: {id!r}")
        lines.append(f"id: {_oneLine('an id', id)}")
    if retry is not None:
        if retry < 0:
            raise ValueError(f"retry is a number of milliseconds from 0 on, not {retry}")
        lines.append(f"retry: {retry:d}")
    if data is not None:
        lines += [f"data: {line}" for line in _LINE_END.split(data)]
    if not lines:
        raise ValueError("an event has data, an id, a retry or a comment")
    return "\n".join([*lines, "", ""]).encode()


def _oneLine(what: str, text: str) -> str:
    if "\n" in text or "\r" in text:
        raise ValueError(f"{what} is one line, not {text!r}")
    return text
