"""Answers that come late, slowly or line by line."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from urllib.parse import urlencode

import pytest
from visiting import Answered, Visit, ask, request

from go.tables import MOST, SITE, TEXT, errorOf, get, small
from loopbackd.protocols.httpbin.go.slow import event
from loopbackd.protocols.httpbin.go.table import makeGo

MOST_EVENTS = MOST // len(event(999, 1.7e9))


def timings(value: str | None) -> dict[str, float]:
    """The seconds of each entry of a C{Server-Timing}."""
    found = re.findall(r'(\w+);dur=([0-9.]+);desc="[a-z ]+"', value or "")
    return {name: float(milliseconds) / 1000 for name, milliseconds in found}


def answersSoFar(visit: Visit) -> list[Answered]:
    """The answer to a GET; none while nothing was heard, which is not an end."""
    return visit.answers("GET") if visit.heard else []


@pytest.mark.parametrize(
    ("text", "seconds"), [("0ms", 0), ("500ms", 0.5), ("0", 0), ("0.5", 0.5), ("1", 1), ("1s", 1)]
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_delay(text: str, seconds: float, method: str) -> None:
    """Neither sooner nor later."""
    visit = Visit(SITE)
    visit.say(request(f"/delay/{text}", method))
    if seconds:
        visit.clock.advance(seconds - 0.01)
        assert visit.heard == b""
        visit.clock.advance(0.01)
    (found,) = visit.answers(method)
    assert timings(found.get("Server-Timing")) == {"initial_delay": seconds}
    assert found.json["method"] == method and "data" in found.json
    visit.end()


def test_whoever_goes_is_not_waited_for() -> None:
    """Nothing is left to do."""
    for target in (
        "/delay/1",
        "/drip?duration=0.5&delay=0.5",
        "/drip?duration=1&numbytes=3",
        "/sse?delay=0.5",
        "/sse?duration=1",
        "/jsonl?duration=1",
        "/range/9?duration=1",
    ):
        visit = Visit(SITE)
        visit.say(request(target))
        visit.clock.advance(0.1)
        visit.end()


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/delay", 404),
        ("/delay/", 404),
        ("/delay/1/foo", 404),
        ("/delay/foo", 400),
        ("/delay/1.5s", 400),
        ("/delay/-1ms", 400),
        ("/delay/1.5", 400),
        ("/delay/-1", 400),
        ("/delay/-3.14", 400),
        ("/stream", 404),
        ("/stream/foo", 400),
        ("/stream/3.1415", 400),
        ("/stream/10/foo", 404),
    ],
)
def test_what_is_no_delay(path: str, status: int) -> None:
    """Or too long."""
    assert get(path).status == status


DRIPS: list[tuple[dict[str, str], float, int, int]] = [
    ({}, 0.1, 10, 200),
    ({"duration": "5ms"}, 0.005, 10, 200),
    ({"duration": "0h"}, 0, 10, 200),
    ({"delay": "5ms"}, 0.105, 10, 200),
    ({"delay": "0h"}, 0.1, 10, 200),
    ({"duration": "0.25"}, 0.25, 10, 200),
    ({"duration": "0"}, 0, 10, 200),
    ({"duration": "1"}, 1, 10, 200),
    ({"delay": "0.25"}, 0.35, 10, 200),
    ({"numbytes": "1"}, 0, 1, 200),
    ({"numbytes": "101"}, 0.1, 101, 200),
    ({"numbytes": str(MOST)}, 0.1, MOST, 200),
    ({"code": "404"}, 0.1, 10, 404),
    ({"code": "599"}, 0.1, 10, 599),
    ({"code": "567"}, 0.1, 10, 567),
    ({"duration": "250ms", "delay": "250ms"}, 0.5, 10, 200),
    ({"duration": "250ms", "delay": "0.25s"}, 0.5, 10, 200),
]


@pytest.mark.parametrize(("query", "seconds", "size", "status"), DRIPS)
def test_drip(query: dict[str, str], seconds: float, size: int, status: int) -> None:
    """In its time, with its length."""
    visit = Visit(SITE)
    visit.say(request("/drip?" + urlencode(query)))
    steps = 0
    while not (found := answersSoFar(visit)):
        visit.clock.advance(0.001)
        steps += 1
        assert steps / 1000 < seconds + 0.1
    assert steps / 1000 >= seconds - 0.005
    assert (found[0].status, found[0].body) == (status, b"*" * size)
    assert found[0].get("Content-Type") == TEXT
    assert found[0].get("Content-Length") == str(size)
    assert found[0].get("Transfer-Encoding") is None
    visit.end()


def test_drip_one_at_a_time() -> None:
    """The last without a pause behind it."""
    visit = Visit(SITE)
    visit.say(request("/drip?duration=100ms&numbytes=3"))
    for seconds, size in ((0.04, 1), (0.02, 2), (0.03, 2), (0.02, 3)):
        visit.clock.advance(seconds)
        assert visit.heard.partition(b"\r\n\r\n")[2] == b"*" * size
    visit.end()


def test_drip_of_what_comes_before_an_answer() -> None:
    """The answer comes all the same."""
    visit = Visit(SITE)
    visit.say(request("/drip?code=100"))
    visit.later(0.2)
    assert visit.heard.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")
    visit.end()


def test_drip_says_how_long() -> None:
    """Beforehand."""
    found = get("/drip?duration=100ms&delay=50ms&numbytes=10", seconds=0.3)
    assert timings(found.get("Server-Timing")) == {
        "total_duration": 0.15,
        "initial_delay": 0.05,
        "write_duration": 0.1,
        "pause_per_write": 0.01111,
    }


@pytest.mark.parametrize(
    "target", ["/drip?duration=900ms&delay=100ms", "/sse?duration=900ms&delay=100ms"]
)
def test_only_the_head(target: str) -> None:
    """After the delay, without what would follow."""
    found = get(target, "HEAD", seconds=0.2)
    assert (found.status, found.body) == (200, b"")


def test_a_slow_client_is_waited_for() -> None:
    """No more is made while it does not take what there is; then all that is due."""
    visit = Visit(SITE)
    visit.say(request("/sse?duration=1s&count=6"))
    visit.http.pauseProducing()  # type: ignore[attr-defined]
    visit.later(0.9)
    assert visit.heard.count(b"event: ping") == 2
    visit.http.resumeProducing()  # type: ignore[attr-defined]
    assert visit.heard.count(b"event: ping") == 5
    visit.later(0.2)
    assert visit.heard.count(b"event: ping") == 6
    visit.end()


BAD_TIMES = [
    *({"duration": text} for text in ("1m", "-1ms", "1001", "-1", "foo")),
    *({"delay": text} for text in ("1m", "-1ms", "1001", "-1", "foo")),
    {"duration": "750ms", "delay": "500ms"},
]
BAD_DRIPS = [
    *BAD_TIMES,
    *({"numbytes": text} for text in ("foo", "0", "-1", "0xff", str(MOST + 1))),
    *({"code": text} for text in ("foo", "-1", "25", "600", "101")),
]
BAD_EVENTS = [
    *BAD_TIMES,
    {"duration": "0"},
    {"duration": "0s"},
    *({"count": text} for text in ("foo", "0", "-1", "0xff", str(MOST_EVENTS + 1))),
    *({"jitter": text} for text in ("foo", "-0.1", "1.1")),
]
BAD_LINES = [*BAD_TIMES, {"count": "foo"}, {"jitter": "2"}]


@pytest.mark.parametrize(
    ("path", "query"),
    [("/drip", query) for query in BAD_DRIPS]
    + [("/sse", query) for query in BAD_EVENTS]
    + [("/jsonl", query) for query in BAD_LINES],
)
def test_what_cannot_be_done(path: str, query: dict[str, str]) -> None:
    """The answer says why."""
    assert errorOf(get(f"{path}?{urlencode(query)}"))["detail"]


@pytest.mark.parametrize(
    ("n", "count"), [("20", 20), ("100", 100), ("1000", 100), ("0", 1), ("-9", 1)]
)
def test_stream(n: str, count: int) -> None:
    """From 1 to 100 lines, in this order."""
    found = get(f"/stream/{n}?a=%3C%26%3E")
    assert found.get("Transfer-Encoding") == "chunked" and found.get("Content-Type") == TEXT
    lines = found.text.splitlines()
    assert [json.loads(line)["id"] for line in lines] == list(range(count))
    assert list(json.loads(lines[0])) == ["id", "args", "headers", "origin", "url"]
    assert '{"a":["\\u003c\\u0026\\u003e"]}' in lines[0]


EVENTS: list[tuple[dict[str, str], float, int]] = [
    ({}, 0.1, 10),
    ({"duration": "5ms"}, 0.005, 10),
    ({"duration": "10ns"}, 0, 10),
    ({"delay": "5ms"}, 0.105, 10),
    ({"delay": "0h"}, 0.1, 10),
    ({"duration": "0.25"}, 0.25, 10),
    ({"duration": "1"}, 1, 10),
    ({"count": "1"}, 0, 1),
    ({"count": "011"}, 0.1, 11),
    ({"count": str(MOST_EVENTS)}, 0.1, MOST_EVENTS),
    ({"duration": "250ms", "delay": "0.25s"}, 0.5, 10),
]


@pytest.mark.parametrize(("query", "seconds", "count"), EVENTS)
def test_events(query: dict[str, str], seconds: float, count: int) -> None:
    """In their time, and how long it took behind them."""
    visit = Visit(SITE)
    visit.say(request("/sse?" + urlencode(query)))
    steps = 0
    while not (found := answersSoFar(visit)):
        visit.clock.advance(0.001)
        steps += 1
        assert steps / 1000 < seconds + 0.1
    assert steps / 1000 >= seconds - 0.001
    (one,) = found
    assert one.get("Content-Type") == "text/event-stream; charset=utf-8"
    assert one.get("Transfer-Encoding") == "chunked" and one.get("Trailer") == "Server-Timing"
    pattern = r'event: ping\ndata: \{"id":(\d+),"timestamp":(\d+)\}\n\n'
    assert re.fullmatch(f"(?:{pattern})+", one.text)
    assert [int(number) for number, _ in re.findall(pattern, one.text)] == list(range(count))
    ((name, value),) = one.trailers
    took = timings(value)
    assert name.lower() == "server-timing"
    assert took["total_duration"] == pytest.approx(steps / 1000, abs=1e-5)
    visit.end()


@pytest.mark.parametrize("path", ["/sse", "/jsonl"])
def test_jitter(path: str) -> None:
    """Makes them irregular, but loses none."""
    visit = Visit(small(max_body_size=1 << 20))
    visit.say(request(f"{path}?duration=0.5&count=6&jitter=0.5"))
    mark = b"event: ping" if path == "/sse" else b'{"id":'
    times: list[float] = []
    while len(times) < 6:
        while visit.heard.count(mark) > len(times):
            times.append(visit.clock.seconds())
        visit.clock.advance(0.001)
    pauses = [after - before for before, after in pairwise(times)]
    assert all(0.04 < pause < 0.16 for pause in pauses)
    assert max(pauses) - min(pauses) > 0.01
    visit.end()


@pytest.mark.parametrize(
    ("query", "count"),
    [("", 10), ("count=3", 3), ("count=0", 1), ("count=-1", 1), ("duration=0.2", 10)],
)
def test_lines(query: str, count: int) -> None:
    """At once, if no time is named."""
    found = ask(makeGo(prefix=""), f"/jsonl?{query}", seconds=0.3)
    assert found.get("Content-Type") == "application/x-ndjson"
    lines = [json.loads(line) for line in found.text.splitlines()]
    assert [line["id"] for line in lines] == list(range(count))
    assert list(lines[0]) == ["id", "args", "headers", "origin", "url"]


def test_lines_are_as_many_as_may_be() -> None:
    """Not more bytes than a body may have."""
    found = get("/jsonl?count=1000000")
    assert len(found.text.splitlines()) >= 1 and len(found.body) <= MOST
