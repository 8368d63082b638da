"""Tests for L{loopbackd.protocols.auto}."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from typing import Any

import pytest
import pytest_twisted
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet import reactor as realReactor
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from zope.interface import implementer
from zope.interface.verify import verifyObject

from loopbackd.connections import Connections
from loopbackd.iloopbackd import IServedFactory, Surroundings
from loopbackd.protocols.auto import AutoFactory
from loopbackd.protocols.http2 import frame
from loopbackd.settings import Route, Routes
from loopbackd.testing import addressOf, connect, converse, serving

reactor: Any = realReactor

# A real ClientHello has more, but this is where it ends for whoever looks at first bytes.
HELLO = b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03" + bytes(range(100))
REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9)
V1 = b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\n"
SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
V2 = (
    SIGNATURE
    + b"\x21\x11\x00\x0c"
    + bytes([192, 0, 2, 7, 198, 51, 100, 1])
    + struct.pack("!HH", 4711, 443)
)
KINDS = {"tls": HELLO, "http": REQUEST, "http2": PREFACE, "proxy": V1, "other": b"\x00hello"}
PEER = IPv4Address("TCP", "127.0.0.1", 5)


@implementer(IHalfCloseableProtocol)
class Chosen(Protocol):
    """What a route leads to: remembers what it was told."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.finished = 0
        self.lost = 0

    def dataReceived(self, data: bytes) -> None:
        self.heard.append(data)

    def readConnectionLost(self) -> None:
        self.finished += 1
        self.transport.loseConnection()

    def writeConnectionLost(self) -> None: ...

    def connectionLost(self, reason: Any = None) -> None:
        self.lost += 1


@implementer(IServedFactory)
class ChosenFactory(Factory):
    """Builds L{Chosen}, and remembers its own life."""

    noisy = False
    protocol = Chosen

    def __init__(self) -> None:
        self.told: list[str] = []

    def servedBy(self, surroundings: Surroundings) -> None:
        self.told.append(f"served by {surroundings.service}")

    def startFactory(self) -> None:
        self.told.append("started")

    def stopFactory(self) -> None:
        self.told.append("stopped")


class Transport(StringTransport):
    """A transport in memory that speaks to whichever protocol it has now."""

    protocol: Any = None
    connection: Any = None
    bytesReceived = bytesSent = 0
    peerFinished = False

    def hear(self, data: bytes) -> None:
        """The peer sent this."""
        self.protocol.dataReceived(data)

    def readConnectionLost(self, reason: Failure) -> None:
        """The peer has finished sending (called by whoever learns of it first)."""
        self.peerFinished = True
        aware = IHalfCloseableProtocol(self.protocol, None)
        if aware is None:
            self.loseConnection()
        else:
            aware.readConnectionLost()

    def end(self, why: Exception) -> None:
        """The connection is gone."""
        self.protocol.connectionLost(Failure(why))


class Case:
    """An C{auto} service in memory, and one connection of it."""

    def __init__(self, routes: Iterable[str] = (*KINDS, "silent"), **options: Any) -> None:
        self.clock = Clock()
        self.factory = AutoFactory(**options)
        for kind in routes:
            if kind != "proxy":
                self.factory.routes[kind] = ChosenFactory()
        self.table = Connections(lambda _: pytest.fail("asked who"), self.clock.seconds)
        self.factory.servedBy(Surroundings("test", self.clock, self.table))
        self.factory.doStart()
        self.transport = Transport(peerAddress=PEER)
        self.connection = self.transport.connection = self.table.add("test", PEER)
        self.connection.carriedBy(self.transport)
        self.auto: Any = self.factory.buildProtocol(PEER)
        self.transport.protocol = self.auto
        self.auto.makeConnection(self.transport)

    @property
    def protocol(self) -> Any:
        """What the transport speaks to now."""
        return self.transport.protocol

    @property
    def chosen(self) -> str:
        """The kind of route that was taken, or nothing."""
        if self.protocol is self.auto:
            return ""
        return next(k for k, f in self.factory.routes.items() if f is self.protocol.factory)

    def finish(self) -> None:
        """The peer has finished sending."""
        self.transport.readConnectionLost(Failure(ConnectionDone()))

    def isAtRest(self) -> bool:
        """Whether nothing is timed any more."""
        return not self.clock.getDelayedCalls()


@pytest.fixture
def warnings(logged: Callable[[str], list[str]]) -> list[str]:
    """What is logged meanwhile."""
    return logged("loopbackd.protocols.auto")


def pieces(data: bytes, size: int) -> list[bytes]:
    """The data in chunks of that size."""
    return [data[at : at + size] for at in range(0, len(data), size)]


class TestSilent:
    """A client that says nothing."""

    def test_greetedAfterAMoment(self) -> None:
        """Not before greeting_delay, and then by the protocol of the silent route alone."""
        case = Case(greeting_delay=0.5)
        case.clock.advance(0.49)
        assert case.chosen == ""
        case.clock.advance(0.02)
        assert case.chosen == "silent"
        assert case.protocol.heard == []
        assert case.protocol.transport is case.transport
        assert case.isAtRest()

    def test_endBeforeAnything(self) -> None:
        """Its end counts as silence: it is greeted at once, and the greeter told of the end."""
        case = Case()
        case.finish()
        assert case.chosen == "silent"
        assert case.protocol.finished == 1
        assert case.isAtRest()

    def test_speakingLateIsTheGreetersBusiness(self) -> None:
        """What comes after the greeting is not looked at."""
        case = Case()
        case.clock.advance(1)
        case.transport.hear(REQUEST)
        assert case.chosen == "silent"
        assert case.protocol.heard == [REQUEST]


class TestDetected:
    """A client that speaks first."""

    @pytest.mark.parametrize("size", [1, 2, 7, 10_000])
    @pytest.mark.parametrize("kind", ["tls", "http", "http2", "other"])
    def test_inAnyPieces(self, kind: str, size: int) -> None:
        """However it was split, the chosen protocol gets all of it, in order, and all the rest."""
        case = Case()
        for piece in pieces(KINDS[kind], size):
            case.transport.hear(piece)
        case.transport.hear(b"and more")
        assert case.chosen == kind
        assert b"".join(case.protocol.heard) == KINDS[kind] + b"and more"
        assert case.isAtRest()

    @pytest.mark.parametrize("kind", ["tls", "http", "http2", "other"])
    def test_aMegabyteAtOnce(self, kind: str) -> None:
        """A first chunk of any size is decided and handed over whole, in one piece."""
        case = Case()
        data = KINDS[kind] + bytes(1 << 20)
        case.transport.hear(data)
        assert case.chosen == kind
        assert case.protocol.heard == [data]

    def test_noWrapperStays(self) -> None:
        """The transport's protocol is the chosen one, and its transport the real one."""
        case = Case()
        case.transport.hear(b"\x00")
        assert type(case.transport.protocol) is Chosen
        assert case.protocol.transport is case.transport
        assert case.connection.protocol == "Chosen"

    def test_firstByteEndsTheGreeting(self) -> None:
        """Who began to speak is not greeted, however slowly it goes on."""
        case = Case(greeting_delay=0.1, detect_timeout=5)
        case.clock.advance(0.05)
        case.transport.hear(b"G")
        case.clock.advance(4)
        assert case.chosen == ""

    @pytest.mark.parametrize(
        ("begun", "kind"),
        [
            (b"GE", "other"),
            (b"\x16\x03", "other"),
            (b"PROXY TC", "other"),
            (b"BREW /pot HTTP/1.1", "http"),
        ],
    )
    def test_undecidedAfterATime(self, begun: bytes, kind: str) -> None:
        """What is unclear after detect_timeout, counted from the first byte, is what it seems."""
        case = Case(greeting_delay=2, detect_timeout=1)
        case.clock.advance(1.5)
        case.transport.hear(begun[:1])
        case.clock.advance(0.6)
        case.transport.hear(begun[1:])
        case.clock.advance(0.3)
        assert case.chosen == ""
        case.clock.advance(0.2)
        assert case.chosen == kind
        assert case.protocol.heard == [begun]
        assert case.isAtRest()

    def test_endWhileUndecided(self) -> None:
        """It is decided at once; what was said and the end both reach the chosen protocol."""
        case = Case()
        case.transport.hear(b"GE")
        case.finish()
        assert case.chosen == "other"
        assert case.protocol.heard == [b"GE"]
        assert case.protocol.finished == 1
        assert case.isAtRest()

    @pytest.mark.parametrize("begun", [b"", b"GE", V1[:9]])
    def test_resetBeforeAnything(self, begun: bytes) -> None:
        """No protocol is built for a connection that is gone, and nothing is timed for it."""
        case = Case()
        if begun:
            case.transport.hear(begun)
        case.transport.end(ConnectionLost())
        assert case.chosen == ""
        assert case.isAtRest()

    def test_watchersAreTold(self) -> None:
        """The table's watchers hear that the protocol has changed, when it has."""
        case = Case()
        seen: list[tuple[str, str]] = []

        class Watcher:
            def connectionChanged(self, connection: Any, what: str) -> None:
                seen.append((what, connection.protocol))

        case.table.watch(Watcher())  # type: ignore[arg-type]
        case.transport.hear(b"\x00")
        assert seen == [("protocol", "Chosen")]

    def test_closedInConnectionMade(self) -> None:
        """A chosen protocol that closes at once is not bothered with data."""

        class Brief(Chosen):
            def connectionMade(self) -> None:
                self.transport.loseConnection()

        case = Case()
        case.factory.routes["other"].protocol = Brief
        case.transport.hear(b"\x00")
        assert case.transport.disconnecting
        assert case.protocol.heard == []

    @pytest.mark.parametrize("how", ["data", "silence", "end", "end while undecided", "timeout"])
    def test_aRouteThatRefuses(self, how: str) -> None:
        """A factory that builds no protocol has the connection reset."""
        case = Case()
        for factory in case.factory.routes.values():
            factory.buildProtocol = lambda addr: None
        if how == "data":
            case.transport.hear(b"\x00")
        elif how == "silence":
            case.clock.advance(1)
        elif how == "end":
            case.finish()
        else:
            case.transport.hear(b"GE")
            if how == "timeout":
                case.clock.advance(2)
            else:
                case.finish()
        assert case.transport.disconnected
        assert case.isAtRest()

    @pytest.mark.parametrize("where", ["buildProtocol", "connectionMade"])
    @pytest.mark.parametrize("begun", [b"", b"GE"])
    def test_aRouteThatFailsWhenTimeIsUp(
        self, where: str, begun: bytes, loggedFailures: Any
    ) -> None:
        """What a protocol raises where no transport is looking is logged, and the end of it."""

        def fail(*_: Any) -> None:
            raise ZeroDivisionError

        class Fails(Chosen):
            connectionMade = fail  # type: ignore[assignment]

        case = Case()
        for factory in case.factory.routes.values():
            if where == "buildProtocol":
                factory.buildProtocol = fail
            else:
                factory.protocol = Fails
        if begun:
            case.transport.hear(begun)
        case.clock.advance(2)
        assert len(loggedFailures.flush(ZeroDivisionError)) == 1
        assert case.transport.disconnected
        assert case.isAtRest()


class TestProxyHeader:
    """A load balancer that says who its client is."""

    @pytest.mark.parametrize("size", [1, 5, 10_000])
    @pytest.mark.parametrize("header", [V1, V2])
    @pytest.mark.parametrize("kind", ["tls", "http", "http2", "other"])
    def test_takenOff(self, header: bytes, size: int, kind: str) -> None:
        """Behind the header detection starts again, however both were split."""
        case = Case()
        for piece in pieces(header + KINDS[kind], size):
            case.transport.hear(piece)
        assert case.chosen == kind
        assert b"".join(case.protocol.heard) == KINDS[kind]
        assert case.connection.claimed == ("192.0.2.7", 4711)
        assert case.isAtRest()

    @pytest.mark.parametrize("header", [V1, V2])
    def test_thenSilence(self, header: bytes) -> None:
        """The client behind it gets the whole greeting_delay, and is then greeted."""
        case = Case(greeting_delay=0.5)
        case.clock.advance(0.4)
        case.transport.hear(header)
        case.clock.advance(0.4)
        assert case.chosen == ""
        case.clock.advance(0.2)
        assert case.chosen == "silent"
        assert case.protocol.heard == []
        assert case.connection.claimed == ("192.0.2.7", 4711)
        assert "claims 192.0.2.7 port 4711" in case.connection.shownRemote

    def test_thenTheEnd(self) -> None:
        """A client that only came to look is greeted, as without a header."""
        case = Case()
        case.transport.hear(V1)
        case.finish()
        assert case.chosen == "silent"
        assert case.protocol.finished == 1
        assert case.isAtRest()

    @pytest.mark.parametrize(
        "header", [b"PROXY UNKNOWN\r\n", SIGNATURE + b"\x20\x00\x00\x00"], ids=["unknown", "local"]
    )
    def test_whoClaimsNothing(self, header: bytes) -> None:
        """A header that names nobody is taken off, and nothing is claimed."""
        case = Case()
        case.transport.hear(header + b"\x00")
        assert case.chosen == "other"
        assert case.connection.claimed is None

    def test_claimsAreShownInOneLine(self) -> None:
        """A unix path in a header can have any bytes; what is shown of it cannot."""
        path = b"/\x1b]0;evil\x07\n\xc2\x9b".ljust(108, b"\0")
        case = Case()
        case.transport.hear(SIGNATURE + b"\x21\x31\x00\xd8" + path + bytes(108) + b"\x00")
        assert case.chosen == "other"
        assert case.connection.shownRemote.isprintable()
        assert "evil" in case.connection.shownRemote

    @pytest.mark.parametrize(
        "data",
        [
            b"PROXY TCP4 1.2.3 1.2.3.4 5 6\r\n",
            b"PROXY TCP4 " + b"9" * 200,
            SIGNATURE + b"\x31\x11\x00\x00",
            V1 + V1,
            V1 + V2,
            V2 + V1 + b"GET",
        ],
        ids=["address", "endless", "version", "second 1", "second 2", "second 3"],
    )
    @pytest.mark.parametrize("size", [1, 10_000])
    def test_wrong(self, data: bytes, size: int, warnings: list[str]) -> None:
        """A header that breaks the rules, or a second one: a reset, and one warning."""
        case = Case()
        for piece in pieces(data, size):
            case.transport.hear(piece)
            if case.transport.disconnected:
                break
        assert case.transport.disconnected
        assert len(warnings) == 1
        assert case.chosen == ""
        assert case.isAtRest()

    def test_flood(self, warnings: list[str]) -> None:
        """However many are wrong, the log has a line a second, and the count of the others."""
        case = Case()
        for seconds in (0, 0, 0, 1):
            case.clock.advance(seconds)
            transport = Transport(peerAddress=PEER)
            protocol = case.factory.buildProtocol(PEER)
            assert protocol is not None
            transport.connection = case.connection
            protocol.makeConnection(transport)
            protocol.dataReceived(b"PROXY TCP4 x\r\n")
            assert transport.disconnected
        assert len(warnings) == 2
        assert "2 more like it" in warnings[1]

    def test_neverEnding(self, warnings: list[str]) -> None:
        """It must be whole in detect_timeout; else a reset, and one warning."""
        case = Case()
        case.transport.hear(V1[:20])
        case.clock.advance(0.9)
        case.transport.hear(V1[20:25])
        case.clock.advance(0.2)
        assert case.transport.disconnected
        assert len(warnings) == 1
        assert case.isAtRest()

    def test_endInside(self) -> None:
        """A client that ends inside its header gets no answer, only the end."""
        case = Case()
        case.transport.hear(V1[:20])
        case.finish()
        assert case.transport.disconnecting
        assert case.chosen == ""
        case.transport.end(ConnectionDone())
        assert case.isAtRest()

    def test_routed(self) -> None:
        """With a route of its own a header is handed over like anything else."""
        case = Case()
        case.factory.routes["proxy"] = ChosenFactory()
        case.transport.hear(V1 + REQUEST)
        assert case.chosen == "proxy"
        assert case.protocol.heard == [V1 + REQUEST]
        assert case.connection.claimed is None


class TestFactory:
    """Options, and the life of the routes."""

    @pytest.mark.parametrize("name", ["greeting_delay", "detect_timeout"])
    @pytest.mark.parametrize("value", [0, -1, 3600, True, "1", float("nan"), None])
    def test_timesAreChecked(self, name: str, value: Any) -> None:
        """Seconds, and a bearable number of them; the message names the option and the value."""
        with pytest.raises(ValueError, match=name):
            AutoFactory(**{name: value})

    def test_routesLive(self) -> None:
        """They are told of the service, started with it and stopped with it."""
        case = Case()
        assert verifyObject(IServedFactory, case.factory)
        case.factory.doStop()
        for factory in case.factory.routes.values():
            assert factory.told == ["served by test", "started", "stopped"]

    def test_halfCloseable(self) -> None:
        """The transport must tell it of the client's end."""
        assert verifyObject(IHalfCloseableProtocol, Case().auto)


EVENTS = st.one_of(
    st.tuples(st.just("wait"), st.sampled_from([0.01, 0.1, 0.5, 1.0, 2.0])),
    st.tuples(
        st.just("hear"),
        st.one_of(
            st.sampled_from([HELLO, REQUEST, PREFACE, V1, V2, V1[:9], V2[:13], b"G", b"\r\n"]),
            st.binary(min_size=1, max_size=30),
        ),
    ),
    st.tuples(st.just("finish"), st.none()),
)


@given(st.lists(EVENTS, max_size=8), st.sampled_from([ConnectionDone, ConnectionLost]))
def test_anyOrderOfEvents(events: list[tuple[str, Any]], end: Any) -> None:
    """Whatever happens in whatever order, data is neither lost nor doubled, and no timer stays."""
    case = Case()
    said = b""
    for what, value in events:
        if case.transport.disconnecting:
            break
        if what == "wait":
            case.clock.advance(value)
        elif case.transport.peerFinished:
            continue
        elif what == "hear":
            said += value
            case.transport.hear(value)
        else:
            case.finish()
    if case.chosen:
        heard = b"".join(case.protocol.heard)
        assert said.endswith(heard)
        assert said[: len(said) - len(heard)] in (b"", V1, V2) or case.connection.claimed
        assert case.protocol.finished == case.transport.peerFinished
    case.transport.end(end())
    assert case.isAtRest()
    if case.chosen:
        assert case.protocol.lost == 1


@pytest_twisted.ensureDeferred
async def test_defaultRoutes() -> None:
    """On a real address: greeting, echo, page, and a clean end for what is not spoken yet."""
    async with serving(reactor, "auto", {"greeting_delay": 0.01}) as loopback:
        where = f"Hello from 127.0.0.1:{addressOf(loopback).port}!".encode()  # type: ignore[attr-defined]
        assert (await converse(reactor, loopback, b"")).startswith(where)
        assert await converse(reactor, loopback, b"x\x00y") == b"x\x00y"
        assert await converse(reactor, loopback, b"GE") == b"GE"
        assert where in await converse(reactor, loopback, REQUEST)
        assert where in await converse(reactor, loopback, V1 + REQUEST)
        assert await converse(reactor, loopback, HELLO) == b""
        assert (await converse(reactor, loopback, PREFACE)).startswith(frame(4))
        assert await converse(reactor, loopback, V1[:20]) == b""
        assert (await converse(reactor, loopback, V2)).startswith(where)


@pytest_twisted.ensureDeferred
async def test_greetedOnARealAddress() -> None:
    """A client that only reads is greeted, and can then hold the conversation."""
    async with serving(reactor, "auto", {"greeting_delay": 0.01}) as loopback:
        client = await connect(reactor, loopback)
        assert (await client.hears(10)).startswith(b"Hello from")
        transport: Any = client.transport
        transport.write(b"quit\n")
        assert (await client.finished).endswith(b"Goodbye.\n")


@pytest_twisted.ensureDeferred
async def test_configuredRoutes() -> None:
    """Each route can lead anywhere, with options."""
    routes = Routes(
        http="echo",
        tls="hello",
        other=Route(protocol="qotd", options={"quotes": ["well"]}),
        silent="time",
        proxy="echo",
    )
    async with serving(reactor, "auto", routes=routes) as loopback:
        assert await converse(reactor, loopback, REQUEST) == REQUEST
        assert (await converse(reactor, loopback, HELLO)).startswith(b"Hello from")
        assert await converse(reactor, loopback, b"\x00") == b"well\r\n"
        assert len(await converse(reactor, loopback, b"")) == 4
        assert await converse(reactor, loopback, V1) == V1
