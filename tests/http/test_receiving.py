"""Tests for L{loopbackd.http.receiving}: how much waits of what comes too early."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from handlers import makeRoutes
from hypothesis import given
from hypothesis import strategies as st
from iterated import Iterated
from visiting import Visit, request

from loopbackd.http.factory import Bounds, HTTPFactory
from loopbackd.http.messages import Request, Response
from loopbackd.http.routes import Routes


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


def test_manyThatPipeline() -> None:
    """Together they have no more of the reactor than one of them, after one answer each."""
    clock = Iterated()
    routes = Routes("test")

    @routes.add("/slow")
    def slow(request: Request) -> Response:
        clock.rightNow += 0.001
        return Response(200, b"hello")

    visits = [Visit(routes, clock)]
    visits += [visits[0].another() for _ in range(19)]
    for visit in visits:
        visit.say(request("/slow") * 10)
    counts = [visit.heard.count(b"hello") for visit in visits]
    assert counts[0] < 5
    assert counts[1:] == [1] * 19
    rounds = [sum(counts)]
    while rounds[-1] < 200:
        clock.iterate()
        counts = [visit.heard.count(b"hello") for visit in visits]
        rounds.append(sum(counts))
        assert rounds[-1] - rounds[-2] < 5
        # Nobody is far behind.
        assert max(counts) - min(counts) < 5
    for visit in visits[1:]:
        visit.http.connectionLost()
    visits[0].end()


CHUNKED = [("Transfer-Encoding", "chunked")]


def bounded(most: int = 100) -> HTTPFactory:
    """A site whose bodies may have so many bytes together."""
    return HTTPFactory(makeRoutes(), bounds=Bounds(body=most, bodies=most))


def test_bodiesTogether() -> None:
    """What other connections hold is not there for one more; later it is."""
    first = Visit(bounded())
    first.say(request("/echo", "POST", [("Content-Length", "80")]) + bytes(60))
    assert first.factory.bodies.used == 60
    other = first.another()
    other.say(request("/echo", "POST", body=bytes(41)))
    (refused,) = other.answers("POST")
    assert (refused.status, refused.get("Retry-After")) == (503, "1")
    assert "100 bytes here (max_bodies)" in refused.text
    assert first.factory.bodies.used == 60
    first.say(bytes(20))
    assert first.factory.bodies.used == 0
    third = first.another()
    third.say(request("/echo", "POST", body=bytes(100)))
    assert third.answers("POST")[0].status == 200
    for one in (other, third):
        one.http.connectionLost()
    first.end()


@pytest.mark.parametrize("fields", [[("Content-Length", "80")], CHUNKED])
def test_bodiesOfThoseThatAreLost(fields: list[tuple[str, str]]) -> None:
    """Are given back."""
    visit = Visit(bounded())
    visit.say(request("/echo", "POST", fields))
    visit.say(b"14\r\n" + bytes(20) + b"\r\n" if fields is CHUNKED else bytes(20))
    assert visit.factory.bodies.used == 20
    visit.end()
    assert visit.factory.bodies.used == 0


def test_bodiesWhoseAnswersAreNotTaken() -> None:
    """Are there until the answer is."""
    visit = Visit(bounded())
    visit.transport.write = lambda data: visit.http.pauseProducing()  # type: ignore[method-assign]
    visit.say(request("/echo", "POST", body=bytes(70)))
    assert visit.factory.bodies.used == 70
    visit.http.resumeProducing()
    assert visit.factory.bodies.used == 0
    visit.say(request("/echo", "POST", body=bytes(70)))
    assert visit.factory.bodies.used == 70
    visit.end()
    assert visit.factory.bodies.used == 0


def test_bodiesThatTakeLong() -> None:
    """Of a request that is still being answered."""
    visit = Visit(bounded())
    visit.say(request("/slowEcho", "POST", body=bytes(70)))
    assert visit.factory.bodies.used == 70
    visit.later(1)
    assert visit.factory.bodies.used == 0
    assert visit.answers("POST")[0].status == 200
    visit.end()


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["/echo", "/slowEcho", "/exact", "/count", "/ignore", "/nowhere"]),
            st.integers(0, 60),
            st.booleans(),
        ),
        max_size=6,
    ),
    st.integers(1, 200),
    st.sampled_from([50, 1000]),
    st.data(),
)
def test_whatIsCountedIsGivenBack(
    asked: list[tuple[str, int, bool]], size: int, most: int, data: Any
) -> None:
    """Whatever is asked, and wherever it breaks off, by the end, a reset or an error."""
    stream = b""
    for target, length, isChunked in asked:
        body = bytes(length)
        if isChunked:
            stream += request(target, "POST", CHUNKED)
            stream += b"%x\r\n%b\r\n0\r\n\r\n" % (length, body) if length else b"0\r\n\r\n"
        else:
            stream += request(target, "POST", body=body)
    visit = Visit(bounded(most))
    visit.say(stream[: data.draw(st.integers(0, len(stream)))], size)
    if data.draw(st.booleans()):
        visit.http.readConnectionLost()
    if data.draw(st.booleans()):
        visit.later(10)
        if not visit.hasEnded:
            visit.say(b"\0\r\n\r\n")
    assert 0 <= visit.factory.bodies.used <= most
    visit.end()
    assert visit.factory.bodies.used == 0
