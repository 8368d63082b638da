"""Requests passed on to a real server, and its answers passed back."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import pytest_twisted
from sockets import until
from twisted.internet import reactor as realReactor
from twisted.internet.endpoints import serverFromString
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater
from visiting import Answered, answers, request

from loopbackd.http.fields import Fields
from loopbackd.service import Loopback
from loopbackd.settings import Settings, convert
from loopbackd.stubs.forwarding import endToEnd
from loopbackd.stubs.targets import parseTarget
from loopbackd.testing import addressOf, connect, converse, serving, servingAll
from stubs.stubbing import settings as httpSettings

reactor: Any = realReactor
HERE = "tcp:0:interface=127.0.0.1"


@asynccontextmanager
async def front(toml: str) -> AsyncIterator[Loopback]:
    """The test service with these settings."""
    async with serving(reactor, "http", http=httpSettings(toml)) as loopback:
        yield loopback


@asynccontextmanager
async def both(toml: str = "fallback = 'TARGET'") -> AsyncIterator[tuple[Loopback, Loopback]]:
    """A test service whose target is another one."""
    async with serving(reactor, "http", http=httpSettings("journal = 100")) as real:
        target = f"http://127.0.0.1:{addressOf(real).port}"
        async with front(toml.replace("TARGET", target)) as loopback:
            yield loopback, real


async def ask(loopback: Loopback, data: bytes, method: str = "GET") -> Answered:
    """One request, and its answer."""
    heard = await converse(reactor, loopback, data)
    (answered,) = answers(heard, [method], True)
    return answered


class Canned(Protocol):
    """A target that says something prepared once it was asked, and closes."""

    says = b""
    closes = True

    def connectionMade(self) -> None:
        """Another request."""
        self.factory.open.append(self)  # type: ignore[attr-defined,union-attr]

    def dataReceived(self, data: bytes) -> None:
        """The request, which is small."""
        self.factory.heard += data  # type: ignore[attr-defined,union-attr]
        if b"\r\n\r\n" in data:
            self.transport.write(self.factory.says)  # type: ignore[attr-defined,union-attr]
            if self.factory.closes:  # type: ignore[attr-defined,union-attr]
                self.transport.loseConnection()  # type: ignore[union-attr]

    def connectionLost(self, reason: Any = None) -> None:
        """It has gone."""
        self.factory.open.remove(self)  # type: ignore[attr-defined,union-attr]


@asynccontextmanager
async def canned(says: bytes, closes: bool = True) -> AsyncIterator[tuple[Any, str]]:
    """Such a target, and its address."""
    factory: Any = Factory.forProtocol(Canned)
    factory.says, factory.closes, factory.heard, factory.open = says, closes, b"", []
    port = await serverFromString(reactor, HERE).listen(factory)
    try:
        yield factory, f"http://127.0.0.1:{port.getHost().port}"
    finally:
        await port.stopListening()
        while factory.open:
            factory.open[0].transport.abortConnection()
            await deferLater(reactor, 0.01, lambda: None)


@pytest_twisted.ensureDeferred
async def test_itIsPassedOnAndBack() -> None:
    """Method, path, query, fields and body one way; status, fields and body the other."""
    async with both() as (loopback, _):
        sent = [("X-Own", "1"), ("X-Own", "2"), ("Content-Type", "text/plain")]
        data = request("/put?a=%20b&c", "PUT", sent, b"hello")
        it = await ask(loopback, data, "PUT")
        assert it.status == 200
        assert it.json["data"] == "hello"
        assert it.json["args"] == {"a": " b", "c": ""}
        assert it.json["headers"]["X-Own"] == "1,2"
        assert (await ask(loopback, request("/status/418"))).status == 418
        head = await ask(loopback, request("/get", "HEAD"), "HEAD")
        length = len((await ask(loopback, request("/get"))).body)
        assert (head.status, head.body, head.get("Content-Length")) == (200, b"", str(length))
        assert head.get("Transfer-Encoding") is None
        assert (await ask(loopback, request("/status/304"))).status == 304


@pytest_twisted.ensureDeferred
async def test_whoSentItIsSaid() -> None:
    """X-Forwarded-For goes on, Host is the target's, Via names us, and nothing is hop by hop."""
    says = b"HTTP/1.1 200 OK\r\nKeep-Alive: timeout=5\r\nServer: T\r\nDate: D\r\n\r\nx"
    async with canned(says) as (target, address), front(f"fallback = '{address}/base/'") as it:
        fields = [
            ("X-Forwarded-For", "10.0.0.1"),
            ("Connection", "X-Secret"),
            ("X-Secret", "1"),
            ("TE", "trailers"),
            ("Upgrade", "h2c"),
        ]
        answered = await ask(it, request("/a?b", fields=fields))
        line, *others = target.heard.decode().split("\r\n")
        assert line == "GET /base/a?b HTTP/1.1"
        fields_ = dict(one.split(": ", 1) for one in others if one)
        assert fields_["X-Forwarded-For"] == "10.0.0.1, 127.0.0.1"
        assert fields_["X-Forwarded-Host"] == "127.0.0.1:62893"
        assert fields_["X-Forwarded-Proto"] == "http"
        assert fields_["Host"] == address.removeprefix("http://")
        assert fields_["Via"].startswith("1.1 loopbackd-")
        assert not {"X-Secret", "Te", "TE", "Upgrade"} & fields_.keys()
        assert (answered.body, answered.get("Server"), answered.get("Date")) == (b"x", "T", "D")
        assert answered.get("Keep-Alive") is None
        assert (answered.get("Via") or "").startswith("1.1 loopbackd-")


@pytest_twisted.ensureDeferred
async def test_bigBodiesBothWays() -> None:
    """As they come, whatever is written in what pieces, and byte for byte."""
    body = bytes(range(256)) * 4096
    async with both("max_body = 1000\nfallback = 'TARGET'") as (loopback, _):
        it = await ask(loopback, request("/post", "POST", [("Content-Type", "a/b")], body), "POST")
        assert b64decode(it.json["data"].partition("base64,")[2]) == body
        pieces = b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in (body[:100_000], body[100_000:]))
        chunked = (
            b"POST /post HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
            + pieces
            + b"0\r\n\r\n"
        )
        assert (await ask(loopback, chunked, "POST")).json["data"] == it.json["data"]


@pytest_twisted.ensureDeferred
async def test_noAnswer(logged: Callable[[str], Any]) -> None:
    """Each reason has its status, its words, and a line in the log."""
    lines = logged("loopbackd.stubs.forwarding")
    port = await serverFromString(reactor, HERE).listen(Factory())
    free = port.getHost().port
    await port.stopListening()
    async with front(f"fallback = 'http://127.0.0.1:{free}'") as it:
        answered = await ask(it, request("/"))
        assert answered.status == 502
        assert (
            f"http://127.0.0.1:{free} took no connection (Connection was refused" in answered.text
        )
    async with canned(b"") as (_, address), front(f"fallback = '{address}'") as it:
        answered = await ask(it, request("/"))
        assert (answered.status, "gave no answer" in answered.text) == (502, True)
    async with canned(b"junk\r\n\r\n") as (_, address), front(f"fallback = '{address}'") as it:
        assert (await ask(it, request("/"))).status == 502
    silent = canned(b"", closes=False)
    async with silent as (_, address), front(f"fallback = '{address}'\ntarget_timeout = 0.2") as it:
        answered = await ask(it, request("/"))
        assert (answered.status, "did not answer in 0.2 s" in answered.text) == (504, True)
    assert len(lines) == 4


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("closes", [True, False])
async def test_halfAnAnswer(closes: bool, logged: Callable[[str], Any]) -> None:
    """Where the target breaks off, or falls silent, the client can tell that it was not all."""
    lines = logged("loopbackd.stubs.forwarding")
    says = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"
    async with (
        canned(says, closes) as (_, address),
        front(f"fallback = '{address}'\ntarget_timeout = 0.3") as it,
    ):
        client = await connect(reactor, it)
        client.transport.write(request("/"))  # type: ignore[union-attr]
        with pytest.raises(Exception, match="Connection to the other side was lost"):
            await client.finished
        assert client.heard.endswith(b"half")
    (line,) = lines
    assert "broke off its answer" in line


@pytest_twisted.ensureDeferred
async def test_whoLeavesIsNotWaitedFor() -> None:
    """The target's connection ends with the client's."""
    says = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"
    for said in (b"", says):
        async with (
            canned(said, closes=False) as (target, address),
            front(f"fallback = '{address}'") as it,
        ):
            client = await connect(reactor, it)
            client.transport.write(request("/"))  # type: ignore[union-attr]
            if said:
                await client.hears(100)
            await until(lambda: target.open and target.heard)
            client.transport.abortConnection()  # type: ignore[union-attr]
            await until(lambda: not target.open)


@pytest_twisted.ensureDeferred
async def test_aSlowClientSlowsTheTarget() -> None:
    """What waits here is bounded, however much the target has; and nothing is lost."""
    size = 20 << 20
    says = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + bytes(size)
    async with (
        canned(says, closes=False) as (_, address),
        front(f"fallback = '{address}'\ntarget_timeout = 0.3") as it,
    ):
        client = await connect(reactor, it)
        transport: Any = client.transport
        transport.pauseProducing()
        transport.write(request("/"))
        # Longer than the target's time: it is the client who is slow.
        await deferLater(reactor, 0.8, lambda: None)
        (connection,) = it.connections
        assert connection.bytesSent < size - (4 << 20)
        transport.resumeProducing()
        heard = await client.hears(size)
        assert len(heard.partition(b"\r\n\r\n")[2]) == size
        transport.abortConnection()


@pytest_twisted.ensureDeferred
async def test_anAnswerBeforeTheEndOfTheBody() -> None:
    """Is passed back at once; that the target wants no more of the body is nobody's failure."""
    says = b"HTTP/1.1 413 No\r\nContent-Length: 2\r\n\r\nno"
    async with canned(says) as (_, address), front(f"fallback = '{address}'") as it:
        client = await connect(reactor, it)
        head = b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n"
        client.transport.write(head + bytes(1000))  # type: ignore[union-attr]
        await client.hears(100)
        (answered,) = answers(client.heard, ["PUT"], False)
        assert (answered.status, answered.body) == (413, b"no")
        client.transport.abortConnection()  # type: ignore[union-attr]


@pytest_twisted.ensureDeferred
async def test_aClientThatDoesNotEndItsBody() -> None:
    """Is told so; the target's connection ends."""
    async with canned(b"", closes=False) as (target, address):
        toml = f"fallback = '{address}'\nbody_timeout = 1.0"
        async with front(toml) as it:
            data = b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nabc"
            answered = await ask(it, data, "PUT")
            assert answered.status == 400
            await until(lambda: not target.open)


@pytest_twisted.ensureDeferred
async def test_aStubThatPassesOn() -> None:
    """Later, and with some of the answer changed; the rest is nobody's but the test service's."""
    toml = """
    journal = 10
    [[stub]]
    name = "slow"
    path = "/anything/{rest...}"
    body = { contains = "x" }
    [stub.answer]
    target = "TARGET"
    delay = 0.05
    status = 203
    headers = { Content-Type = "text/plain", X-New = "1" }
    """
    async with both(toml) as (loopback, _):
        data = request("/anything/a", "POST", [], b"xyz")
        it = await ask(loopback, data, "POST")
        assert (it.status, it.get("Content-Type"), it.get("X-New")) == (203, "text/plain", "1")
        assert it.json["data"] == "xyz"
        assert it.get("Access-Control-Allow-Origin") is not None
        local = await ask(loopback, request("/anything/a", "POST", [], b"abc"), "POST")
        assert local.status == 200


@pytest_twisted.ensureDeferred
async def test_aTargetThatLeadsBack() -> None:
    """Ends at the second visit, not when all descriptors are used up."""
    port = await serverFromString(reactor, HERE).listen(Factory())
    free = port.getHost().port
    await port.stopListening()
    asked = {
        "service": [
            {
                "name": "test",
                "endpoint": f"tcp:{free}:interface=127.0.0.1",
                "protocol": "http",
                "twin": False,
                "http": {"fallback": f"http://localhost:{free}"},
            }
        ],
        "drain": 0,
    }
    settings: Settings = convert(asked, "it")
    async with servingAll(reactor, settings) as loopback:
        it = await ask(loopback, request("/"))
        assert it.status == 508
        assert "leads back here" in it.text


def test_whatIsEndToEnd() -> None:
    """Fields about one connection, and those it names, are left out; the rest keeps its order."""
    fields = Fields(
        [(b"B", b"1"), (b"connection", b"close, x-A"), (b"X-a", b"2"), (b"TE", b"3"), (b"b", b"4")]
    )
    assert endToEnd(fields) == [(b"B", b"1"), (b"b", b"4")]


def test_addresses() -> None:
    """Where a path and a query go."""
    target = parseTarget("http://[::1]:3000/a/", "target", False)
    assert target.url(b"/b?c=d") == b"http://[::1]:3000/a/b?c=d"
    assert str(parseTarget("https://example.com", "target", True)) == "https://example.com"


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(
    ("head", "said"),
    [
        (b"HTTP/1.1 99 Odd\r\n", "its status is 99"),
        (b"HTTP/1.1 200 O\x00K\r\n", "its reason is"),
        (b"HTTP/1.1 200 O\rK\r\n", "its reason is"),
        (b"HTTP/1.1 200 OK\r\nX: a\x00b\r\n", "its field X is"),
    ],
)
async def test_what_cannot_be_passed_on(head: bytes, said: str) -> None:
    """A head that nobody may send is the target's mistake, not ours."""
    says = head + b"Content-Length: 1\r\n\r\nx"
    async with canned(says, closes=False) as (_, address), front(f"fallback = '{address}'") as it:
        answered = await ask(it, request("/"))
    assert answered.status == 502
    assert said in answered.text
