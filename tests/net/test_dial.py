"""Connecting to known addresses (`loopbackd.net.dial`), on both of our reactors."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from typing import Any

import pytest
import pytest_twisted
from sockets import until
from twisted.internet import error, main
from twisted.internet import reactor as realReactor
from twisted.internet.protocol import Protocol
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from loopbackd.net.batch import BatchReactor
from loopbackd.net.dial import Dial
from loopbackd.net.reactor import PlainReactor

reactor: Any = realReactor


@pytest.fixture(params=["batch", "plain"])
def core(request: pytest.FixtureRequest) -> Iterator[Any]:
    """A reactor of loopbackd's over the real one."""
    made = (BatchReactor if request.param == "batch" else PlainReactor)(reactor)
    yield made
    made.close()


@pytest.fixture
def server() -> Iterator[socket.socket]:
    """Somebody who listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def nowhere() -> Any:
    """An address where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return socket.AF_INET, server.getsockname()


class Dialled:
    """A dial, what it came to, and the protocol that it is for."""

    def __init__(self, core: Any, *addresses: Any) -> None:
        self.protocol = Protocol()
        self.errors: list[OSError] = []
        self.dial = Dial(core, addresses, self.protocol, self.errors.append)

    @property
    def isConnected(self) -> bool:
        return bool(self.protocol.connected)

    async def end(self) -> None:
        transport: Any = self.protocol.transport
        transport.abortConnection()
        await until(lambda: not transport.connected)


@pytest_twisted.ensureDeferred
async def test_who_listens_here_is_there_at_once(core: Any, server: socket.socket) -> None:
    """Without a turn of the reactor; the transport knows both addresses."""
    dialled = Dialled(core, (socket.AF_INET, server.getsockname()))
    dialled.dial.start()
    assert dialled.isConnected and not dialled.errors
    transport: Any = dialled.protocol.transport
    assert transport.getPeer().port == server.getsockname()[1]
    accepted, address = server.accept()
    with accepted:
        assert transport.getHost().port == address[1]
    await dialled.end()


def test_who_refuses_does_so_at_once(core: Any) -> None:
    """With the kernel's reason."""
    dialled = Dialled(core, nowhere())
    dialled.dial.start()
    assert [one.errno for one in dialled.errors] == [errno.ECONNREFUSED]
    assert not dialled.isConnected


@pytest_twisted.ensureDeferred
async def test_the_next_address_is_tried(core: Any, server: socket.socket) -> None:
    """Until one takes the connection; the last one's error is told."""
    dialled = Dialled(core, nowhere(), (socket.AF_INET, server.getsockname()), nowhere())
    dialled.dial.start()
    assert dialled.isConnected
    await dialled.end()
    missing = (socket.AF_UNIX, "/nowhere/at/all")
    dialled = Dialled(core, nowhere(), missing)
    dialled.dial.start()
    assert [one.errno for one in dialled.errors] == [errno.ENOENT]


def filled(server: socket.socket) -> list[socket.socket]:
    """Those who fill a server's queue."""
    waiting = []
    for _ in range(4):
        one = socket.socket(server.family)
        one.setblocking(False)
        one.connect_ex(server.getsockname())
        waiting.append(one)
    return waiting


@pytest.fixture
def slow() -> Iterator[Any]:
    """The address of somebody whose queue is full, so that the kernel does not answer."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        waiting = filled(server)
        yield socket.AF_INET, server.getsockname()
        for one in waiting:
            one.close()


@pytest_twisted.ensureDeferred
async def test_one_that_takes_its_time_can_be_cancelled(core: Any, slow: Any) -> None:
    """Nobody hears of it any more; its descriptor is closed."""
    dialled = Dialled(core, slow, nowhere())
    dialled.dial.start()
    assert dialled.dial.fileno() >= 0
    await deferLater(reactor, 0.01, lambda: None)
    dialled.dial.cancel()
    await deferLater(reactor, 0.01, lambda: None)
    assert dialled.errors == [] and not dialled.isConnected
    assert dialled.dial.fileno() == -1


def test_a_reactor_that_is_emptied_ends_it(core: Any, slow: Any) -> None:
    """The addresses that are left are not tried."""
    dialled = Dialled(core, slow, nowhere())
    dialled.dial.start()
    dialled.dial.connectionLost(Failure(main.CONNECTION_LOST))
    assert [one.errno for one in dialled.errors] == [errno.ECONNABORTED]
    assert dialled.dial.fileno() == -1


@pytest_twisted.ensureDeferred
async def test_an_answer_that_comes_later(core: Any, server: socket.socket, slow: Any) -> None:
    """Is told as well, yes or no: here from sockets that have it already, but were not asked."""
    for address, wanted in (((socket.AF_INET, server.getsockname()), 0), (nowhere(), 1)):
        dialled = Dialled(core, slow)
        dialled.dial.start()
        late = socket.socket()
        late.setblocking(False)
        late.connect_ex(address[1])
        core.removeWriter(dialled.dial)
        before, dialled.dial._sock = dialled.dial._sock, late
        assert before is not None
        before.close()
        core.addWriter(dialled.dial)
        await until(lambda dialled=dialled: dialled.isConnected or dialled.errors)
        assert len(dialled.errors) == wanted
        if dialled.isConnected:
            await dialled.end()


@pytest_twisted.ensureDeferred
async def test_a_unix_socket_whose_queue_is_full(core: Any, tmp_path: Any) -> None:
    """Is tried again until there is room; poll(2) would not say when. Or until it is enough."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"{tmp_path}/s")
        server.listen(0)
        waiting = filled(server)
        address = (socket.AF_UNIX, f"{tmp_path}/s")
        one, other = Dialled(core, address), Dialled(core, address)
        one.dial.start()
        other.dial.start()
        assert not one.isConnected and not one.errors
        other.dial.cancel()
        accepted = [server.accept()[0]]
        await until(lambda: one.isConnected)
        assert not other.isConnected and not other.errors
        await one.end()
        for sock in waiting + accepted:
            sock.close()


@pytest_twisted.ensureDeferred
async def test_a_protocol_that_fails_loses_its_connection(
    core: Any, server: socket.socket, loggedFailures: Any
) -> None:
    """And is logged."""

    class Fails(Protocol):
        lost: Any = None

        def connectionMade(self) -> None:
            raise ZeroDivisionError

        def connectionLost(self, reason: Failure = main.CONNECTION_LOST) -> None:  # type: ignore[assignment]
            self.lost = reason

    protocol = Fails()
    Dial(core, [(socket.AF_INET, server.getsockname())], protocol, lambda _: None).start()
    await until(lambda: protocol.lost)
    assert protocol.lost.check(error.ConnectionAborted)
    assert len(loggedFailures.flush(ZeroDivisionError)) == 1


def test_without_descriptors_it_fails(core: Any, monkeypatch: Any) -> None:
    """With the system's reason."""

    def full(*_: Any) -> Any:
        raise OSError(errno.EMFILE, "Too many open files")

    dialled = Dialled(core, (socket.AF_INET, ("127.0.0.1", 1)))
    with monkeypatch.context() as patch:
        patch.setattr(socket, "socket", full)
        dialled.dial.start()
    assert [one.errno for one in dialled.errors] == [errno.EMFILE]
