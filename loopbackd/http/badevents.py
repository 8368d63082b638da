"""
Streams of server-sent events that are wrong, or right and often misread.

Each says what a client that follows the HTML standard (section 9.2) makes of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from loopbackd.http.events import EVENT_STREAM

Dispatched = tuple[str, str, str]
"""An event as a page sees it: type, data, last event id."""


@dataclass(frozen=True)
class BadStream:
    """
    A stream.

    @ivar name: what it is asked for by.
    @ivar does: what is sent.
    @ivar rightly: what a right client does.
    @ivar source: the section of the HTML standard that says so.
    @ivar pieces: makes the body, in the pieces it is sent in.
    @ivar events: all that a right client dispatches, in order; where the stream is endless, what it
        dispatches before the end that does not come.
    @ivar type: the media type it is sent with; empty for none.
    @ivar isEndless: whether it goes on until the client leaves.
    """

    name: str
    does: str
    rightly: str
    source: str
    pieces: Callable[[], Iterable[bytes]]
    events: tuple[Dispatched, ...]
    type: str = EVENT_STREAM
    isEndless: bool = False


_HELLO: Final = b"data: hello\n\n"
_AFTER: Final = b"data: after\n\n"
_AN_EVENT: Final = ("message", "hello", "")
_ANOTHER: Final = ("message", "after", "")
_HUGE: Final = 1 << 20
_PIECE: Final = 1 << 14


def _endlessly(begin: bytes, piece: bytes) -> Callable[[], Iterator[bytes]]:
    def pieces() -> Iterator[bytes]:
        yield begin
        while True:
            yield piece

    return pieces


def _stream(
    name: str,
    does: str,
    rightly: str,
    source: str,
    *pieces: bytes,
    events: tuple[Dispatched, ...] = (),
    type: str = EVENT_STREAM,
) -> BadStream:
    return BadStream(name, does, rightly, source, lambda: pieces, events, type)


_PARSING: Final = "9.2.5 Parsing an event stream"
_READING: Final = "9.2.6 Interpreting an event stream"
_CONNECTING: Final = "9.2.3 Processing model"

_ALL: Final = (
    _stream(
        "no-blank-line",
        "the last event lacks the empty line behind it",
        "forgets that event",
        _READING,
        _HELLO + b"data: lost\n",
        events=(_AN_EVENT,),
    ),
    _stream(
        "no-line-end",
        "the last event lacks even the end of its line",
        "forgets that event",
        _READING,
        _HELLO + b"data: lost",
        events=(_AN_EVENT,),
    ),
    _stream(
        "bom",
        "the stream begins with a byte order mark",
        "skips the mark",
        _PARSING,
        b"\xef\xbb\xbf" + _HELLO,
        events=(_AN_EVENT,),
    ),
    _stream(
        "two-boms",
        "the stream begins with two byte order marks",
        "skips the first; the second makes the field's name one it does not know",
        _PARSING,
        b"\xef\xbb\xbf\xef\xbb\xbf" + _HELLO + _AFTER,
        events=(_ANOTHER,),
    ),
    _stream(
        "bom-inside",
        "a byte order mark stands before the second event",
        "takes it for part of the field's name, which it does not know",
        _PARSING,
        _HELLO + b"\xef\xbb\xbfdata: lost\n\n" + _AFTER,
        events=(_AN_EVENT, _ANOTHER),
    ),
    _stream(
        "cr",
        "lines end with carriage returns alone",
        "takes each for the end of a line",
        _PARSING,
        _HELLO.replace(b"\n", b"\r") + b"data: a\rdata: b\r\r",
        events=(_AN_EVENT, ("message", "a\nb", "")),
    ),
    _stream(
        "crlf-apart",
        "a carriage return and its line feed come in different pieces",
        "takes them for one end of a line",
        _PARSING,
        b"data: a\r",
        b"\ndata: b\r",
        b"\n\r",
        b"\n" + _AFTER,
        events=(("message", "a\nb", ""), _ANOTHER),
    ),
    _stream(
        "character-apart",
        "the bytes of a character come in different pieces",
        "puts the character together",
        _PARSING,
        b"data: \xe2",
        b"\x82",
        b"\xac\n\n",
        events=(("message", "€", ""),),
    ),
    _stream(
        "not-utf-8",
        "the data is not UTF-8",
        "replaces what is wrong by U+FFFD",
        _PARSING,
        b"data: \xff\xfe!\n\n",
        events=(("message", "��!", ""),),
    ),
    _stream(
        "wrong-charset",
        "the type says ISO-8859-1, and the data is UTF-8",
        "reads UTF-8 whatever the type says",
        _PARSING,
        "data: ü\n\n".encode(),
        events=(("message", "ü", ""),),
        type=f"{EVENT_STREAM}; charset=iso-8859-1",
    ),
    _stream(
        "wrong-type",
        "the type is text/plain",
        "fails the connection, and does not come back",
        _CONNECTING,
        _HELLO,
        type="text/plain",
    ),
    _stream(
        "no-type",
        "there is no Content-Type",
        "fails the connection, and does not come back",
        _CONNECTING,
        _HELLO,
        type="",
    ),
    _stream(
        "no-colon",
        "a line is the word data alone",
        "takes it for a data line with nothing in it",
        _READING,
        b"data\n\ndata\ndata\n\n",
        events=(("message", "", ""), ("message", "\n", "")),
    ),
    _stream(
        "spaces",
        "there is no space behind the colon, or more than one",
        "removes one space where there is one",
        _READING,
        b"data:a\ndata:  b\ndata: \n\n",
        events=(("message", "a\n b\n", ""),),
    ),
    _stream(
        "wrong-case",
        "a field is called Data",
        "does not know it: names are compared as they are",
        _READING,
        b"Data: lost\n\n" + _AFTER,
        events=(_ANOTHER,),
    ),
    _stream(
        "space-before-colon",
        "a field is called data with a space behind it",
        "does not know it",
        _READING,
        b"data : lost\n\n" + _AFTER,
        events=(_ANOTHER,),
    ),
    _stream(
        "unknown-field",
        "an event has a field that no standard knows",
        "passes over the field, and takes the event",
        _READING,
        b"colour: red\n" + _HELLO,
        events=(_AN_EVENT,),
    ),
    _stream(
        "no-data",
        "an event has a type and no data",
        "does not dispatch it, and forgets the type",
        _READING,
        b"event: lost\n\n" + _AFTER,
        events=(_ANOTHER,),
    ),
    _stream(
        "retry-in-words",
        "retry is not a number of ASCII digits",
        "ignores it, and takes the event",
        _READING,
        b"retry: soon\nretry: 1e3\nretry: -1\nretry: 1.5\nretry: \n" + _HELLO,
        events=(_AN_EVENT,),
    ),
    _stream(
        "retry-huge",
        "retry is a number beyond 64 bits",
        "takes the event; how long it waits before it comes back is its own affair",
        _READING,
        b"retry: 99999999999999999999999\n" + _HELLO,
        events=(_AN_EVENT,),
    ),
    _stream(
        "nul-in-id",
        "an id has a NUL in it",
        "ignores that id, and keeps the one before",
        _READING,
        b"id: 1\n" + _HELLO + b"id: 2\0\n" + _AFTER,
        events=(("message", "hello", "1"), ("message", "after", "1")),
    ),
    _stream(
        "empty-id",
        "an id is empty",
        "forgets the id before, and sends no Last-Event-ID when it comes back",
        _READING,
        b"id: 1\n" + _HELLO + b"id\n" + _AFTER,
        events=(("message", "hello", "1"), _ANOTHER),
    ),
    _stream(
        "id-without-event",
        "an id stands where there is no data",
        "remembers it all the same",
        _READING,
        b"id: 1\n\n" + _HELLO,
        events=(("message", "hello", "1"),),
    ),
    _stream(
        "huge-line",
        f"a data line has {_HUGE} bytes",
        "takes it, or closes for a limit of its own",
        _PARSING,
        b"data: " + bytes(_HUGE).replace(b"\0", b"x") + b"\n\n",
        events=(("message", "x" * _HUGE, ""),),
    ),
    _stream(
        "many-lines",
        "an event has 10000 data lines",
        "joins them with line feeds",
        _READING,
        b"data: x\n" * 10000 + b"\n",
        events=(("message", "\n".join("x" * 10000), ""),),
    ),
    BadStream(
        "endless-comment",
        "a comment never ends",
        "reads on without keeping it, or closes for a limit of its own",
        _PARSING,
        _endlessly(_HELLO + b":", b"x" * _PIECE),
        (_AN_EVENT,),
        isEndless=True,
    ),
    BadStream(
        "endless-line",
        "a data line never ends",
        "closes for a limit of its own, before its memory is full",
        _PARSING,
        _endlessly(_HELLO + b"data: ", b"x" * _PIECE),
        (_AN_EVENT,),
        isEndless=True,
    ),
    BadStream(
        "endless-event",
        "an event has data lines without end",
        "closes for a limit of its own, before its memory is full",
        _READING,
        _endlessly(_HELLO, b"data: x\n" * (_PIECE // 8)),
        (_AN_EVENT,),
        isEndless=True,
    ),
)

BAD_STREAMS: Final = {one.name: one for one in _ALL}
"""By name."""
