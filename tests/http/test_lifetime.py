"""Tests for L{loopbackd.http.lifetime}: how long a client may take, and for what."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from handlers import makeRoutes
from visiting import Visit, request

from loopbackd.http.factory import HTTPFactory
from loopbackd.http.patience import Patience


@pytest.fixture
def visit() -> Iterator[Visit]:
    """A visit to somebody with little patience."""
    patience = Patience(head=3, body=4, sending=5, idle=6, rate=100)
    one = Visit(HTTPFactory(makeRoutes(), patience=patience))
    yield one
    one.end()


def test_noRequest(visit: Visit) -> None:
    """Who asks nothing is not answered, only left."""
    visit.later(5.9)
    assert not visit.hasEnded
    visit.later(0.2)
    assert visit.hasEnded
    assert visit.heard == b""


def test_betweenRequests(visit: Visit) -> None:
    """The time begins anew with each answer."""
    visit.later(5)
    visit.say(request("/hello"))
    visit.later(5)
    visit.say(request("/hello"))
    visit.later(5.9)
    assert not visit.hasEnded
    visit.later(0.2)
    assert visit.hasEnded


def test_head(visit: Visit) -> None:
    """A head has its time from its first byte; more bytes buy no more of it."""
    for byte in request("/hello")[:29]:
        visit.say(bytes([byte]))
        visit.later(0.1)
    assert not visit.hasEnded
    visit.later(0.2)
    assert [one.status for one in visit.answers("GET")] == [408]
    assert visit.hasEnded


@pytest.mark.parametrize("target", ["/echo", "/count"])
def test_body(visit: Visit, target: str) -> None:
    """So has a body."""
    visit.say(request(target, "POST", [("Content-Length", "100")]))
    visit.later(3.9)
    assert not visit.hasEnded
    visit.later(1.1)
    assert [one.status for one in visit.answers("POST")] == [408]
    assert visit.hasEnded


def test_unwantedBody(visit: Visit) -> None:
    """A body that is read away has no more time than one that is wanted."""
    visit.say(request("/hello", "GET", [("Content-Length", "100")]))
    visit.later(5.1)
    assert len(visit.answers("GET")) == 1
    assert visit.hasEnded


def test_answerNotTaken(visit: Visit) -> None:
    """Who does not take the answer is reset, and its handler waits until then."""
    visit.say(request("/pieces/1000000"))
    visit.http.pauseProducing()
    before = len(visit.heard)
    visit.later(3)
    assert not visit.transport.aborted
    assert len(visit.heard) <= before + 64 * 20
    visit.later(3)
    assert visit.transport.aborted


def test_answerTaken(visit: Visit) -> None:
    """Who takes it in the end gets all of it."""
    visit.say(request("/pieces/1000"))
    visit.http.pauseProducing()
    visit.later(4)
    visit.http.resumeProducing()
    visit.later(5)
    (one,) = visit.answers("GET")
    assert one.body == b"".join(b"%d," % i for i in range(1000))


def test_lingeringIsBounded(visit: Visit) -> None:
    """A client that goes on sending is cut off after a while."""
    visit.say(request("/nowhere", "POST", [("Content-Length", "10000000")]))
    visit.later(1.9)
    assert not visit.transport.aborted
    visit.later(2)
    assert visit.transport.aborted


@pytest.fixture
def strict() -> Iterator[Visit]:
    """A visit to somebody with little patience for the first byte and for all of a request."""
    patience = Patience(first=2, head=3, body=4, request=5, idle=6, rate=100)
    one = Visit(HTTPFactory(makeRoutes(), patience=patience))
    yield one
    one.end()


def test_firstByte(strict: Visit) -> None:
    """It has a time of its own, which is that between requests no more once it came."""
    strict.later(1.9)
    strict.say(request("/hello"))
    strict.later(5.9)
    assert not strict.hasEnded
    strict.later(0.2)
    assert strict.hasEnded
    strict.connect()
    strict.later(1.9)
    assert not strict.hasEnded
    strict.later(0.2)
    assert strict.hasEnded


def test_firstByteOfASlowHead(strict: Visit) -> None:
    """Its first byte is enough, and then the time of a head counts."""
    strict.later(1.9)
    strict.say(b"GET ")
    strict.later(2.9)
    assert not strict.hasEnded
    strict.later(0.2)
    assert [one.status for one in strict.answers("GET")] == [408]


@pytest.mark.parametrize("target", ["/echo", "/count"])
def test_wholeRequest(strict: Visit, target: str) -> None:
    """Bytes that come fast enough buy no time beyond that of the whole, which the head began."""
    whole = request(target, "POST", [("Content-Length", "100000")])
    strict.say(whole[:9])
    strict.later(2)
    strict.say(whole[9:])
    for _ in range(29):
        strict.say(b"x" * 100)
        strict.later(0.1)
    assert not strict.hasEnded
    strict.later(1.1)
    assert [one.status for one in strict.answers("POST")] == [408]
    assert strict.hasEnded


def test_wholeRequestWhileItIsAnswered(strict: Visit) -> None:
    """What we take ourselves does not count."""
    strict.say(request("/slowEcho", "POST", body=b"x"))
    strict.later(7)
    assert [one.status for one in strict.answers("POST")] == [200]


@pytest.mark.parametrize(
    ("asks", "status"), [(b"nonsense\r\n\r\n", 400), (b"GET / HTTP/1.1\r\nX", 408)]
)
def test_answersThatNoSiteSees(asks: bytes, status: int) -> None:
    """They have what all answers of a factory have."""
    patience = Patience(head=3)
    site = HTTPFactory(makeRoutes(), patience=patience, always=[("X-Mine", "yes")])
    visit = Visit(site)
    visit.say(asks)
    visit.later(4)
    (one,) = visit.answers("GET")
    assert (one.status, one.get("X-Mine")) == (status, "yes")
    visit.end()
