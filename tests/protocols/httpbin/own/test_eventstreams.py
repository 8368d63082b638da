"""Tests for L{loopbackd.protocols.httpbin.own.eventstreams}."""

from __future__ import annotations

import pytest
from eventstream import EventStream
from visiting import Visit, ask, request

from loopbackd.http.badevents import BAD_STREAMS
from loopbackd.protocols.httpbin.site import makeSite

ENDING = [one.name for one in BAD_STREAMS.values() if not one.isEndless]


@pytest.mark.parametrize("how", ENDING)
def test_it_arrives_as_it_is(how: str) -> None:
    """With the type that belongs to it."""
    stream = BAD_STREAMS[how]
    answered = ask(makeSite(), f"/sse/bad/{how}", seconds=1)
    assert answered.status == 200
    assert answered.body == b"".join(stream.pieces())
    assert answered.get("Content-Type") == (stream.type or None)


def test_pieces_come_one_by_one() -> None:
    """So that a client gets them apart."""
    visit = Visit(makeSite())
    visit.say(request("/sse/bad/crlf-apart"))
    assert b"data: a\r\r\n" in visit.heard
    assert b"data: b" not in visit.heard
    visit.later(1)
    assert b"data: b" in visit.heard
    visit.end()


def test_endless_ones_go_on_as_long_as_they_are_read() -> None:
    """And no further."""
    visit = Visit(makeSite())
    visit.say(request("/sse/bad/endless-comment"))
    visit.http.pauseProducing()
    visit.later(0.1)
    before = len(visit.heard)
    visit.later(1)
    assert len(visit.heard) == before > 0
    body = visit.heard.partition(b"\r\n\r\n")[2]
    assert EventStream().feed([body.split(b"\r\n")[1]]) == [("message", "hello", "")]
    visit.end()


def test_all_are_listed() -> None:
    """With what a client makes of each."""
    listed = ask(makeSite(), "/sse/bad").json["streams"]
    assert [one["name"] for one in listed] == list(BAD_STREAMS)


def test_an_unknown_one() -> None:
    """Is not there."""
    assert ask(makeSite(), "/sse/bad/unheard-of").status == 400
