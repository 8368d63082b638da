"""The batch reactor beside Twisted's own, which it must act like, and on each of Twisted's."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from running import running
from twisted.internet import main
from twisted.internet import reactor as realReactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.epollreactor import EPollReactor
from twisted.internet.interfaces import IHalfCloseableDescriptor
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import LoopingCall, deferLater
from twisted.internet.threads import deferToThread
from twisted.python.failure import Failure
from zope.interface import directlyProvides

from loopbackd.net.batch import BatchReactor
from net.ends import End, Real

reactor: Any = realReactor


class Told(End):
    """Reads a byte at a time, and what it reads tells it what to do."""

    def doRead(self) -> Any:
        try:
            byte = self.sock.recv(1)
        except BlockingIOError:
            return None
        except OSError:
            return main.CONNECTION_LOST
        self.told.append(f"read {byte!r}")
        if byte == b"w":
            self.core.addWriter(self)
        elif byte == b"s":
            self.core.removeReader(self)
        elif byte == b"p":
            self.core.removeReader(self)
            self.core.addReader(self)
        elif byte == b"l":
            return main.CONNECTION_LOST
        elif byte in (b"", b"d"):
            return main.CONNECTION_DONE
        return None

    def doWrite(self) -> Any:
        self.told.append("write")
        self.core.removeWriter(self)

    def readConnectionLost(self, reason: Failure) -> None:
        self.told.append("read lost")


class World:
    """Some streams on one reactor."""

    def __init__(self, core: Any, turn: Callable[[], object]) -> None:
        self.core = core
        self.turn = turn
        self.pairs: list[tuple[Told, socket.socket]] = []

    def open(self, index: int, half: bool) -> None:
        ours, theirs = socket.socketpair()
        for sock in (ours, theirs):
            sock.setblocking(False)
        end = Told(self.core, ours)
        if half:
            directlyProvides(end, IHalfCloseableDescriptor)
        self.pairs[index : index + 1] = [(end, theirs)]

    def settle(self) -> list[list[str]]:
        """Serve until nothing happens; what happened to each."""
        before = None
        while before != (before := [len(end.told) for end, _ in self.pairs]):
            self.turn()
        told = [list(end.told) for end, _ in self.pairs]
        for end, _ in self.pairs:
            end.told.clear()
        return told

    def watched(self) -> tuple[set[int], set[int]]:
        reading, writing = set(self.core.getReaders()), set(self.core.getWriters())
        return (
            {n for n, (end, _) in enumerate(self.pairs) if end in reading},
            {n for n, (end, _) in enumerate(self.pairs) if end in writing},
        )

    def close(self) -> None:
        for end, theirs in self.pairs:
            end.close()
            theirs.close()


STREAMS = 4
streams = st.integers(0, STREAMS - 1)


class LikeTwisted(RuleBasedStateMachine):
    """Whatever is added, removed, said and closed, both tell their streams the same."""

    def __init__(self) -> None:
        super().__init__()
        self.plain = EPollReactor()
        self.batch = BatchReactor(Real())
        self.worlds = [
            World(self.plain, lambda: self.plain.doPoll(0)),
            World(self.batch, self.batch.doRead),
        ]
        for world in self.worlds:
            for index in range(STREAMS):
                world.open(index, index % 2 == 0)

    @rule(
        index=streams,
        call=st.sampled_from(["addReader", "addWriter", "removeReader", "removeWriter"]),
    )
    def interest(self, index: int, call: str) -> None:
        for world in self.worlds:
            end = world.pairs[index][0]
            if end.lost is None:
                getattr(world.core, call)(end)

    @rule(index=streams, said=st.text("xwspld", min_size=1, max_size=5))
    def say(self, index: int, said: str) -> None:
        for world in self.worlds:
            try:
                world.pairs[index][1].send(said.encode())
            except OSError:
                continue

    @rule(index=streams, how=st.sampled_from([socket.SHUT_RD, socket.SHUT_WR, None]))
    def leave(self, index: int, how: int | None) -> None:
        for world in self.worlds:
            peer = world.pairs[index][1]
            if how is None:
                peer.close()
            elif peer.fileno() >= 0:
                try:
                    peer.shutdown(how)
                except OSError:
                    continue

    @rule(index=streams)
    def fill(self, index: int) -> None:
        """Make our end one that cannot be written to."""
        for world in self.worlds:
            end = world.pairs[index][0]
            try:
                while end.lost is None:
                    end.sock.send(bytes(100_000))
            except OSError:
                continue

    @rule(index=streams)
    def drain(self, index: int) -> None:
        for world in self.worlds:
            try:
                while world.pairs[index][1].recv(1 << 20):
                    pass
            except OSError:
                continue

    @rule(index=streams, half=st.booleans())
    def replace(self, index: int, half: bool) -> None:
        for world in self.worlds:
            end, peer = world.pairs[index]
            end.close()
            peer.close()
            world.open(index, half)

    @precondition(lambda self: True)
    @rule()
    def serve(self) -> None:
        plain, batch = (world.settle() for world in self.worlds)
        assert batch == plain

    @invariant()
    def sameInterest(self) -> None:
        plain, batch = (world.watched() for world in self.worlds)
        assert batch == plain

    def teardown(self) -> None:
        for world in self.worlds:
            world.close()
        self.batch.close()
        self.plain.removeAll()
        self.plain.waker.connectionLost(Failure(main.CONNECTION_DONE))
        self.plain._poller.close()


TestLikeTwisted = LikeTwisted.TestCase
TestLikeTwisted.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


class Collecting(Factory):
    """Remembers the protocols it built."""

    noisy = False

    def __init__(self, make: Callable[[], Any]) -> None:
        self.make = make
        self.built: list[Any] = []

    def buildProtocol(self, addr: Any) -> Any:
        self.built.append(self.make())
        return self.built[-1]


@pytest_twisted.ensureDeferred
async def test_an_exit_in_connectionLost_is_that_connections_alone(loggedFailures: Any) -> None:
    """It comes after the batch, when loseConnection takes effect."""

    class Leaves(Protocol):
        def dataReceived(self, data: bytes) -> None:
            if data == b"x":
                self.transport.loseConnection()  # type: ignore[union-attr]
            else:
                self.transport.write(data)  # type: ignore[union-attr]

        def connectionLost(self, reason: Any = None) -> None:
            if reason.check(main.CONNECTION_DONE.__class__):
                raise SystemExit(3)

    core = BatchReactor(reactor)
    port = await serverFromString(core, "tcp:0:interface=127.0.0.1").listen(Collecting(Leaves))
    address = ("127.0.0.1", port.getHost().port)
    with socket.create_connection(address, 5) as one, socket.create_connection(address, 5) as two:
        two.sendall(b"first")
        assert await deferToThread(two.recv, 9) == b"first"
        one.sendall(b"x")
        assert await deferToThread(one.recv, 9) == b""
        two.sendall(b"second")
        assert await deferToThread(two.recv, 9) == b"second"
        two.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    await port.stopListening()
    await deferLater(reactor, 0.01, lambda: None)
    core.close()
    assert loggedFailures.flush(SystemExit)


@pytest_twisted.ensureDeferred
async def test_the_real_reactors_timers_go_on_during_a_flood() -> None:
    """However much there is to serve, others get their turn."""

    class Floods(Protocol):
        def connectionMade(self) -> None:
            self.transport.registerProducer(self, False)  # type: ignore[union-attr]

        def resumeProducing(self) -> None:
            self.transport.write(b"x")  # type: ignore[union-attr]

        def stopProducing(self) -> None: ...

    core = BatchReactor(reactor)
    floods = Collecting(Floods)
    port = await serverFromString(core, "tcp:0:interface=127.0.0.1").listen(floods)
    clients = []
    for _ in range(50):
        clients.append(socket.create_connection(("127.0.0.1", port.getHost().port)))
    while len(floods.built) < 50:
        await deferLater(reactor, 0, lambda: None)
    ticks: list[float] = []
    enough: Deferred[None] = Deferred()

    def tick() -> None:
        ticks.append(reactor.seconds())
        if len(ticks) == 40:
            enough.callback(None)

    # The sockets take a byte at a time, far longer than this lasts.
    loop = LoopingCall(tick)
    loop.start(0.005)
    await enough
    loop.stop()
    sent = sum(protocol.transport.bytesSent for protocol in floods.built)
    for client in clients:
        client.close()
    await port.stopListening()
    while any(protocol.transport.connected for protocol in floods.built):
        await deferLater(reactor, 0, lambda: None)
    core.close()
    assert sent > 100 * len(clients), "that was no flood"
    longest = max(after - before for before, after in pairwise(ticks))
    assert longest < 0.5


@pytest.mark.parametrize("name", ["select", "poll", "epoll", "asyncio"])
def test_the_daemon_serves_on_each_of_twisteds_reactors(tmp_path: Path, name: str) -> None:
    """Bytes come back, a half-close is kept, and it leaves when it is told to."""
    with running(
        tmp_path,
        "--serve",
        "echo@tcp:0:interface=127.0.0.1",
        "--no-twin",
        "--drain=0",
        reactor=name,
    ) as daemon:
        for _ in range(2):
            with socket.create_connection(daemon.address("echo"), 10) as client:
                client.sendall(b"there")
                client.shutdown(socket.SHUT_WR)
                assert client.makefile("rb").read() == b"there"
        stays = socket.create_connection(daemon.address("echo"), 10)
        stays.sendall(b"x")
        assert stays.recv(1) == b"x"
        daemon.send(signal.SIGTERM)
        assert daemon.end() in (0, -signal.SIGTERM)
        assert stays.recv(1) == b""
        stays.close()
    assert not any("Traceback" in line for line in daemon.lines)


_STOPPED = """
import socket, sys
from twisted.python.reflect import namedModule
namedModule("twisted.internet." + sys.argv[1] + "reactor").install()
from twisted.internet import reactor
from twisted.internet.protocol import Factory, Protocol
from loopbackd.net.batch import BatchReactor

class Says(Protocol):
    def connectionMade(self):
        reactor.stop()
    def connectionLost(self, reason):
        print("lost", reason.type.__name__)

port = BatchReactor(reactor).listenTCP(0, Factory.forProtocol(Says), interface="127.0.0.1")
client = socket.create_connection(("127.0.0.1", port.getHost().port))
reactor.run()
"""


@pytest.mark.parametrize("name", ["select", "poll", "epoll", "asyncio"])
def test_a_reactor_that_stops_tells_every_connection(name: str) -> None:
    """As it tells its own."""
    told = subprocess.run(
        [sys.executable, "-c", _STOPPED, name], capture_output=True, text=True, timeout=30
    )
    assert (told.stdout, told.stderr) == ("lost ConnectionLost\n", "")
