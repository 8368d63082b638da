"""Tests for L{loopbackd.websocket.conversations}; L{echo} has its in C{test_websocket}."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from memorysocket import Talk, masked
from wsproto.events import CloseConnection, Ping, Pong

from loopbackd.websocket.badframes import BAD_FRAMES
from loopbackd.websocket.conversations import closeWith, misbehave, ping


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (1000, b"\x88\x05\x03\xe8why"),
        (4999, b"\x88\x05\x13\x87why"),
        (1005, b"\x88\x00"),
        (1006, b""),
    ],
)
def test_closing_as_it_was_chosen(code: int, said: bytes) -> None:
    """With a code, with none, or without a close frame; what the client says is not heard."""
    talk = Talk(lambda socket: closeWith(socket, code, "why", 1.0))
    talk.say(masked(0x81, b"unheard"))
    talk.later(0.9)
    assert talk.transport.value() == b""
    assert not talk.transport.finished
    talk.later(0.1)
    assert talk.transport.value() == said
    assert talk.transport.finished == (code == 1006)
    talk.end()


def test_pings_are_timed() -> None:
    """Each pong is told with the time it took."""
    talk = Talk(lambda socket: ping(socket, 2, 1.0))
    assert talk.hear() == [Ping(payload=b"1")]
    talk.clock.advance(0.25)
    talk.say(masked(0x81, b"unheard"))
    talk.send(Pong(payload=b"1"))
    (told,) = talk.messages()
    assert json.loads(told) == {"ping": 1, "seconds": 0.25}
    talk.clock.advance(1)
    assert talk.hear() == [Ping(payload=b"2")]
    talk.send(Pong(payload=b"2"))
    told, close = talk.hear()  # type: ignore[assignment]
    assert json.loads(told.data) == {"ping": 2, "seconds": 0.0}  # type: ignore[attr-defined]
    assert isinstance(close, CloseConnection)
    talk.end()


def test_what_the_client_did_is_logged(logged: Callable[[str], Any]) -> None:
    """Whether it noticed, and with which code."""
    lines = logged("loopbackd.websocket.conversations")
    talk = Talk(lambda socket: misbehave(socket, BAD_FRAMES["masked"]))
    talk.send(CloseConnection(code=1002))
    talk.end()
    talk = Talk(lambda socket: misbehave(socket, BAD_FRAMES["rsv2"]))
    talk.later(10)
    talk.end()
    assert [line.split(": ", 1)[1] for line in lines] == [
        "masked was answered by 1002.",
        "rsv2 was answered by nothing.",
    ]
