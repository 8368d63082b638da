"""The batch reactor by hand, on socket pairs."""

from __future__ import annotations

import errno
import os
import select
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet import main
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from loopbackd.net.batch import BatchReactor, batchIfPossible
from loopbackd.net.reactor import PlainReactor
from net.ends import End, Real


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


def test_who_is_read_again_in_this_batch_has_not_hung_up(table: Table) -> None:
    """Both sides have finished, but not all was read: the kernel was not asked whether it was."""
    one, paused = table.reading(2)
    table.core.rest(paused)
    paused.sock.shutdown(socket.SHUT_WR)
    table.peers[1].shutdown(socket.SHUT_WR)

    def readAgain() -> None:
        table.core.removeReader(one)
        table.core.addReader(paused)

    one.doing = readAgain
    paused.doing = lambda: table.core.removeReader(paused)
    table.core.doRead()
    assert paused.told == ["read"]


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
