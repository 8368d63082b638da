"""The batch reactor: by hand on socket pairs, beside Twisted's own, and under each of Twisted's."""

from __future__ import annotations

import errno
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
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
from twisted.internet.interfaces import IHalfCloseableDescriptor, IReactorFDSet
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock, LoopingCall, deferLater
from twisted.internet.threads import deferToThread
from twisted.python.failure import Failure
from zope.interface import directlyProvides, implementer

from loopbackd.net.batch import BatchReactor, batchIfPossible
from loopbackd.net.reactor import PlainReactor

reactor: Any = realReactor


@implementer(IReactorFDSet)
class Real(Clock):
    """Stands for the real reactor: knows whom it would watch."""

    def __init__(self) -> None:
        super().__init__()
        self.reading: set[Any] = set()
        self.writing: set[Any] = set()
        self.addReader, self.removeReader = self.reading.add, self.reading.discard
        self.addWriter, self.removeWriter = self.writing.add, self.writing.discard

    def seconds(self) -> float:
        """Time passes by being looked at."""
        self.rightNow += 0.0005
        return super().seconds()


class End:
    """One end of a stream, that remembers what happened to it and then does as it was told."""

    def __init__(self, core: Any, sock: socket.socket) -> None:
        self.core = core
        self.sock = sock
        self.told: list[str] = []
        self.doing: Callable[[], Any] = lambda: None
        self.lost: BaseException | None = None

    def fileno(self) -> int:
        return self.sock.fileno()

    def logPrefix(self) -> str:
        return "end"

    def doRead(self) -> Any:
        self.told.append("read")
        return self.doing()

    def doWrite(self) -> Any:
        self.told.append("write")
        return self.doing()

    def connectionLost(self, reason: Failure) -> None:
        self.told.append("lost")
        self.lost = reason.value
        self.close()

    def close(self) -> None:
        self.core.removeReader(self)
        self.core.removeWriter(self)
        self.sock.close()


class Table:
    """A batch reactor, with ends on it that can all be read."""

    def __init__(self) -> None:
        self.real = Real()
        self.core = BatchReactor(self.real)
        self.peers: list[socket.socket] = []
        self.ends: list[End] = []

    def end(self, readable: bool = True) -> End:
        ours, theirs = socket.socketpair()
        self.peers.append(theirs)
        if readable:
            theirs.send(b"x")
        end = End(self.core, ours)
        self.ends.append(end)
        return end

    def reading(self, count: int) -> list[End]:
        """Ends that are watched for reading and have something to read."""
        ends = [self.end() for _ in range(count)]
        for end in ends:
            self.core.addReader(end)
        return ends

    def closeAll(self) -> None:
        for end in self.ends:
            end.sock.close()
        for peer in self.peers:
            peer.close()
        self.core.close()


@pytest.fixture
def table() -> Iterator[Table]:
    """One for the test; closed afterwards."""
    table = Table()
    yield table
    table.closeAll()


def test_the_real_reactor_sees_one_descriptor_while_there_is_anything(table: Table) -> None:
    """And none before and after."""
    assert table.real.reading == set()
    one, two = table.reading(2)
    assert table.real.reading == {table.core}
    table.core.removeReader(one)
    table.core.addWriter(two)
    table.core.removeReader(two)
    assert table.real.reading == {table.core}
    table.core.removeWriter(two)
    assert table.real.reading == set() and table.core.getReaders() == []
    table.core.doRead()
    assert one.told == two.told == []


def test_who_is_watched_is_told_of_what_it_is_watched_for(table: Table) -> None:
    """Reading, writing, both, or nothing; the same reading twice is once."""
    core = table.core
    reads, writes, both, nothing = (table.end() for _ in range(4))
    for end in (reads, both):
        core.addReader(end)
        core.addReader(end)
        end.doing = lambda end=end: end.sock.recv(1) and None if end.told[-1] == "read" else None
    for end in (writes, both):
        core.addWriter(end)
    assert (set(core.getReaders()), set(core.getWriters())) == ({reads, both}, {writes, both})
    table.real.advance(1)
    core.doRead()
    assert reads.told == ["read"]
    assert set(writes.told) == {"write"}
    assert both.told[:2] == ["read", "write"]
    assert nothing.told == []


def replacing(table: Table, victim: End) -> Callable[[], None]:
    """Close the victim and let a new connection have its number, in the same batch; once."""
    done: list[int] = []

    def replace() -> None:
        if done:
            return
        number = victim.fileno()
        done.append(number)
        new = table.end(readable=False)
        victim.close()
        other, new.sock = new.sock, socket.socket(fileno=os.dup2(new.fileno(), number))
        other.close()
        table.core.addReader(new)
        table.core.addWriter(new)
        table.core.removeWriter(new)

    return replace


def test_a_number_in_use_again_does_not_get_the_old_ones_event(table: Table) -> None:
    """Whoever is served first closes the other, and a new connection gets its descriptor."""
    one, two = table.reading(2)
    one.doing = replacing(table, two)
    two.doing = replacing(table, one)
    before = len(table.ends)
    table.core.doRead()
    first, second = (one, two) if one.told else (two, one)
    assert set(first.told) == {"read"} and second.told == []
    new = table.ends[-1]
    assert len(table.ends) > before and new.told == []
    assert new in table.core.getReaders()
    first.close()
    table.peers[table.ends.index(new)].send(b"y")
    new.doing = lambda: table.core.removeReader(new)
    table.core.doRead()
    assert new.told == ["read"]


def test_a_stale_hang_up_is_not_the_new_ones(table: Table) -> None:
    """The peer of one that is closed in this batch has hung up: its successor has not."""
    one, two = table.reading(2)
    for end, other in ((one, two), (two, one)):
        end.doing = replacing(table, other)
    for peer in table.peers:
        peer.close()
    table.core.doRead()
    assert table.ends[-1].lost is None
    assert [end.told.count("lost") for end in (one, two)] in ([1, 0], [0, 1], [0, 0])


def test_who_was_closed_in_this_batch_is_not_served_in_it(table: Table) -> None:
    """Also not to be told that it hung up."""
    one, two = table.reading(2)
    one.doing, two.doing = two.close, one.close
    table.peers[0].close()
    table.peers[1].close()
    table.core.doRead()
    assert sorted([bool(one.told), bool(two.told)]) == [False, True]


def test_who_was_paused_in_this_batch_is_not_read_in_it(table: Table) -> None:
    """A relay that pauses the other side gets nothing more from it."""
    one, two = table.reading(2)
    one.doing = lambda: [table.core.removeReader(end) for end in (two, one)].clear()
    two.doing = lambda: [table.core.removeReader(end) for end in (one, two)].clear()
    table.core.doRead()
    assert sorted([one.told, two.told]) == [[], ["read"]]


@pytest.mark.parametrize("where", ["doRead", "doWrite"])
def test_one_that_raises_is_closed_and_the_others_served(
    table: Table, loggedFailures: Any, where: str
) -> None:
    """It is told what it raised."""
    ends = table.reading(3)
    if where == "doWrite":
        for end in ends:
            table.core.removeReader(end)
            table.core.addWriter(end)
    for end in ends:
        end.doing = end.close  # type: ignore[assignment]
    ends[1].doing = lambda: 1 / 0
    table.core.doRead()
    assert isinstance(ends[1].lost, ZeroDivisionError)
    assert all(len(end.told) == 1 for end in (ends[0], ends[2]))
    assert len(loggedFailures.flush(ZeroDivisionError)) == 1


def test_one_that_raises_while_it_is_closed_does_no_harm(table: Table, loggedFailures: Any) -> None:
    """It is out of the set before it is told."""
    ends = table.reading(3)
    for end in ends:
        end.doing = lambda: main.CONNECTION_LOST
    ends[1].connectionLost = lambda reason: 1 / 0  # type: ignore[assignment]
    table.core.doRead()
    assert [end.told for end in ends] == [["read", "lost"], ["read"], ["read", "lost"]]
    assert table.core.getReaders() == []
    assert len(loggedFailures.flush(ZeroDivisionError)) == 1


def leave(*_: Any) -> None:
    """What a protocol that thinks it is a script does."""
    raise SystemExit(3)


def test_an_exit_ends_one_connection_and_not_the_batch(table: Table, loggedFailures: Any) -> None:
    """Twisted's reactors log it, too."""
    ends = table.reading(2)
    ends[0].doing = leave
    ends[1].doing = ends[1].close  # type: ignore[assignment]
    table.core.doRead()
    assert isinstance(ends[0].lost, SystemExit)
    assert ends[1].told == ["read"]
    assert len(loggedFailures.flush(SystemExit)) == 1


def test_an_exit_afterwards_does_not_end_the_batch_either(
    table: Table, loggedFailures: Any
) -> None:
    """What was put off until the batch is served can raise anything."""
    one, two = table.reading(2)
    done: list[str] = []

    def later() -> None:
        table.core.removeReader(one)
        table.core.soon(leave)
        table.core.soon(lambda: done.append("next"))

    one.doing, two.doing = later, two.close  # type: ignore[assignment]
    table.core.doRead()
    assert done == ["next"]
    assert len(loggedFailures.flush(SystemExit)) == 1


def test_soon_is_after_the_batch_and_before_anything_is_waited_for(table: Table) -> None:
    """Outside a batch it is the real reactor's next turn."""
    one, two = table.reading(2)
    order: list[str] = []
    for end in (one, two):

        def served(end: End = end) -> None:
            order.append("served")
            table.core.removeReader(end)
            table.core.soon(lambda: order.append("soon"))

        end.doing = served
    table.core.doRead()
    assert order == ["served", "served", "soon", "soon"]
    table.core.soon(lambda: order.append("outside"))
    assert order[-1] == "soon"
    table.real.advance(0)
    assert order[-1] == "outside"


class File:
    """What epoll(7) does not watch: a plain file."""

    def __init__(self, path: Path) -> None:
        self.file = path.open("rb")
        self.fileno = self.file.fileno


@pytest.mark.parametrize("inBatch", [False, True])
def test_plain_files_are_the_real_reactors(table: Table, tmp_path: Path, inBatch: bool) -> None:
    """They are always ready; the real reactor knows how to go on about it."""
    (tmp_path / "f").touch()
    file = File(tmp_path / "f")
    core, real = table.core, table.real

    def do(call: Callable[[Any], object]) -> None:
        if not inBatch:
            call(file)
            return
        [end] = table.reading(1)
        end.doing = lambda: [core.removeReader(end), call(file)].clear()
        core.doRead()

    do(core.addReader)
    assert file in real.reading and file not in real.writing
    do(core.addWriter)
    assert file in real.writing
    do(core.addReader)
    do(core.removeReader)
    assert file not in real.reading and file in real.writing
    do(lambda file: (core.addReader(file), core.removeReader(file)))
    assert file not in real.reading
    do(core.removeWriter)
    assert file not in real.writing
    assert not core._unpollable
    file.file.close()


def test_a_descriptor_closed_behind_our_back_can_still_be_taken_out(table: Table) -> None:
    """Its number is not known any more when it is."""
    [end] = table.reading(1)
    end.sock.close()
    assert end.fileno() == -1
    table.core.doRead()
    assert end.told == []
    table.core.removeReader(end)
    assert table.core.getReaders() == [] and table.real.reading == set()


def test_a_number_closed_behind_our_back_can_be_used_again(table: Table) -> None:
    """The one that had it and never said goodbye is not told, the one that has it is."""
    [old] = table.reading(1)
    number = old.fileno()
    old.sock.close()
    new = table.end()
    assert new.fileno() == number
    table.core.addReader(new)
    new.doing = lambda: table.core.removeReader(new)
    table.core.doRead()
    assert (old.told, new.told) == ([], ["read"])
    assert table.core.getReaders() == []


def test_what_cannot_be_watched_is_the_callers_error_and_not_kept(table: Table) -> None:
    """A number that is not open."""

    class Closed:
        def fileno(self) -> int:
            return 999_999

    closed = Closed()
    with pytest.raises(OSError) as caught:
        table.core.addReader(closed)
    assert caught.value.errno == errno.EBADF
    assert table.core.getReaders() == []
    assert table.real.reading == set()


def test_what_cannot_be_watched_is_logged_at_the_end_of_a_batch(
    table: Table, loggedFailures: Any
) -> None:
    """Where there is no caller any more."""
    [end] = table.reading(1)

    def closedAfterwards() -> None:
        table.core.removeReader(end)
        other = table.end()
        table.core.addReader(other)
        other.sock.close()

    end.doing = closedAfterwards
    table.core.doRead()
    assert len(loggedFailures.flush(OSError)) == 1
    assert table.core.getReaders() == []


def test_remove_all(table: Table) -> None:
    """All are given back, nobody is told, nothing is watched."""
    ends = table.reading(3)
    assert set(table.core.removeAll()) == set(ends)
    assert table.core.getReaders() == [] and table.real.reading == set()
    table.core.doRead()
    assert [end.told for end in ends] == [[], [], []]


def test_at_the_real_reactors_shutdown_everybody_is_told(table: Table, loggedFailures: Any) -> None:
    """Also those after one that raises."""
    ends = table.reading(3)
    ends[0].connectionLost = lambda reason: 1 / 0  # type: ignore[assignment]
    table.core.connectionLost(Failure(main.CONNECTION_LOST))
    assert [end.told for end in ends[1:]] == [["lost"], ["lost"]]
    assert len(loggedFailures.flush(ZeroDivisionError)) == 1


def test_where_there_is_no_epoll_the_plain_reactor_is_used(monkeypatch: Any) -> None:
    """And what is missing is told."""

    def refused() -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    core, missing = batchIfPossible(Clock())
    assert type(core) is PlainReactor and missing is not None and "Clock" in missing
    monkeypatch.setattr(select, "epoll", refused)
    core, missing = batchIfPossible(Real())
    assert type(core) is PlainReactor and missing == "epoll_create1(2): Too many open files"
    monkeypatch.delattr(select, "epoll")
    core, missing = batchIfPossible(Real())
    assert type(core) is PlainReactor and missing is not None and "epoll(7)" in missing


# Beside Twisted's own epoll reactor: what happens to a descriptor is the same.


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


# On the real reactor.


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
        daemon.stop()
        assert stays.recv(1) == b""
        stays.close()
    assert daemon.process.returncode in (0, -signal.SIGTERM)
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
