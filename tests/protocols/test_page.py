"""Tests for L{loopbackd.protocols.page}."""

from __future__ import annotations

import http.client
import socket
from typing import Any

import pytest
import pytest_twisted
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet import reactor as realReactor
from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.internet.threads import deferToThread
from twisted.python.failure import Failure
from zope.interface.verify import verifyObject

from loopbackd.protocols.oneshot import LINGER
from loopbackd.protocols.page import HEAD_LIMIT, HEAD_SECONDS, PageFactory
from loopbackd.testing import addressOf, converse, serving

reactor: Any = realReactor

OURS = IPv4Address("TCP", "127.0.0.1", 62893)
REQUEST = b"GET /any HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Transport(StringTransport):
    """A transport in memory that can be half-closed."""

    finished = False

    def loseWriteConnection(self) -> None:
        """Our side is closed."""
        self.finished = True


class Visit:
    """One connection to a page, in memory."""

    def __init__(self, host: Any = OURS) -> None:
        self.clock = Clock()
        factory = PageFactory()
        factory.clock = self.clock
        self.page: Any = factory.buildProtocol(None)
        self.transport = Transport(hostAddress=host)
        self.page.makeConnection(self.transport)

    def say(self, data: bytes, size: int = 1 << 30) -> None:
        """Send this, in pieces of that size."""
        for at in range(0, len(data), size):
            if not self.transport.disconnecting:
                self.page.dataReceived(data[at : at + size])

    @property
    def status(self) -> int:
        """The status of the one answer; 0 while there is none."""
        value = self.transport.value()
        assert value.count(b"HTTP/1.1 ") <= 1
        return int(value.split(b" ")[1]) if value else 0

    @property
    def body(self) -> bytes:
        """The body of the answer, whose length must be the one it says."""
        head, _, body = self.transport.value().partition(b"\r\n\r\n")
        headers = dict(line.split(b": ") for line in head.split(b"\r\n")[1:])
        assert headers[b"Connection"] == b"close"
        if body:
            assert int(headers[b"Content-Length"]) == len(body)
        return body

    def end(self) -> None:
        """The connection is gone, and no delayed call is left."""
        self.page.connectionLost(Failure(ConnectionDone()))
        assert self.clock.getDelayedCalls() == []


def test_get() -> None:
    """The page names the address, in a whole HTTP/1.1 answer; then our side is closed."""
    visit = Visit()
    assert verifyObject(IHalfCloseableProtocol, visit.page)
    visit.say(REQUEST)
    assert visit.status == 200
    assert visit.body.startswith(b"Hello from 127.0.0.1:62893!\n")
    assert b"nc 127.0.0.1 62893" in visit.body
    assert visit.transport.finished
    assert not visit.transport.disconnecting
    visit.page.readConnectionLost()
    assert visit.transport.disconnecting
    visit.end()


def test_onAUnixSocket() -> None:
    """The command it shows is one that works there."""
    visit = Visit(UNIXAddress("/run/x.sock"))
    visit.say(REQUEST)
    assert b"nc -U /run/x.sock\n" in visit.body
    visit.end()


@pytest.mark.parametrize(
    "request_",
    [
        b"GET / HTTP/1.0\r\n\r\n",
        b"GET / HTTP/1.0\n\n",
        b"GET / HTTP/1.1\nHost: x\n\n",
        b"GET / HTTP/1.1\r\nHost: x\n\r\n",
        b"\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
        b"BREW /pot HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: \xff\x00\r\n\r\n",
    ],
)
@pytest.mark.parametrize("size", [1, 3, 10_000])
def test_heads(request_: bytes, size: int) -> None:
    """Any method, version and line ending, in any pieces, after any empty lines."""
    visit = Visit()
    visit.say(request_[:-1], size)
    assert visit.status == 0
    visit.say(request_[-1:])
    assert visit.status == 200
    assert visit.body
    visit.end()


@pytest.mark.parametrize("before", [b"", b"\r\n", b"\r\n\r\n"])
@pytest.mark.parametrize("size", [1, 2, 10_000])
def test_head(before: bytes, size: int) -> None:
    """HEAD gets the head of what GET gets, with its length, and no body."""
    asked, got = Visit(), Visit()
    asked.say(before + REQUEST.replace(b"GET", b"HEAD"), size)
    got.say(REQUEST)
    assert asked.status == 200
    head, end, body = got.transport.value().partition(b"\r\n\r\n")
    assert body
    assert asked.transport.value() == head + end
    asked.end()
    got.end()


@pytest.mark.parametrize("size", [1000, 60_000])
def test_bodyIsThrownAway(size: int) -> None:
    """What follows the head is read away and gets no second answer, whatever it looks like."""
    visit = Visit()
    visit.say(b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello" + REQUEST * 1000, size)
    assert visit.status == 200
    assert not visit.transport.disconnecting
    visit.end()


@pytest.mark.parametrize("size", [1, 16_000, HEAD_LIMIT, HEAD_LIMIT + 1, 1 << 20])
def test_headTooLarge(size: int) -> None:
    """A head past the limit is told so, however it came, even if it ends right behind it."""
    fits, exceeds = Visit(), Visit()
    start = b"GET / HTTP/1.1\r\nX: "
    filler = b"x" * (HEAD_LIMIT - len(start) - 4)
    fits.say(start + filler + b"\r\n\r\n", size)
    assert fits.status == 200
    exceeds.say(start + filler + b"x\r\n\r\n", size)
    assert exceeds.status == 431
    assert b"16384" in exceeds.body
    fits.end()
    exceeds.end()


def test_headTooLate() -> None:
    """A head that is not whole in time is told so, however steadily it drips."""
    visit = Visit()
    for byte in REQUEST[:9]:
        visit.clock.advance(HEAD_SECONDS / 10)
        visit.say(bytes([byte]))
    assert visit.status == 0
    visit.clock.advance(HEAD_SECONDS / 10 + 0.1)
    assert visit.status == 408
    assert visit.body
    visit.say(REQUEST[9:])
    assert visit.status == 408
    visit.end()


def test_stays() -> None:
    """A client that does not close after its answer is cut off."""
    visit = Visit()
    visit.say(REQUEST)
    visit.clock.advance(LINGER)
    assert visit.transport.disconnected
    visit.end()


@pytest.mark.parametrize("begun", [b"", b"GET / HT", REQUEST[:-1]])
def test_endInsideTheHead(begun: bytes) -> None:
    """There is nothing to answer: only the end comes back."""
    visit = Visit()
    visit.say(begun)
    visit.page.readConnectionLost()
    assert visit.transport.disconnecting
    assert visit.transport.value() == b""
    visit.end()


@given(
    st.lists(
        st.one_of(
            st.binary(min_size=1, max_size=40),
            st.sampled_from([REQUEST, b"\r\n", b"\n", b"HEAD / ", b"x" * 9000, b"\r\n\r\n"]),
            st.floats(0, 5),
        )
    ),
    st.booleans(),
)
def test_neverMoreThanOneAnswer(events: list[Any], ends: bool) -> None:
    """Whatever comes, one answer at most, and no timer stays."""
    visit = Visit()
    for event in events:
        if visit.transport.disconnecting:
            break
        if isinstance(event, float):
            visit.clock.advance(event)
        else:
            visit.say(event)
    if ends:
        visit.page.readConnectionLost()
    assert visit.status in (0, 200, 408, 431)
    why = ConnectionDone() if ends else ConnectionLost()
    visit.page.connectionLost(Failure(why))
    assert visit.clock.getDelayedCalls() == []


@pytest_twisted.ensureDeferred
async def test_aRealClientsBigBody() -> None:
    """A client that sends megabytes before it reads gets its answer, and no reset."""
    async with serving(reactor, "page") as loopback:
        host: Any = addressOf(loopback)

        def post() -> tuple[int, bytes]:
            client = http.client.HTTPConnection(host.host, host.port, timeout=10)
            try:
                client.request("POST", "/", body=bytes(20_000_000))
                answer = client.getresponse()
                return answer.status, answer.read()
            finally:
                client.close()

        status, body = await deferToThread(post)
        assert (status, body[:5]) == (200, b"Hello")


@pytest_twisted.ensureDeferred
async def test_halfClosingClient() -> None:
    """A request and the end at once: the whole answer, and the end."""
    async with serving(reactor, "page") as loopback:
        heard = await converse(reactor, loopback, REQUEST)
        assert heard.startswith(b"HTTP/1.1 200 OK\r\n")
        assert heard.endswith(b"\n")


@pytest_twisted.ensureDeferred
async def test_clientThatReadsToTheEnd() -> None:
    """Our end comes at once, not when the client's does."""
    async with serving(reactor, "page") as loopback:
        host: Any = addressOf(loopback)

        def get() -> bytes:
            with socket.create_connection((host.host, host.port), 10) as client:
                client.sendall(REQUEST)
                client.settimeout(LINGER / 2)
                parts = []
                while part := client.recv(1000):
                    parts.append(part)
                return b"".join(parts)

        assert (await deferToThread(get)).startswith(b"HTTP/1.1 200 OK\r\n")
