"""
Answers to a WebSocket's opening handshake that are wrong, or right and often taken for wrong.

Each says what a client that follows RFC 6455 (and RFC 7692) makes of it.  One that takes what it
must not is talked to as if nothing were wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from loopbackd.http.fields import FieldPairs

Change = Callable[[FieldPairs], FieldPairs]
"""Makes the fields of such an answer of those of a right one."""


@dataclass(frozen=True)
class BadHandshake:
    """
    An answer with the status 101.

    @ivar name: what it is asked for by.
    @ivar does: what is sent.
    @ivar rightly: what a right client does.
    @ivar source: where that is written.
    @ivar change: makes the fields of this answer of those of a right one.
    @ivar opens: whether the WebSocket is open for a right client.
    """

    name: str
    does: str
    rightly: str
    source: str
    change: Change
    opens: bool = False


def _without(name: bytes) -> Change:
    return lambda fields: [pair for pair in fields if pair[0] != name]


def _with(name: bytes, value: bytes) -> Change:
    return lambda fields: [*_without(name)(fields), (name, value)]


def _lowered(fields: FieldPairs) -> FieldPairs:
    return [(name.lower(), value) for name, value in fields]


def _wrong(name: str, does: str, source: str, change: Change) -> BadHandshake:
    return BadHandshake(name, does, "fails the connection", source, change)


_ANSWER: Final = "RFC 6455 section 4.1"
_ACCEPT: Final = b"Sec-WebSocket-Accept"
_EXTENSIONS: Final = b"Sec-WebSocket-Extensions"

_ALL: Final = (
    _wrong(
        "wrong-accept",
        "Sec-WebSocket-Accept is that of another key",
        _ANSWER,
        _with(_ACCEPT, b"s3pPLMBiTxaQ9kYGzzhZRbK+xOp="),
    ),
    _wrong("no-accept", "there is no Sec-WebSocket-Accept", _ANSWER, _without(_ACCEPT)),
    _wrong("no-upgrade", "there is no Upgrade", _ANSWER, _without(b"Upgrade")),
    _wrong("wrong-upgrade", "Upgrade says h2c", _ANSWER, _with(b"Upgrade", b"h2c")),
    _wrong("no-connection", "there is no Connection", _ANSWER, _without(b"Connection")),
    _wrong("close", "Connection says close", _ANSWER, _with(b"Connection", b"close")),
    _wrong(
        "unasked-subprotocol",
        "a subprotocol is chosen that the client did not offer",
        _ANSWER,
        _with(b"Sec-WebSocket-Protocol", b"unasked.loopbackd"),
    ),
    _wrong(
        "unasked-extension",
        "an extension is chosen that the client did not offer",
        _ANSWER,
        _with(_EXTENSIONS, b"x-unasked"),
    ),
    _wrong(
        "deflate-parameter",
        "permessage-deflate is chosen with a parameter that nobody knows",
        "RFC 7692 section 7.1",
        _with(_EXTENSIONS, b"permessage-deflate; x-unknown=1"),
    ),
    _wrong(
        "deflate-window",
        "permessage-deflate is chosen with a window of 2^99 bytes",
        "RFC 7692 section 7.1.2.1",
        _with(_EXTENSIONS, b"permessage-deflate; server_max_window_bits=99"),
    ),
    BadHandshake(
        "lower-case",
        "the names of the fields are in lower case",
        "takes it: names of fields are compared without regard to case",
        "RFC 9110 section 5.1",
        _lowered,
        opens=True,
    ),
    BadHandshake(
        "upper-case",
        "the values of Upgrade and Connection are in capitals",
        "takes it: they are compared without regard to case",
        _ANSWER,
        lambda fields: _with(b"Connection", b"UPGRADE")(_with(b"Upgrade", b"WEBSOCKET")(fields)),
        opens=True,
    ),
    BadHandshake(
        "more-fields",
        "there are fields that say nothing about a WebSocket",
        "takes it",
        _ANSWER,
        lambda fields: [(b"X-More", b"1"), *fields, (b"Set-Cookie", b"more=1")],
        opens=True,
    ),
)

BAD_HANDSHAKES: Final = {one.name: one for one in _ALL}
"""By name."""
