"""Tests for L{loopbackd.protocols.classic}."""

from __future__ import annotations

import locale
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
import pytest_twisted
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from zope.interface.verify import verifyObject

from loopbackd.protocols.classic import (
    MAX_QUOTE,
    QUOTES,
    ChargenFactory,
    DaytimeFactory,
    DiscardFactory,
    Echo,
    EchoFactory,
    QotdFactory,
    TimeFactory,
    chargenRing,
)

NOON = datetime(2026, 11, 23, 14, 5, 9, tzinfo=UTC)


def telling(factory: Any, now: Callable[[], datetime]) -> Any:
    """The factory, with another clock."""
    factory.now = now
    return factory


def connected(factory: Factory) -> tuple[Any, StringTransport]:
    """A protocol of *factory* on a transport in memory."""
    protocol = factory.buildProtocol(None)
    transport = StringTransport()
    protocol.makeConnection(transport)
    return protocol, transport


def answered(factory: Factory) -> bytes:
    """What a service that answers once says; it must close, too."""
    _, transport = connected(factory)
    assert transport.disconnecting
    return transport.value()


class TestEcho:
    """RFC 862."""

    def test_sendsBack(self) -> None:
        """What comes goes back, in order."""
        echo, transport = connected(EchoFactory())
        echo.dataReceived(b"one")
        echo.dataReceived(b"\x00two")
        assert transport.value() == b"one\x00two"
        assert not transport.disconnecting

    def test_fullBufferStopsReading(self) -> None:
        """The transport's full buffer pauses the reading, its empty one resumes it."""
        _, transport = connected(EchoFactory())
        assert transport.streaming is True
        transport.producer.pauseProducing()
        assert transport.producerState == "paused"
        transport.producer.resumeProducing()
        assert transport.producerState == "producing"

    def test_closedWhilePaused(self) -> None:
        """When somebody closed it meanwhile, an empty buffer lets the transport go."""
        _, transport = connected(EchoFactory())
        transport.producer.pauseProducing()
        transport.loseConnection()
        transport.producer.resumeProducing()
        assert transport.producer is None

    def test_halfClose(self) -> None:
        """At the client's end the producer is taken out, so that the transport can close."""
        echo, transport = connected(EchoFactory())
        assert verifyObject(IHalfCloseableProtocol, echo)
        echo.readConnectionLost()
        assert transport.producer is None
        assert transport.disconnecting


class TestDiscard:
    """RFC 863."""

    def test_neverAnswers(self) -> None:
        """Nothing comes back, and the client's end closes."""
        discard, transport = connected(DiscardFactory())
        discard.dataReceived(b"x" * 1000)
        assert not transport.disconnecting
        discard.readConnectionLost()
        assert transport.disconnecting
        assert transport.value() == b""


class TestChargen:
    """RFC 864."""

    def test_pattern(self) -> None:
        """Every line has 72 of the 95 characters and starts one later, around the ring."""
        lines = (chargenRing() * 2).split(b"\r\n")[:-1]
        assert len(lines) == 190
        for number, line in enumerate(lines):
            assert line == bytes(0x20 + (number + at) % 95 for at in range(72))

    def test_writesWhenAsked(self) -> None:
        """It sends as a pull producer, a few kilobytes each time there is room."""
        chargen, transport = connected(ChargenFactory())
        assert transport.streaming is False
        transport.producer.resumeProducing()
        chargen.dataReceived(b"ignored")
        transport.producer.resumeProducing()
        assert transport.value() == chargenRing() * 2

    def test_halfClosedClientStillGetsMore(self) -> None:
        """The client's end alone does not stop it."""
        chargen, transport = connected(ChargenFactory())
        assert verifyObject(IHalfCloseableProtocol, chargen)
        chargen.readConnectionLost()
        assert not transport.disconnecting
        assert transport.producer is chargen

    def test_closedBySomebody(self) -> None:
        """Told to close, it writes no more and lets the transport go."""
        _, transport = connected(ChargenFactory())
        transport.loseConnection()
        transport.producer.resumeProducing()
        assert transport.producer is None
        assert transport.value() == b""


class TestQotd:
    """RFC 865."""

    def test_oneOfOurs(self) -> None:
        """Without options it says one of our quotes as a line."""
        assert answered(QotdFactory()) in {f"{quote}\r\n".encode() for quote in QUOTES}

    def test_seeded(self) -> None:
        """The same seed chooses the same quotes, and not always the same one."""
        first, second = QotdFactory(seed=7), QotdFactory(seed=7)
        said = [answered(first) for _ in range(20)]
        assert said == [answered(second) for _ in range(20)]
        assert len(set(said)) > 3

    def test_ownQuotes(self) -> None:
        """Lines of a given quote end in CR LF, however they were written."""
        assert answered(QotdFactory(quotes=["a\nb\r\nc\n"])) == b"a\r\nb\r\nc\r\n"

    def test_longest(self) -> None:
        """A message of 511 bytes is taken, one more is not."""
        assert len(answered(QotdFactory(quotes=["x" * (MAX_QUOTE - 2)]))) == MAX_QUOTE
        with pytest.raises(ValueError, match="has 512 bytes; keep to 511"):
            QotdFactory(quotes=["x" * (MAX_QUOTE - 1)])

    @pytest.mark.parametrize(
        ("quotes", "message"),
        [
            ("one string", "give a list"),
            ([], "give a list"),
            ([""], "is empty"),
            (["\n"], "is empty"),
            (["tab\there"], "not printable ASCII"),
            (["form\x0cfeed"], "not printable ASCII"),
            (["café"], "not printable ASCII"),
            ([7], "not a string"),
        ],
    )
    def test_refused(self, quotes: Any, message: str) -> None:
        """A quote that cannot be sent is refused with the remedy."""
        with pytest.raises(ValueError, match=message):
            QotdFactory(quotes=quotes)

    def test_seedRefused(self) -> None:
        """A seed that is no number is refused."""
        with pytest.raises(ValueError, match="seed is 'x'; give a whole number"):
            QotdFactory(seed="x")  # type: ignore[arg-type]


class TestDaytime:
    """RFC 867."""

    def test_line(self) -> None:
        """Weekday, month, day, year, time and zone, as the RFC suggests."""
        line = answered(telling(DaytimeFactory(), lambda: NOON))
        assert line == b"Monday, November 23, 2026 14:05:09-UTC\r\n"

    def test_otherZone(self) -> None:
        """A clock in another zone is told in UTC."""
        now = NOON.astimezone(timezone(timedelta(hours=11)))
        line = answered(telling(DaytimeFactory(), lambda: now))
        assert line == b"Monday, November 23, 2026 14:05:09-UTC\r\n"

    def test_everyDayAndMonth(self) -> None:
        """In the C locale all names are those of strftime."""
        assert locale.setlocale(locale.LC_TIME) == "C"
        for days in range(0, 366, 5):
            now = NOON + timedelta(days=days)
            line = answered(telling(DaytimeFactory(), lambda now=now: now)).decode("ascii")
            assert line == f"{now:%A, %B} {now.day}, {now:%Y %H:%M:%S}-UTC\r\n"

    def test_wallClock(self) -> None:
        """Without a clock it tells the real time."""
        line = answered(DaytimeFactory()).decode("ascii").strip()
        told = datetime.strptime(line, "%A, %B %d, %Y %H:%M:%S-UTC").replace(tzinfo=UTC)
        assert abs(datetime.now(UTC) - told) < timedelta(minutes=1)


class TestTime:
    """RFC 868."""

    @pytest.mark.parametrize(
        ("now", "seconds"),
        [
            (datetime(1970, 1, 1, tzinfo=UTC), 2_208_988_800),
            (datetime(1980, 1, 1, tzinfo=UTC), 2_524_521_600),
            (datetime(2036, 2, 7, 6, 28, 15, tzinfo=UTC), 0xFFFFFFFF),
            (datetime(2036, 2, 7, 6, 28, 16, tzinfo=UTC), 0),
        ],
    )
    def test_seconds(self, now: datetime, seconds: int) -> None:
        """The RFC's own examples, and the wrap of 2036."""
        assert answered(telling(TimeFactory(), lambda: now)) == seconds.to_bytes(4, "big")

    def test_wallClock(self) -> None:
        """Without a clock it tells the real time."""
        told = int.from_bytes(answered(TimeFactory()), "big") - 2_208_988_800
        assert abs(datetime.now(UTC).timestamp() - told) < 60


FACTORIES = [
    EchoFactory,
    DiscardFactory,
    ChargenFactory,
    QotdFactory,
    DaytimeFactory,
    TimeFactory,
]


@pytest.mark.parametrize("make", FACTORIES)
def test_quiet(make: type[Factory]) -> None:
    """No factory logs its own start."""
    assert make().noisy is False


@given(make=st.sampled_from(FACTORIES), chunks=st.lists(st.binary()), halfClose=st.booleans())
def test_anyBytes(make: type[Factory], chunks: list[bytes], halfClose: bool) -> None:
    """Any bytes in any chunks, with or without an end, raise nothing."""
    protocol, transport = connected(make())
    for chunk in chunks:
        protocol.dataReceived(chunk)
    if halfClose and transport.producer is not None:
        protocol.readConnectionLost()
    if transport.producer is not None:
        transport.producer.stopProducing()
    protocol.connectionLost(Failure(ConnectionDone()))


class Client(Protocol):
    """Collects what it is sent until the connection ends."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.enough: Deferred[None] = Deferred()
        self.wanted = 1 << 62
        self.lost: Deferred[Failure] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        """Keep it, and say when it is as much as was wanted."""
        self.received += data
        if len(self.received) >= self.wanted and not self.enough.called:
            self.enough.callback(None)

    def connectionLost(self, reason: Failure | None = None) -> None:
        """Say so."""
        self.lost.callback(reason.value if reason else None)


class Served:
    """A factory listening on a port of its own, one client, and the protocol it talks to."""

    client: Any
    server: Any

    async def start(self, factory: Factory) -> Served:
        """Listen and connect."""
        self.ended: Deferred[None] = Deferred()
        build = factory.buildProtocol

        def buildProtocol(addr: Any) -> Any:
            self.server = protocol = build(addr)
            lost = protocol.connectionLost

            def connectionLost(reason: Failure) -> None:
                lost(reason)
                self.ended.callback(None)

            protocol.connectionLost = connectionLost
            return protocol

        factory.buildProtocol = buildProtocol  # type: ignore[method-assign]
        self.port = reactor.listenTCP(0, factory, interface="127.0.0.1")
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", self.port.getHost().port)
        self.client = await endpoint.connect(Factory.forProtocol(Client))
        return self

    async def stop(self) -> None:
        """Both ends gone, nothing left listening."""
        self.client.transport.abortConnection()
        await self.ended
        await self.port.stopListening()


@pytest_twisted.ensureDeferred
async def test_echoAnswersHalfClosedClient() -> None:
    """A client that closes its side at once gets all 2 MB back, and then a clean end."""
    served = await Served().start(EchoFactory())
    data = random.Random(62893).randbytes(2_000_000)
    served.client.transport.write(data)
    served.client.transport.loseWriteConnection()
    ended = await served.client.lost
    assert isinstance(ended, ConnectionDone)
    assert served.client.received == data
    await served.stop()


class WatchedEcho(Echo):
    """Tells when it has been paused."""

    def __init__(self) -> None:
        self.paused: Deferred[None] = Deferred()

    def pauseProducing(self) -> None:
        """Pause, and say so."""
        super().pauseProducing()
        if not self.paused.called:
            self.paused.callback(None)


class WatchedEchoFactory(EchoFactory):
    """Builds L{WatchedEcho}."""

    protocol = WatchedEcho


@pytest_twisted.ensureDeferred
async def test_echoResumes() -> None:
    """A client that reads late still gets everything, after a pause and its own end."""
    served = await Served().start(WatchedEchoFactory())
    data = random.Random(62894).randbytes(32_000_000)
    served.client.transport.pauseProducing()
    served.client.transport.write(data)
    served.client.transport.loseWriteConnection()
    await served.server.paused
    assert served.server.transport not in reactor.getReaders()
    served.client.transport.resumeProducing()
    ended = await served.client.lost
    assert isinstance(ended, ConnectionDone)
    assert served.client.received == data
    await served.stop()


@pytest_twisted.ensureDeferred
async def test_echoClosesWhilePaused() -> None:
    """Closed by us while the client does not read, it ends once the client has read."""
    served = await Served().start(WatchedEchoFactory())
    served.client.transport.pauseProducing()
    served.client.transport.write(bytes(32_000_000))
    await served.server.paused
    served.server.transport.loseConnection()
    served.client.transport.resumeProducing()
    await served.ended
    await served.stop()


@pytest_twisted.ensureDeferred
async def test_echoOfClientThatVanishes() -> None:
    """A reset while paused ends the connection and leaves nothing behind."""
    served = await Served().start(WatchedEchoFactory())
    served.client.transport.pauseProducing()
    served.client.transport.write(bytes(32_000_000))
    await served.server.paused
    served.client.transport.abortConnection()
    await served.ended
    await served.stop()


@pytest_twisted.ensureDeferred
async def test_chargenGoesOnAfterHalfClose() -> None:
    """A client that has closed its side gets the pattern for as long as it listens."""
    served = await Served().start(ChargenFactory())
    served.client.wanted = 1_000_000
    served.client.transport.write(b"ignored")
    served.client.transport.loseWriteConnection()
    await served.client.enough
    got = bytes(served.client.received)
    assert got == (chargenRing() * (len(got) // 7030 + 1))[: len(got)]
    assert not served.ended.called
    await served.stop()


@pytest_twisted.ensureDeferred
async def test_chargenClosesWhenAsked() -> None:
    """Closed by us it stops sending, and the connection ends cleanly."""
    served = await Served().start(ChargenFactory())
    served.client.wanted = 100_000
    await served.client.enough
    served.server.transport.loseConnection()
    assert isinstance(await served.client.lost, ConnectionDone)
    await served.stop()


@pytest_twisted.ensureDeferred
async def test_discardClosesAfterHalfClose() -> None:
    """A client's end is answered with nothing but ours."""
    served = await Served().start(DiscardFactory())
    served.client.transport.write(bytes(1_000_000))
    served.client.transport.loseWriteConnection()
    assert isinstance(await served.client.lost, ConnectionDone)
    assert served.client.received == b""
    await served.stop()
