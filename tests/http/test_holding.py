"""Tests for L{loopbackd.http.holding}."""

from __future__ import annotations

import socket
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import pytest_twisted
from hypothesis import given
from hypothesis import strategies as st
from sockets import readAll
from test_serving import makeRoutes
from tls.ends import Client, clientContext
from twisted.internet import reactor as realReactor
from twisted.internet.task import Clock
from twisted.internet.threads import deferToThread
from visiting import Visit, request
from zope.interface import implementer

from loopbackd.connection import Connection
from loopbackd.connections import Connections
from loopbackd.http.holding import MOST_HELD, Holding
from loopbackd.iloopbackd import IConnectionWatcher
from loopbackd.testing import addressOf, serving


class Batch(Clock):
    """A reactor that is in the middle of a batch until it is told to end it."""

    servesMany = True

    def __init__(self) -> None:
        super().__init__()
        self.later: list[Callable[[], object]] = []

    def soon(self, call: Callable[[], object]) -> None:
        """Call at the end of the batch."""
        self.later.append(call)

    def end(self) -> None:
        """The batch is over."""
        later, self.later = self.later, []
        for call in later:
            call()


class Holder:
    """Counts how often it let go."""

    times = 0

    def letGo(self) -> None:
        """Once more."""
        self.times += 1


def inBatch() -> Visit:
    """A visit that is served beside others."""
    return Visit(makeRoutes(), Batch())


def test_noBatches() -> None:
    """A reactor that knows no batches has nobody hold anything."""
    assert not Holding(Clock()).isWorthIt


def test_alone() -> None:
    """Who is served alone is answered at once."""
    reactor = Batch()
    assert Holding(reactor).isWorthIt
    reactor.servesMany = False
    assert not Holding(reactor).isWorthIt


def test_endOfBatch() -> None:
    """All let go at the end of the batch, once, and again in the next one."""
    reactor = Batch()
    holding, holders = Holding(reactor), [Holder(), Holder()]
    for times in (1, 2):
        for holder in holders:
            holding.add(holder)
        assert [holder.times for holder in holders] == [times - 1] * 2
        reactor.end()
        assert [holder.times for holder in holders] == [times] * 2


def test_many() -> None:
    """A batch of many does not let the first wait for the last."""
    reactor = Batch()
    holding, holders = Holding(reactor), [Holder() for _ in range(40)]
    for holder in holders:
        holding.add(holder)
    assert [holder.times for holder in holders] == [1] * 32 + [0] * 8
    reactor.end()
    assert [holder.times for holder in holders] == [1] * 40


def test_held() -> None:
    """Answers wait for the end of the batch and go as one."""
    visit = inBatch()
    visit.say(request("/hello"))
    visit.say(request("/hello"))
    assert visit.heard == b""
    visit.clock.end()
    assert len(visit.answers("GET", "GET")) == 2
    visit.end()


def test_notTooMuch() -> None:
    """What is long goes at once, behind what was held."""
    visit = inBatch()
    visit.say(request("/hello"))
    visit.say(request("/echo", "POST", body=bytes(MOST_HELD)))
    first, second = visit.answers("GET", "POST")
    assert (first.body, len(second.body)) == (b"hello", MOST_HELD)
    visit.end()


def test_lostMeanwhile() -> None:
    """What was held for a client that is gone is for nobody."""
    visit = inBatch()
    visit.say(request("/hello"))
    visit.end()
    visit.clock.end()
    assert visit.heard == b""


CHUNKED = [("Transfer-Encoding", "chunked")]
PIECES = [
    request("/hello"),
    request("/hello", "HEAD"),
    request("/echo", "POST", body=b"abc"),
    request("/echo", "POST", CHUNKED) + b"2\r\nde\r\n0\r\n\r\n",
    request("/pieces/3"),
    request("/later/0"),
    request("/early"),
    request("/nowhere"),
    request("/status/304"),
]
LAST = [
    b"",
    request("/junk"),
    request("/hello", fields=[("Connection", "close")]),
    request("/echo", "POST", [("Expect", "100-continue"), ("Content-Length", "1")]) + b"x",
    b"no request\r\n\r\n",
    request("/nowhere", "POST", [("Content-Length", "10000000")]),
]


@given(
    st.lists(st.sampled_from(PIECES), max_size=8),
    st.sampled_from(LAST),
    st.integers(1, 400),
    st.data(),
)
def test_sameBytes(asked: list[bytes], last: bytes, size: int, data: Any) -> None:
    """Whatever is asked, in any pieces and batches: what is said is the same, in the same order."""
    stream = b"".join(asked) + last
    plain, held = Visit(makeRoutes()), inBatch()
    for at in range(0, len(stream), size):
        piece = stream[at : at + size]
        plain.say(piece)
        held.say(piece)
        if data.draw(st.booleans()):
            held.clock.end()
    for visit in (plain, held):
        for _ in range(20):
            visit.later(0.2)
            if visit is held:
                held.clock.end()
    assert held.heard == plain.heard
    assert held.hasEnded == plain.hasEnded
    plain.end()
    held.end()


@pytest.mark.parametrize("closes", [True, False])
def test_endsAfterwards(closes: bool) -> None:
    """What is held goes before the connection ends."""
    visit = inBatch()
    visit.say(request("/hello") + request("/hello", fields=[("Connection", "close")] * closes))
    assert visit.hasEnded is closes
    visit.clock.end()
    assert visit.heard.count(b"hello") == 2
    visit.end()


@implementer(IConnectionWatcher)
class Ender:
    """Hangs up all connections when another one comes."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def connectionOpened(self, connection: Connection) -> None:
        """There is another one."""
        for other in list(self._connections):
            if other is not connection:
                other.hangUp()

    def connectionChanged(self, connection: Connection, what: str) -> None:
        """Nothing comes of it."""

    def connectionClosed(self, connection: Connection) -> None:
        """Nothing comes of it."""


@pytest.mark.parametrize("encrypted", [False, True])
@pytest_twisted.ensureDeferred
async def test_hungUpInTheSameBatch(encrypted: bool) -> None:
    """What is held goes out, and then TLS's goodbye, whoever has the connection end meanwhile."""
    async with serving(realReactor, "auto") as loopback:
        address: Any = addressOf(loopback)
        client = Client(address.port, clientContext())
        hear = client.hear if encrypted else partial(readAll, client.sock)
        say = client.say if encrypted else client.sock.sendall
        try:
            if encrypted:
                await deferToThread(client.shake)
            # So that its protocol is HTTP already.
            await deferToThread(say, request("/status/204"))
            if encrypted:
                await deferToThread(client.hear, 10)
            else:
                await deferToThread(client.sock.recv, 4096)
            loopback.connections.watch(Ender(loopback.connections))
            # Here the reactor stands still: both are there when it looks.
            say(request("/get"))
            with socket.create_connection((address.host, address.port)):
                heard = await deferToThread(hear)
        finally:
            client.close()
        assert b"HTTP/1.1 200 OK" in heard
        assert heard.endswith(b"}\n")
        assert client.ended is encrypted
