"""Answers that take their time, on a clock of our own."""

from __future__ import annotations

import json

import pytest
from visiting import Visit, ask, request

from loopbackd.protocols.httpbin.site import makeSite


def bodyAfter(visit: Visit, seconds: float) -> bytes:
    """What there is of the body after so much more time."""
    visit.later(seconds)
    return visit.heard.partition(b"\r\n\r\n")[2]


def test_delay() -> None:
    """Nothing, and then all of the request but its JSON."""
    visit = Visit(makeSite())
    visit.say(request("/delay/1.5?a=b", "POST", [("Content-Type", "text/plain")], b"{}"))
    visit.later(1.4)
    assert visit.heard == b""
    visit.later(0.2)
    (answer,) = visit.answers("POST")
    assert (answer.json["args"], answer.json["data"], "json" in answer.json) == (
        {"a": "b"},
        "{}",
        False,
    )
    visit.end()


def test_longestDelay() -> None:
    """Ten seconds at most."""
    visit = Visit(makeSite())
    visit.say(request("/delay/1e9"))
    visit.later(9.9)
    assert visit.heard == b""
    visit.later(0.2)
    assert len(visit.answers("GET")) == 1
    visit.end()


@pytest.mark.parametrize("seconds", ["x", "-1", "nan", "inf", "1e999"])
def test_noDelay(seconds: str) -> None:
    """What is no time is refused."""
    assert ask(makeSite(), f"/delay/{seconds}").status == 400


def test_drip() -> None:
    """One byte at a time, the first at once."""
    visit = Visit(makeSite())
    visit.say(request("/drip?numbytes=4&duration=2&code=418"))
    assert [bodyAfter(visit, seconds) for seconds in (0, 0.6, 0.4, 0.2, 0.6)] == [
        *(b"*", b"**", b"***", b"***", b"****"),
    ]
    (answer,) = visit.answers("GET")
    assert (answer.status, answer.get("Content-Length")) == (418, "4")
    visit.end()


def test_dripLater() -> None:
    """Not even the head before the delay is over."""
    visit = Visit(makeSite())
    visit.say(request("/drip?numbytes=1&duration=0&delay=1"))
    visit.later(0.9)
    assert visit.heard == b""
    assert bodyAfter(visit, 0.2) == b"*"
    visit.end()


def test_manyDrips() -> None:
    """Ten million bytes are not ten million pieces: what is due at the same time comes together."""
    visit = Visit(makeSite())
    visit.say(request("/drip?numbytes=99999999&duration=1"))
    visit.later(1.5)
    (answer,) = visit.answers("GET")
    assert len(answer.body) == 10 << 20
    visit.end()


@pytest.mark.parametrize(
    "query",
    [
        *("numbytes=0", "numbytes=-1", "numbytes=x", "duration=-1", "duration=nan"),
        *("duration=601", "delay=x", "code=1", "code=1000", "code=101"),
    ],
)
def test_noDrip(query: str) -> None:
    """Numbers that are none, or make no sense, are refused."""
    assert ask(makeSite(), f"/drip?{query}", seconds=2.1).status == 400


def test_leftWhileDripping() -> None:
    """A client that leaves leaves nothing behind."""
    visit = Visit(makeSite())
    visit.say(request("/drip?duration=10"))
    visit.later(1)
    visit.end()


def test_stream() -> None:
    """A line of JSON each time, in chunks of their own."""
    answer = ask(makeSite(), "/stream/3?a=b")
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert [line["id"] for line in lines] == [0, 1, 2]
    assert list(lines[0]) == ["url", "args", "headers", "origin", "id"]
    assert lines[2]["args"] == {"a": "b"}
    assert answer.get("Transfer-Encoding") == "chunked"
    assert len(ask(makeSite(), "/stream/1000").text.splitlines()) == 100
