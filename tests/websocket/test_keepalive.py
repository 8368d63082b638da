"""Tests for L{loopbackd.websocket.keepalive}."""

from __future__ import annotations

from twisted.internet.task import Clock

from loopbackd.websocket.keepalive import Keepalive


def test_a_silent_peer_is_asked_and_given_up() -> None:
    """After a while, and after a while again."""
    clock, told = Clock(), []
    keepalive = Keepalive(clock, 10, lambda: told.append("asked"), lambda: told.append("gave up"))
    clock.advance(10)
    assert told == ["asked"]
    clock.advance(9.9)
    assert told == ["asked"]
    clock.advance(0.1)
    assert told == ["asked", "gave up"]
    keepalive.stop()
    assert clock.getDelayedCalls() == []


def test_a_peer_that_says_something_is_not() -> None:
    """Whatever it says, and also when it says it only once it is asked."""
    clock, told = Clock(), []
    keepalive = Keepalive(clock, 10, lambda: told.append("asked"), lambda: told.append("gave up"))
    for _ in range(3):
        keepalive.heard = True
        clock.advance(10)
    assert told == []
    for _ in range(3):
        clock.advance(10)
        keepalive.heard = True
        clock.advance(10)
    assert told == ["asked"] * 3
    keepalive.stop()
    assert clock.getDelayedCalls() == []
