"""Two streams joined below their protocols (`loopbackd.net.pump`)."""

from __future__ import annotations

import errno
import hashlib
import os
import random
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest
import pytest_twisted
from hypothesis import given, settings
from hypothesis import strategies as st
from sockets import reset, until
from twisted.internet import reactor as realReactor
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHalfCloseableProtocol, IPushProducer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.python.failure import Failure
from zope.interface import implementer

from loopbackd.net.batch import BatchReactor
from loopbackd.net.pipes import Pipes
from loopbackd.net.pump import Pump, canPump
from loopbackd.net.reactor import PlainReactor
from loopbackd.net.transport import Server
from net.ends import Real

reactor: Any = realReactor
MEGABYTE = 1 << 20


@implementer(IHalfCloseableProtocol, IPushProducer)
class End(Protocol):
    """Passes on what it hears, and what it hears of ends, as a relay does."""

    transport: Any
    other: End
    pump: Pump
    heard = 0

    def dataReceived(self, data: bytes) -> None:
        self.heard += len(data)
        self.other.transport.write(data)

    def readConnectionLost(self) -> None:
        self.pump.handBack()
        self.other.transport.unregisterProducer()
        self.other.transport.loseWriteConnection()
        self.pump.take()

    def writeConnectionLost(self) -> None: ...

    def pauseProducing(self) -> None:
        self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        if self.other.transport.disconnecting:
            self.other.transport.unregisterProducer()
        else:
            self.transport.resumeProducing()

    def stopProducing(self) -> None: ...

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.pump.close()
        if reason.check(ConnectionDone):
            self.other.transport.loseConnection()
        else:
            self.other.transport.abortConnection()


class CountedPipes(Pipes):
    """Knows how often one was taken, and how many are out."""

    taken = out = 0

    def take(self) -> Any:
        pipe = super().take()
        if pipe is not None:
            self.taken += 1
            self.out += 1
        return pipe

    def give(self, pipe: Any) -> None:
        self.out -= 1
        super().give(pipe)


def pair() -> tuple[socket.socket, socket.socket]:
    """Both ends of a TCP stream."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = socket.create_connection(server.getsockname())
        accepted, _ = server.accept()
    for one in (client, accepted):
        one.settimeout(20)
    return client, accepted


class Joined:
    """A pump, the two transports it joins, and the sockets at their other ends."""

    def __init__(self, core: Any, pipes: Pipes | None = None, make: Any = pair) -> None:
        self.pipes: Any = pipes if pipes is not None else CountedPipes()
        self.outer: list[socket.socket] = []
        self.ends: list[End] = []
        for _ in range(2):
            outer, inner = make()
            self.outer.append(outer)
            end = End()
            self.ends.append(end)
            end.makeConnection(Server(inner, end, ("127.0.0.1", 1), None, 0, core))
        self.one, self.other = (end.transport for end in self.ends)
        self.one.registerProducer(self.ends[1], True)
        self.other.registerProducer(self.ends[0], True)
        self.pump = Pump(self.one, self.other, self.pipes)
        for end, other in (self.ends, self.ends[::-1]):
            end.other, end.pump = other, self.pump

    @property
    def unsent(self) -> list[int]:
        """How much waits in Python to be sent, each way."""
        return [len(end.dataBuffer) + end._tempDataLen for end in (self.one, self.other)]

    @property
    def isOver(self) -> bool:
        return not (self.one.connected or self.other.connected)

    def close(self) -> None:
        for sock in self.outer:
            sock.close()
        for end in (self.one, self.other):
            if end.connected:
                end.abortConnection()


@pytest.fixture(params=["batch", "plain"])
def core(request: pytest.FixtureRequest) -> Iterator[Any]:
    """A reactor of loopbackd's over the real one."""
    made = (BatchReactor if request.param == "batch" else PlainReactor)(reactor)
    yield made
    made.close()


@asynccontextmanager
async def joined(core: Any, **others: Any) -> AsyncIterator[Joined]:
    """Two that are joined; closed afterwards, with every pipe given back."""
    both = Joined(core, **others)
    try:
        yield both
    finally:
        both.close()
        await until(lambda: both.isOver)
        assert getattr(both.pipes, "out", 0) == 0
        assert both.one.pump is both.other.pump is None
        both.pipes.close()


def say(sock: socket.socket, seed: int, isEnough: Callable[[int], bool]) -> tuple[int, bytes]:
    """Say something in pieces of all lengths, and finish: how much, and its digest. In a thread."""
    chance, digest, size = random.Random(seed), hashlib.sha256(), 0
    block = chance.randbytes(MEGABYTE)
    while not isEnough(size):
        start = chance.randrange(1000)
        piece = block[start : start + chance.choice([1, 100, 5000, 70_000, MEGABYTE])]
        sock.sendall(piece)
        digest.update(piece)
        size += len(piece)
    sock.shutdown(socket.SHUT_WR)
    return size, digest.digest()


def megabytes(number: int) -> Callable[[int], bool]:
    """Whether it is so many of them."""
    return lambda size: size >= number * MEGABYTE


def hear(sock: socket.socket, seed: int) -> tuple[int, bytes]:
    """Hear all of it, now slowly and now fast: how much, and its digest. In a thread."""
    chance, digest, size = random.Random(seed), hashlib.sha256(), 0
    while piece := sock.recv(chance.choice([100, 10_000, MEGABYTE])):
        digest.update(piece)
        size += len(piece)
    return size, digest.digest()


@pytest_twisted.ensureDeferred
async def test_streams_are_whole_however_often_they_are_handed_back(core: Any) -> None:
    """A thousand times at least, both ways at once; counts stay right, and pipes were used."""
    chance = random.Random(3)
    enough = threading.Event()
    async with joined(core) as both:
        one, other = both.outer
        hearing = [deferToThread(hear, one, 1), deferToThread(hear, other, 2)]
        saying = [
            deferToThread(say, sock, 3, lambda size: enough.is_set()) for sock in (other, one)
        ]

        def wereBothWaysUsed() -> bool:
            return both.pipes.taken > 20 and all(
                0 < end.heard < end.transport.bytesReceived for end in both.ends
            )

        rounds = 0
        while rounds < 1000 or not wereBothWaysUsed():
            rounds += 1
            both.pump.handBack()
            if chance.random() < 0.5:
                await deferLater(reactor, 0, lambda: None)
            both.pump.take()
            for _ in range(chance.choice([0, 1, 2, 20])):
                await deferLater(reactor, 0, lambda: None)
            assert max(both.unsent) < 3 * MEGABYTE
        enough.set()
        said = [await one for one in saying]
        assert [await one for one in hearing] == said
        fromOther, fromOne = (size for size, _ in said)
        assert both.one.bytesReceived == both.other.bytesSent == fromOne
        assert both.other.bytesReceived == both.one.bytesSent == fromOther


@pytest_twisted.ensureDeferred
async def test_a_stream_that_is_not_handed_back_is_never_in_python(core: Any) -> None:
    """The protocols hear nothing of it; each direction ends by itself."""
    async with joined(core) as both:
        one, other = both.outer
        for source, sink in ((one, other), (other, one)):
            hearing = deferToThread(hear, sink, 1)
            said = await deferToThread(say, source, 2, megabytes(30))
            assert await hearing == said
        assert [end.heard for end in both.ends] == [0, 0]


@pytest.mark.parametrize("keepsPumping", [True, False])
@pytest_twisted.ensureDeferred
async def test_who_does_not_read_costs_a_bounded_memory(core: Any, keepsPumping: bool) -> None:
    """The source is not read; all that was said is there afterwards."""
    async with joined(core) as both:
        one, other = both.outer
        one.setblocking(False)
        said = 0
        for _ in range(300):
            try:
                while True:
                    said += one.send(bytes(MEGABYTE))
            except BlockingIOError:
                await deferLater(reactor, 0.001, lambda: None)
        if not keepsPumping:
            both.pump.handBack()
        await until(lambda: not core.isReading(both.one))
        held = both.one.bytesReceived - both.other.bytesSent
        assert 0 <= held <= MEGABYTE + (1 << 18)
        assert both.unsent[0] == 0 and both.unsent[1] <= held
        one.setblocking(True)
        one.shutdown(socket.SHUT_WR)
        assert (await deferToThread(hear, other, 1))[0] == said


@pytest.mark.parametrize("whose", [0, 1])
@pytest.mark.parametrize("isFull", [True, False])
@pytest_twisted.ensureDeferred
async def test_a_reset_ends_both(core: Any, whose: int, isFull: bool) -> None:
    """Whichever end it is of, also with a pipe that is full."""
    async with joined(core) as both:
        one = both.outer[0]
        one.setblocking(False)
        for _ in range(50 if isFull else 1):
            try:
                while True:
                    one.send(bytes(MEGABYTE if isFull else 1))
                    if not isFull:
                        break
            except BlockingIOError:
                pass
            await deferLater(reactor, 0.001, lambda: None)
        victim = both.outer[whose]
        reset(victim)
        survivor = both.outer[1 - whose]
        survivor.setblocking(True)
        with pytest.raises(ConnectionResetError):
            # An end that is not read, as nobody hears it, is heard of when it is read on.
            await deferToThread(hear, survivor, 1)
        await until(lambda: both.isOver)


@pytest.mark.parametrize("errors", [(0, errno.EINVAL), (1, errno.EINVAL), (9, errno.ENOSYS)])
@pytest_twisted.ensureDeferred
async def test_where_splice_does_not_work_it_goes_without(
    core: Any, monkeypatch: Any, errors: tuple[int, int]
) -> None:
    """Be it not there for reading, or for writing what is in the pipe already."""
    calls = 0
    real = os.splice
    works, number = errors

    def splice(*args: Any, **named: Any) -> int:
        nonlocal calls
        calls += 1
        if calls > works:
            raise OSError(number, os.strerror(number))
        return real(*args, **named)

    monkeypatch.setattr(os, "splice", splice)
    async with joined(core) as both:
        one, other = both.outer
        hearing = deferToThread(hear, other, 1)
        said = await deferToThread(say, one, 2, megabytes(20))
        assert await hearing == said
        assert calls == works + 1
        assert both.ends[0].heard == 0


@pytest_twisted.ensureDeferred
async def test_without_pipes_it_is_pumped_all_the_same(core: Any) -> None:
    """As where there are no descriptors left."""
    async with joined(core, pipes=CountedPipes(0)) as both:
        one, other = both.outer
        hearing = deferToThread(hear, other, 1)
        said = await deferToThread(say, one, 2, megabytes(20))
        assert await hearing == said
        assert both.ends[0].heard == 0 and both.pipes.taken == 0


@pytest_twisted.ensureDeferred
async def test_what_is_in_the_pipe_goes_before_a_close(core: Any) -> None:
    """Somebody in the daemon hangs up: what was received for that end comes first."""
    async with joined(core) as both:
        one, other = both.outer
        one.setblocking(False)
        for _ in range(50):
            try:
                while True:
                    one.send(bytes(MEGABYTE))
            except BlockingIOError:
                await deferLater(reactor, 0.001, lambda: None)
        both.other.loseConnection()
        received = both.one.bytesReceived
        heard, _ = await deferToThread(hear, other, 1)
        assert received <= heard <= both.one.bytesReceived


@pytest_twisted.ensureDeferred
async def test_nothing_is_taken_over_while_something_is_interposed(core: Any) -> None:
    """Nor of an end that has finished."""
    async with joined(core) as both:
        one, other = both.outer
        both.pump.handBack()
        both.other.wire = object()
        both.pump.take()
        one.sendall(b"x")
        both.other.wire = None
        assert await deferToThread(other.recv, 1) == b"x"
        assert both.ends[0].heard == 1
        both.pump.take()
        one.sendall(b"y")
        assert await deferToThread(other.recv, 1) == b"y"
        assert both.ends[0].heard == 1


def test_who_can_be_pumped() -> None:
    """Streams of ours, and nothing that is on top of one."""
    assert not canPump(object())
    with byHand() as (both, _):
        assert canPump(both.one)
        both.one.TLS = True
        assert not canPump(both.one)
        both.one.TLS = False


@contextmanager
def byHand() -> Iterator[tuple[Joined, Callable[[], None]]]:
    """Two that are joined, and what serves them once."""
    real = Real()
    core = BatchReactor(real)
    both = Joined(core, make=small)

    def serve() -> None:
        core.doRead()
        real.advance(0)

    try:
        yield both, serve
    finally:
        both.close()
        serve()
        core.close()
        assert both.pipes.out == 0
        both.pipes.close()


def small() -> tuple[socket.socket, socket.socket]:
    """A stream whose kernel buffers are soon full."""
    ends = socket.socketpair()
    for end in ends:
        end.setblocking(False)
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 17)
    return ends


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("say"), st.sampled_from([0, 1]), st.sampled_from([1, 9000, 400_000])),
        st.tuples(st.just("hear"), st.sampled_from([0, 1]), st.sampled_from([1, 9000, 400_000])),
        st.tuples(st.sampled_from(["serve", "serve", "handBack", "take"]), st.just(0), st.just(0)),
    ),
    max_size=60,
)


@settings(max_examples=150)
@given(STEPS, st.booleans())
def test_every_order_of_steps_keeps_the_bytes(steps: list[Any], finishes: bool) -> None:
    """Whatever is said, heard, handed back and taken over when: all arrives, in order."""
    chance = random.Random(1)
    said, heard = [bytearray(), bytearray()], [bytearray(), bytearray()]
    with byHand() as (both, serve):

        def hearSome(whose: int, size: int) -> bool:
            try:
                got = both.outer[whose].recv(size)
            except BlockingIOError:
                return False
            heard[1 - whose] += got
            return bool(got)

        for what, whose, size in steps:
            if what == "say":
                data = chance.randbytes(size)
                try:
                    said[whose] += data[: both.outer[whose].send(data)]
                except BlockingIOError:
                    continue
            elif what == "hear":
                hearSome(whose, size)
            elif what == "serve":
                serve()
            else:
                getattr(both.pump, what)()
        if finishes:
            for outer in both.outer:
                outer.shutdown(socket.SHUT_WR)
        for _ in range(400):
            serve()
            for whose in (0, 1):
                while hearSome(whose, MEGABYTE):
                    pass
            if heard == said and not finishes:
                break
        assert heard == said
        for end, whose in ((both.one, 0), (both.other, 1)):
            assert end.bytesReceived == len(said[whose])
            assert end.bytesSent == len(said[1 - whose])
        if finishes:
            assert [outer.recv(1) for outer in both.outer] == [b"", b""]
