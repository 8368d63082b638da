"""Tests for L{loopbackd.http.serving}."""

from __future__ import annotations

import tracemalloc
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from handlers import makeRoutes
from twisted.internet.interfaces import IHalfCloseableProtocol, IPushProducer
from twisted.internet.protocol import Protocol
from visiting import Visit, request
from zope.interface.verify import verifyObject

from loopbackd.http.factory import Bounds, HTTPFactory
from loopbackd.http.messages import Request, Response, SwitchProtocols
from loopbackd.http.routes import Routes


@pytest.fixture
def visit() -> Iterator[Visit]:
    """A visit that leaves nothing behind."""
    one = Visit(makeRoutes())
    yield one
    one.end()


def test_interfaces(visit: Visit) -> None:
    """It hears of a half-close, and can be told to wait."""
    assert verifyObject(IHalfCloseableProtocol, visit.http)
    assert verifyObject(IPushProducer, visit.http)


@pytest.mark.parametrize("size", [1, 2, 7, 10_000])
def test_pipelining(visit: Visit, size: int) -> None:
    """Requests are answered in order, however they are split, also behind one that takes long."""
    visit.say(
        request("/hello")
        + request("/echo", "POST", body=b"abc")
        + request("/later/1")
        + request("/echo", "PUT", [("Transfer-Encoding", "chunked")])
        + b"2;x=y\r\nde\r\n1\r\nf\r\n0\r\nTrail: er\r\n\r\n"
        + request("/nowhere")
        + request("/hello", "HEAD"),
        size,
    )
    assert len(visit.answers("GET", "POST")) == 2
    visit.later(1)
    found = visit.answers("GET", "POST", "GET", "PUT", "GET", "HEAD")
    assert [one.status for one in found] == [200, 200, 200, 200, 404, 200]
    assert [one.body for one in found[:4]] == [b"hello", b"abc", b"late", b"def"]
    assert found[3].get("X-Trail") == "er"
    assert found[5].get("Content-Length") == "5"
    assert visit.http.requests == 6
    assert not visit.hasEnded


def test_costlyPipelined() -> None:
    """Others have it sooner where each of them takes long."""
    routes = Routes("test")

    @routes.add("/costly")
    def costly(request: Request) -> Response:
        visit.clock.rightNow += 0.02
        return Response(200, b"done")

    visit = Visit(routes)
    visit.say(request("/costly") * 10)
    assert visit.heard.count(b"done") == 1
    for _ in range(5):
        visit.clock.advance(0)
    assert len(visit.answers(*["GET"] * 10)) == 10
    visit.end()


@pytest.mark.parametrize(
    ("version", "option", "goesOn"),
    [
        ("1.1", None, True),
        ("1.1", "close", False),
        ("1.1", "Keep-Alive, Close", False),
        ("1.1", "upgrade", True),
        ("1.0", None, False),
        ("1.0", "keep-alive", True),
        ("1.2", None, True),
    ],
)
def test_keepAlive(visit: Visit, version: str, option: str | None, goesOn: bool) -> None:
    """The connection goes on where version and Connection field agree to that, and says so."""
    field = f"Connection: {option}\r\n" if option else ""
    visit.say(f"GET /hello HTTP/{version}\r\nHost: x\r\n{field}\r\n".encode())
    (one,) = visit.answers("GET")
    wanted = (None if version != "1.0" else "keep-alive") if goesOn else "close"
    assert one.get("Connection") == wanted
    assert visit.hasEnded is not goesOn


@pytest.mark.parametrize("target", ["/echo", "/count"])
def test_continue(visit: Visit, target: str) -> None:
    """Who waits for 100 Continue gets it when somebody wants the body, once."""
    visit.say(request(target, "POST", [("Expect", "100-continue"), ("Content-Length", "3")]))
    assert visit.heard == b"HTTP/1.1 100 Continue\r\n\r\n"
    visit.say(b"a")
    visit.say(b"bc")
    assert visit.heard.count(b"100 Continue") == 1
    (one,) = visit.answers("POST")
    assert one.body in (b"abc", b"3")
    assert not visit.hasEnded


@pytest.mark.parametrize("target", ["/hello", "/nowhere", "/ignore"])
def test_noContinue(visit: Visit, target: str) -> None:
    """A body that nobody wants is not asked for; what comes next could be either, so it ends."""
    visit.say(request(target, "POST", [("Expect", "100-continue"), ("Content-Length", "3")]))
    (one,) = visit.answers("POST")
    assert one.get("Connection") == "close"
    assert visit.hasEnded


def test_expectsWhatIsNot(visit: Visit) -> None:
    """Any other expectation cannot be met (RFC 9110 section 10.1.1)."""
    visit.say(request("/hello", fields=[("Expect", "200-ok")]))
    assert [one.status for one in visit.answers("GET")] == [417]


def test_unwantedBody(visit: Visit) -> None:
    """A small body nobody asked for is read away, and the connection goes on."""
    visit.say(request("/hello", "GET", [("Content-Length", "10")]) + b"01234")
    assert len(visit.answers("GET")) == 1
    visit.say(b"56789" + request("/hello"))
    assert len(visit.answers("GET", "GET")) == 2
    assert not visit.hasEnded


def test_unwantedLongBody(visit: Visit) -> None:
    """A long one ends it: our side is closed, the rest is read away until the client is done."""
    visit.say(request("/nowhere", "POST", [("Content-Length", "10000000")]) + bytes(1000))
    assert [one.status for one in visit.answers("POST")] == [404]
    assert visit.transport.finished
    visit.say(bytes(5_000_000))
    assert not visit.transport.disconnecting
    visit.http.readConnectionLost()
    assert visit.transport.disconnecting


@pytest.mark.parametrize("fields", [[("Content-Length", "11")], [("Transfer-Encoding", "chunked")]])
def test_bodyTooLong(fields: list[tuple[str, str]]) -> None:
    """A body with more bytes than it may have is refused as soon as that is clear."""
    visit = Visit(HTTPFactory(makeRoutes(), bounds=Bounds(body=10)))
    visit.say(request("/echo", "POST", fields))
    visit.say(b"b\r\n01234567890\r\n")
    (one,) = visit.answers("POST")
    assert (one.status, one.get("Connection")) == (413, "close")
    assert b"10 bytes" in one.body
    visit.end()


def test_smallChunks(visit: Visit) -> None:
    """A body in a great many chunks takes no more room than its bytes."""
    count = 20_000
    visit.say(request("/echo", "POST", [("Transfer-Encoding", "chunked")]))
    tracemalloc.start()
    for _ in range(count // 100):
        visit.say(b"2\r\nab\r\n" * 100)
    used = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert used < 5 * 2 * count
    visit.say(b"0\r\n\r\n")
    (one,) = visit.answers("POST")
    assert one.body == b"ab" * count


def test_halfClose(visit: Visit) -> None:
    """A client that has finished sending still gets every answer, and then the end."""
    visit.say(request("/later/1") + request("/hello"))
    visit.http.readConnectionLost()
    assert not visit.hasEnded
    visit.later(1)
    found = visit.answers("GET", "GET")
    assert [one.body for one in found] == [b"late", b"hello"]
    assert visit.hasEnded


@pytest.mark.parametrize(
    "data",
    [
        b"GET /hello HT",
        request("/echo", "POST", [("Content-Length", "5")]) + b"abc",
        request("/echo", "POST", [("Transfer-Encoding", "chunked")]) + b"5\r\nabc",
        request("/count", "POST", [("Content-Length", "5")]) + b"abc",
    ],
)
def test_endsWithinARequest(visit: Visit, data: bytes) -> None:
    """A request that is not whole is not answered as if it were."""
    visit.say(data)
    visit.http.readConnectionLost()
    (one,) = visit.answers("POST")
    assert (one.status, one.get("Connection")) == (400, "close")
    assert visit.hasEnded


def test_endsBetweenRequests(visit: Visit) -> None:
    """That is how most connections end."""
    visit.say(request("/hello"))
    visit.http.readConnectionLost()
    assert visit.transport.disconnecting
    assert len(visit.answers("GET")) == 1


def test_pieces(visit: Visit) -> None:
    """A body in pieces is sent in chunks, or with its length where that is known."""
    visit.say(request("/pieces/3") + request("/pieces/3?length=6") + request("/pieces/3", "HEAD"))
    chunked, plain, head = visit.answers("GET", "GET", "HEAD")
    assert chunked.body == plain.body == b"0,1,2,"
    assert chunked.get("Transfer-Encoding") == head.get("Transfer-Encoding") == "chunked"
    assert plain.get("Content-Length") == "6"
    assert head.body == b""


def test_piecesForAnOldClient(visit: Visit) -> None:
    """HTTP/1.0 knows no chunks: the end of the connection is the end of the body."""
    visit.say(b"GET /pieces/3 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    (one,) = visit.answers("GET")
    assert one.body == b"0,1,2,"
    assert one.get("Transfer-Encoding") is None
    assert one.get("Connection") == "close"
    assert visit.hasEnded


def test_ticks(visit: Visit) -> None:
    """Pieces are sent as they come, with trailers behind."""
    visit.say(request("/ticks/2"))
    visit.later(1)
    assert visit.heard.endswith(b"\r\n\r\n2\r\n0,\r\n")
    visit.later(1)
    (one,) = visit.answers("GET")
    assert (one.body, one.trailers) == (b"0,1,", [("x-ticks", "2")])


def test_wrongLength(visit: Visit, loggedFailures: Any) -> None:
    """An answer that has not the length it said is our mistake; the client must not take it."""
    visit.say(request("/pieces/3?length=7"))
    assert visit.transport.aborted
    assert loggedFailures.flush(ValueError)


@pytest.mark.parametrize("code", [204, 304])
def test_withoutBody(visit: Visit, code: int) -> None:
    """Some answers end with their head."""
    visit.say(request(f"/status/{code}") + request("/hello"))
    first, second = visit.answers("GET", "GET")
    assert (first.status, first.body, first.get("Content-Length")) == (code, b"", None)
    assert second.body == b"hello"


@pytest.mark.parametrize("code", [0, 99, 1000])
def test_noStatus(visit: Visit, code: int, loggedFailures: Any) -> None:
    """What is no status is our mistake."""
    visit.say(request(f"/status/{code}"))
    assert [one.status for one in visit.answers("GET")] == [500]
    assert loggedFailures.flush(ValueError)


def test_interimAsFinal(visit: Visit) -> None:
    """An interim status with nothing after it ends the connection: no client can go on."""
    visit.say(request("/status/102"))
    assert visit.heard.startswith(b"HTTP/1.1 102 ")
    assert visit.hasEnded


def test_handlerFails(visit: Visit, loggedFailures: Any) -> None:
    """A handler's mistake is ours: 500, a line in the log, and the connection goes on."""
    visit.say(request("/fails") + request("/hello"))
    assert [one.status for one in visit.answers("GET", "GET")] == [500, 200]
    assert loggedFailures.flush(ZeroDivisionError)


def test_handlerRefusesLater(visit: Visit) -> None:
    """A coroutine can refuse as well."""
    visit.say(request("/failsLater"))
    visit.later(1)
    (one,) = visit.answers("GET")
    assert (one.status, one.text) == (418, "418 I'm a teapot: short and stout\n")


def test_noSplitting(visit: Visit, loggedFailures: Any) -> None:
    """A field with a line end would be two, and is none."""
    visit.say(request("/splits"))
    assert [one.status for one in visit.answers("GET")] == [500]
    assert b"Injected" not in visit.heard
    assert loggedFailures.flush(ValueError)


def test_interim(visit: Visit) -> None:
    """An interim answer comes before the answer, and an old client gets none."""
    visit.say(request("/early"))
    assert visit.heard.startswith(
        b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\nHTTP/1.1 200"
    )
    old = Visit(makeRoutes())
    old.say(b"GET /early HTTP/1.0\r\n\r\n")
    assert old.heard.startswith(b"HTTP/1.1 200")
    old.end()


def test_byHand(visit: Visit) -> None:
    """An answer by hand is what was written and nothing else, and then the end."""
    visit.say(request("/junk") + request("/hello"))
    visit.later(1)
    assert visit.heard == b"junkmore"
    assert visit.hasEnded


def test_resetByHand(visit: Visit) -> None:
    """A reset ends it, even where the script would go on for ever."""
    visit.say(request("/reset"))
    assert visit.transport.aborted


def test_clientLeaves(visit: Visit) -> None:
    """Whatever still works for a client that is gone stops."""
    stopped: list[str] = []
    routes = Routes("test")

    @routes.add("/")
    async def forEver(request: Request) -> Response:
        try:
            await request.on.sleep(3600)
        finally:
            stopped.append("handler")
        return Response()

    @routes.add("/body")
    def body(request: Request) -> Response:
        async def pieces() -> AsyncIterator[bytes]:
            try:
                yield b"a"
                await request.on.sleep(3600)
            finally:
                stopped.append("body")

        return Response(200, pieces())

    for target in ("/", "/body"):
        one = Visit(routes)
        one.say(request(target))
        one.end()
    assert stopped == ["handler", "body"]


class Upper(Protocol):
    """Says everything louder."""

    def dataReceived(self, data: bytes) -> None:
        """Say it."""
        assert self.transport is not None
        self.transport.write(data.upper())


def test_switch() -> None:
    """After 101 another protocol has the connection, and what the client has said already."""
    routes = Routes("test")

    @routes.add("/")
    def switch(request: Request) -> SwitchProtocols:
        return SwitchProtocols(Upper(), [("Upgrade", "upper"), ("Connection", "Upgrade")])

    visit = Visit(routes)
    visit.say(request("/", fields=[("Upgrade", "upper"), ("Connection", "Upgrade")]) + b"quiet")
    head, _, rest = visit.heard.partition(b"\r\n\r\n")
    assert head == b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: upper\r\nConnection: Upgrade"
    assert rest == b"QUIET"
    assert not visit.hasEnded
    assert visit.clock.getDelayedCalls() == []
