"""Tests for L{loopbackd.http.receiving}: how much waits of what comes too early."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from handlers import makeRoutes
from visiting import Visit, request


def test_manyPipelined() -> None:
    """Others have their turn in between; nothing is lost."""
    visit = Visit(makeRoutes())
    visit.say(request("/hello") * 200)
    assert 0 < visit.heard.count(b"hello") < 200
    for _ in range(5):
        visit.clock.advance(0)
    assert len(visit.answers(*["GET"] * 200)) == 200
    visit.end()


@pytest.mark.parametrize(
    "pause", [lambda http: http.pauseProducing(), lambda http: None], ids=["full", "not"]
)
def test_backpressure(pause: Callable[[Any], None]) -> None:
    """While the client takes nothing, its requests wait unanswered; beyond a bound, unread."""
    visit = Visit(makeRoutes())
    pause(visit.http)
    visit.say(request("/hello") * 3000, 10_000)
    if visit.heard:
        for _ in range(60):
            visit.clock.advance(0)
        assert visit.heard.count(b"hello") == 3000
    else:
        assert visit.transport.producerState == "paused"
        visit.http.resumeProducing()
        for _ in range(60):
            visit.clock.advance(0)
        assert visit.heard.count(b"hello") == 3000
        assert visit.transport.producerState == "producing"
    visit.end()


def test_pipelinedWithoutEnd() -> None:
    """Who sends requests faster than they are answered is not read any more after a while."""
    visit = Visit(makeRoutes())
    one = request("/hello")
    many = one * (70_000 // len(one))
    visit.say(many)
    assert visit.transport.producerState == "paused"
    for _ in range(100):
        visit.clock.advance(0)
    assert visit.transport.producerState == "producing"
    assert visit.heard.count(b"hello") == many.count(one)
    visit.end()
