"""Tests for L{loopbackd.websocket.chat}."""

from __future__ import annotations

import json
from typing import Any

from memorysocket import Talk, masked, message

from loopbackd.websocket.chat import NOT_TEXT, TOO_SLOW, Rooms


def enter(rooms: Rooms, name: str, room: str = "lobby") -> Talk:
    """Somebody in a room."""
    return Talk(lambda socket: rooms.chat(socket, room, name))


def told(talk: Talk) -> list[dict[str, Any]]:
    """What somebody was told since they were asked last."""
    return [json.loads(one) for one in talk.messages()]


def test_everybody_hears_everybody() -> None:
    """Who comes, what is said, who goes; each by a name of its own."""
    rooms = Rooms()
    first = enter(rooms, "ann")
    assert told(first) == [{"type": "welcome", "name": "ann", "others": []}]
    second = enter(rooms, "ann")
    assert told(second) == [{"type": "welcome", "name": "ann-2", "others": ["ann"]}]
    assert told(first) == [{"type": "join", "name": "ann-2"}]
    elsewhere = enter(rooms, "ann", "attic")
    assert told(elsewhere) == [{"type": "welcome", "name": "ann", "others": []}]
    second.send(message("grüß dich"))
    said = [{"type": "message", "name": "ann-2", "text": "grüß dich"}]
    assert told(first) == said
    assert told(second) == said
    assert told(elsewhere) == []
    second.say(masked(0x88, b"\x03\xe8"))
    assert told(first) == [{"type": "leave", "name": "ann-2"}]
    for talk in (first, second, elsewhere):
        talk.end()
    assert len(rooms) == 0


def test_who_is_lost_has_left() -> None:
    """Without a goodbye, too."""
    rooms = Rooms()
    first, second = enter(rooms, "a"), enter(rooms, "b")
    told(first)
    second.end(ConnectionResetError())
    assert told(first) == [{"type": "leave", "name": "b"}]
    first.end()
    assert len(rooms) == 0


def test_who_does_not_read_is_closed() -> None:
    """Nothing is kept for them, and the others go on."""
    rooms = Rooms()
    slow, quick = enter(rooms, "slow"), enter(rooms, "quick")
    told(slow)
    slow.socket.pauseProducing()
    quick.send(message("hello"))
    kinds = [one["type"] for one in told(quick)]
    assert kinds == ["welcome", "message", "leave"]
    assert slow.closes() == (TOO_SLOW, "too slow in reading")
    quick.send(message("again"))
    assert [one["type"] for one in told(quick)] == ["message"]
    assert slow.hear() == []
    slow.end()
    quick.end()


def test_only_text_is_understood() -> None:
    """What is binary closes."""
    rooms = Rooms()
    talk = enter(rooms, "a")
    told(talk)
    talk.send(message(b"\x00"))
    assert talk.closes() == (NOT_TEXT, "only text is understood here")
    talk.end()
    assert len(rooms) == 0


def test_many_that_do_not_read_are_closed_at_once() -> None:
    """One after the other, however many; who reads hears of each."""
    rooms = Rooms()
    quick, *slow = [enter(rooms, "a") for _ in range(300)]
    told(quick)
    for one in slow:
        one.socket.pauseProducing()
    quick.send(message("hello"))
    heard = told(quick)
    assert heard[0] == {"type": "message", "name": "a", "text": "hello"}
    assert [one["type"] for one in heard[1:]] == ["leave"] * 299
    for one in (quick, *slow):
        one.end()
