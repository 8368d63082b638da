"""Tests for L{loopbackd.websocket.badframes}: wsproto's client is right, and does what they say."""

from __future__ import annotations

import re

import pytest
from memorysocket import Talk
from wsproto.connection import ConnectionState
from wsproto.events import BytesMessage, CloseConnection, TextMessage

from loopbackd.websocket.badframes import BAD_FRAMES, BadFrames, Ending
from loopbackd.websocket.conversations import REACTION, misbehave
from loopbackd.websocket.deflate import Deflating

ALL = pytest.mark.parametrize("bad", BAD_FRAMES.values(), ids=BAD_FRAMES)

# wsproto's client sets no limit to a message.
LIMITED = [bad for bad in BAD_FRAMES.values() if bad.code != 1009]


def talkOf(bad: BadFrames) -> Talk:
    """A conversation in which we misbehave so."""
    return Talk(
        lambda socket: misbehave(socket, bad), None, Deflating() if bad.compressed else None
    )


@pytest.mark.parametrize("bad", LIMITED, ids=[bad.name for bad in LIMITED])
def test_what_a_right_client_makes_of_it(bad: BadFrames) -> None:
    """It closes with that code, or with none where nothing is wrong."""
    talk = talkOf(bad)
    heard = talk.hear()
    closes = [int(one.code) for one in heard if isinstance(one, CloseConnection)]
    if bad.ending is Ending.WAIT and bad.code is not None:
        assert closes == [bad.code]
        assert talk.client.state is ConnectionState.OPEN
    elif bad.closes:
        assert closes == [1000]
    else:
        assert closes == []
    talk.end()


@ALL
def test_how_it_ends(bad: BadFrames) -> None:
    """The connection is ended or reset at once, or when the client had its time to react."""
    talk = talkOf(bad)
    ends = bad.ending is not Ending.WAIT
    assert talk.transport.aborted == (bad.ending is Ending.RESET)
    assert talk.transport.finished == (bad.ending is Ending.END)
    talk.transport.clear()
    talk.later(REACTION)
    if not ends and not bad.closes:
        assert talk.transport.value() == b"\x88\x02\x03\xe8"
    elif bad.closes:
        assert talk.transport.value() == b""
        assert talk.transport.finished
    talk.end()


def test_the_text_of_the_right_ones_arrives() -> None:
    """What is often taken for wrong is a message."""
    for name, text in (("split-character", "€"), ("empty-frames", "Hello")):
        talk = talkOf(BAD_FRAMES[name])
        parts = [one.data for one in talk.hear() if isinstance(one, TextMessage)]
        assert "".join(parts) == text
        talk.end()


def test_a_bomb_is_one() -> None:
    """A client without a limit gets a thousand times what was sent."""
    bad = BAD_FRAMES["bomb"]
    data = bad.written()
    talk = talkOf(bad)
    (event,) = talk.hear()
    assert isinstance(event, BytesMessage)
    assert len(event.data) > 900 * len(data)
    talk.end()


def test_what_needs_compression_says_so() -> None:
    """To a client that did not offer it."""
    bad = BAD_FRAMES["not-deflated"]
    talk = Talk(lambda socket: misbehave(socket, bad))
    assert talk.closes() == (1010, "permessage-deflate")
    talk.end()


@ALL
def test_they_are_described(bad: BadFrames) -> None:
    """In a line each, with the section that says so."""
    assert re.fullmatch(r"RFC (6455|7692) section [0-9.]+", bad.source)
    assert re.fullmatch(r"[a-z0-9-]+", bad.name)
    for text in (bad.does, bad.rightly):
        assert text[0].islower()
        assert not text.endswith(".")
