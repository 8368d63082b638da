"""Ports that accept: by hand, and on the real daemon where descriptors run out."""

from __future__ import annotations

import errno
import os
import resource
import select
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from running import Running, running, until
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.protocol import Factory, Protocol

from loopbackd.connection import Connection
from loopbackd.connections import Connections
from loopbackd.net.port import Port, UnixPort
from loopbackd.net.reactor import Doorway, PlainReactor
from loopbackd.peer.identity import PeerIdentity
from net.ends import Still

NOBODY = PeerIdentity(None, 0, None, "", "a test")


class Entrance:
    """A door that lets in whom it is told to."""

    def __init__(self) -> None:
        self.connections = Connections(lambda _: NOBODY, lambda: 0)
        self.open = True
        self.floods: list[int] = []

    def admit(self, sock: socket.socket, remote: Any) -> Connection | None:
        if self.open:
            return self.connections.add("a", remote)
        sock.close()
        return None

    def attach(self, transport: Any, protocol: Any) -> None:
        protocol.makeConnection(transport)

    def flooded(self, howMany: int) -> None:
        self.floods.append(howMany)


class Building(Factory):
    """Remembers what it built."""

    noisy = False

    def __init__(self) -> None:
        self.built: list[Protocol] = []
        self.made: Any = Protocol

    def buildProtocol(self, addr: Any) -> Any:
        protocol = self.made()
        if protocol is not None:
            self.built.append(protocol)
        return protocol


class House:
    """A port, listening for real, and clients; the reactor is worked by hand."""

    def __init__(self) -> None:
        self.real = Still()
        self.door = Entrance()
        self.factory = Building()
        self.clients: list[socket.socket] = []
        doorway = Doorway(PlainReactor(self.real), self.door)
        self.port: Any = doorway.listenTCP(0, self.factory, 50, "127.0.0.1")

    def knock(self) -> socket.socket:
        client = socket.create_connection(("127.0.0.1", self.port.getHost().port), 5)
        self.clients.append(client)
        return client

    def close(self) -> None:
        for client in self.clients:
            client.close()
        for protocol in self.factory.built:
            if protocol.transport is not None and protocol.transport.connected:  # type: ignore[attr-defined]
                protocol.transport.abortConnection()  # type: ignore[attr-defined]
        self.port.stopListening()
        self.real.advance(0)
        self.real.advance(0)


@pytest.fixture
def house() -> Iterator[House]:
    """One for the test; closed afterwards, with no timer left."""
    house = House()
    yield house
    house.close()
    assert house.real.getDelayedCalls() == []
    assert not house.real.reading


@pytest.fixture
def lines(logged: Callable[[str], list[str]]) -> list[str]:
    """What the port logs without a traceback."""
    return logged("loopbackd.net.port")


def ending(client: socket.socket) -> str:
    """How a client learns that it is over."""
    try:
        return "end" if client.recv(1) == b"" else "data"
    except ConnectionResetError:
        return "reset"


def test_who_is_let_in_is_in_the_table_and_carried(house: House) -> None:
    """Door, factory, transport, in that order; all of those waiting in one turn."""
    house.knock()
    house.knock()
    house.port.doRead()
    assert len(house.factory.built) == len(house.door.connections) == 2
    first: Any = house.factory.built[0]
    connection = first.transport.connection
    assert next(iter(house.door.connections)) is connection
    assert connection.protocol == "Protocol"
    assert connection.remote == first.transport.getPeer()
    assert first.transport.getHost() == house.port.getHost()


def test_who_is_not_let_in_costs_no_protocol(house: House) -> None:
    """The door has closed the socket itself."""
    house.door.open = False
    client = house.knock()
    house.port.doRead()
    assert house.factory.built == []
    assert ending(client) == "end"


def test_a_bounded_number_is_accepted_at_a_time(house: House) -> None:
    """The rest comes with the next event; nobody else waits for a burst to end."""
    house.port.mostAccepts = 3
    for _ in range(5):
        house.knock()
    house.port.doRead()
    assert len(house.factory.built) == 3
    house.port.doRead()
    assert len(house.factory.built) == 5
    house.port.doRead()
    assert len(house.factory.built) == 5


def test_a_factory_that_wants_no_connection(house: House) -> None:
    """It is reset, and the table says so."""
    house.factory.made = lambda: None
    client = house.knock()
    ended: list[Connection] = []

    class Watcher:
        def connectionOpened(self, connection: Connection) -> None: ...
        def connectionClosed(self, connection: Connection) -> None:
            ended.append(connection)

    house.door.connections.watch(Watcher())  # type: ignore[arg-type]
    house.port.doRead()
    assert ending(client) == "reset"
    assert len(house.door.connections) == 0
    assert [one.reason for one in ended] == ["refused"]


def test_a_factory_that_raises(house: House, loggedFailures: Any) -> None:
    """The connection is reset and the port goes on."""
    house.factory.made = lambda: 1 / 0
    client = house.knock()
    house.port.doRead()
    assert ending(client) == "reset"
    assert len(house.door.connections) == 0
    assert len(loggedFailures.flush(ZeroDivisionError)) == 1
    house.factory.made = Protocol
    house.knock()
    house.port.doRead()
    assert len(house.door.connections) == 1


def test_a_stream_that_cannot_be_watched_is_not_left_in_the_table(
    house: House, loggedFailures: Any
) -> None:
    """The reactor may refuse a descriptor: the kernel has no room for it, say."""

    def refuse(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "no room")

    house.port.transport = refuse
    client = house.knock()
    house.port.doRead()
    assert ending(client) in ("end", "reset")
    assert len(house.door.connections) == 0
    assert len(loggedFailures.flush(OSError)) == 1


def test_a_door_that_raises_closes_the_socket(house: House, loggedFailures: Any) -> None:
    """And the next in the queue is asked in."""

    def fail(sock: Any, remote: Any) -> None:
        house.door.admit = Entrance.admit.__get__(house.door)  # type: ignore[method-assign]
        raise ZeroDivisionError

    house.door.admit = fail  # type: ignore[method-assign,assignment]
    first, _second = house.knock(), house.knock()
    house.port.doRead()
    assert ending(first) in ("end", "reset")
    assert len(house.factory.built) == 1
    assert len(loggedFailures.flush(ZeroDivisionError)) == 1


class Listening:
    """A listening socket whose accept(2) says what it is told to."""

    def __init__(self, real: socket.socket, *answers: Any) -> None:
        self._real = real
        self._answers = list(answers)

    def _accept(self) -> Any:
        answer = self._answers.pop(0) if self._answers else errno.EAGAIN
        if isinstance(answer, int):
            raise OSError(answer, os.strerror(answer))
        return answer._accept()

    def accept(self) -> Any:
        fd, address = self._accept()
        return socket.socket(fileno=fd), address

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


@pytest.mark.parametrize("number", [errno.ECONNABORTED, errno.EPERM, errno.EPROTO])
def test_a_client_that_went_away_is_no_news(house: House, lines: list[str], number: int) -> None:
    """Or that a firewall took away (accept(2))."""
    house.port.socket = Listening(house.port.socket, number)
    house.port.doRead()
    assert lines == []


def test_other_errors_of_accept_are_told(house: House, lines: list[str]) -> None:
    """And are no reason to give up."""
    house.port.socket = Listening(house.port.socket, errno.ENOBUFS)
    house.port.doRead()
    assert len(lines) == 1 and "No buffer space" in lines[0]
    assert house.port in house.real.reading


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE])
def test_without_descriptors_those_waiting_are_reset(house: House, number: int) -> None:
    """Instead of being left in the queue, where the port would be readable for ever."""
    listening = house.port.socket
    clients = [house.knock() for _ in range(3)]
    house.port.socket = Listening(listening, number, *[listening] * 3)
    house.port.doRead()
    assert [ending(client) for client in clients] == ["reset"] * 3
    assert house.door.floods == [3]
    assert house.factory.built == []
    assert house.port in house.real.reading


def test_without_even_the_spare_descriptor_it_waits_a_little(house: House) -> None:
    """Somebody else in this process took it: the reactor must not spin until it is back."""
    listening = house.port.socket
    client = house.knock()
    house.port.socket = Listening(listening, *[errno.EMFILE] * 4)
    house.port.doRead()
    assert house.port not in house.real.reading
    house.port.socket = listening
    house.real.advance(1)
    assert house.port in house.real.reading
    house.port.doRead()
    client.sendall(b"x")
    assert len(house.factory.built) == 1


def test_a_port_that_waits_can_be_closed(house: House) -> None:
    """And leaves no timer behind (the fixture looks)."""
    listening = house.port.socket
    house.port.socket = Listening(listening, *[errno.EMFILE] * 4)
    house.port.doRead()
    house.port.socket = listening


def test_without_a_door_everybody_comes_in() -> None:
    """As on a reactor of Twisted's; also when descriptors are missing."""
    real, factory = Still(), Building()
    port: Any = PlainReactor(real).listenTCP(0, factory, interface="127.0.0.1")
    with socket.create_connection(("127.0.0.1", port.getHost().port)) as client:
        port.doRead()
        transport: Any = factory.built[0].transport
        assert transport.connection is None
        assert transport.getPeer().port == client.getsockname()[1]
        listening, port.socket = port.socket, Listening(port.socket, errno.EMFILE)
        port.doRead()
        port.socket = listening
        transport.abortConnection()
    port.stopListening()
    real.advance(1)


def test_a_wildcard_port_asks_each_stream_for_its_own_address() -> None:
    """A port with one address does not."""
    real, factory = Still(), Building()
    port: Any = PlainReactor(real).listenTCP(0, factory, interface="")
    assert port.onlyHost is None
    number = port.getHost().port
    with socket.create_connection(("127.0.0.2", number)):
        port.doRead()
        transport: Any = factory.built[0].transport
        assert transport.getHost() == IPv4Address("TCP", "127.0.0.2", number)
        transport.abortConnection()
    port.stopListening()
    real.advance(0)


def test_a_link_local_peer_keeps_its_scope() -> None:
    """Python leaves it out of the host it reports."""
    port = Port(0, Factory(), 50, "::1", PlainReactor(Still()))
    port._addressType = IPv6Address
    name = socket.if_indextoname(1)
    assert port._remote(("fe80::1", 7, 0, 1)).host == f"fe80::1%{name}"  # type: ignore[attr-defined]
    assert port._remote(("::1", 7, 0, 0)).host == "::1"  # type: ignore[attr-defined]


@pytest.mark.parametrize("gone", [False, True])
def test_a_unix_port_takes_its_path_away(tmp_path: Path, gone: bool) -> None:
    """That somebody did so already keeps nothing open."""
    real = Still()
    path = tmp_path / "s"
    port: Any = PlainReactor(real).listenUNIX(str(path), Building())
    assert isinstance(port, UnixPort) and path.is_socket()
    if gone:
        path.unlink()
    number = port.socket.fileno()
    port.stopListening()
    real.advance(0)
    assert not path.exists()
    with pytest.raises(OSError):
        os.fstat(number)


# The real daemon with 64 descriptors.

LIMIT = 64

_FILES = '''
"""Opens files when it is asked to."""
import os
from twisted.protocols.basic import LineOnlyReceiver

class Files(LineOnlyReceiver):
    delimiter = b"\\n"
    held = []

    def lineReceived(self, line):
        self.sendLine(getattr(self, line.decode())().encode())

    def open(self):
        try:
            with open(__file__) as file:
                return file.readline() and "opened"
        except OSError as error:
            return error.strerror

    def fill(self):
        try:
            while True:
                self.held.append(os.open(os.devnull, os.O_RDONLY))
        except OSError:
            return "full"

    def free(self):
        while self.held:
            os.close(self.held.pop())
        return "free"
'''


@pytest.fixture
def narrow(tmp_path: Path) -> Iterator[tuple[Running, Any]]:
    """A daemon that may have 64 descriptors, with echo; and how to ask it about files."""
    (tmp_path / "files.py").write_text(_FILES)

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (LIMIT, LIMIT))

    services = ("echo@tcp:0:interface=127.0.0.1", "./files.py:Files@tcp:0:interface=127.0.0.1")
    arguments = [word for service in services for word in ("--serve", service)]
    with (
        running(tmp_path, *arguments, "--no-twin", "--drain=0", before=limit) as daemon,
        socket.create_connection(daemon.address("Files"), 10) as control,
        control.makefile("r") as answers,
    ):

        def ask(what: str) -> str:
            control.sendall(what.encode() + b"\n")
            return answers.readline().strip()

        assert ask("open") == "opened"
        yield daemon, ask


def spent(daemon: Running, control: socket.socket) -> float:
    """The processor time the daemon uses in a second in which nobody says anything."""
    before = daemon.seconds
    assert select.select([control], [], [], 1)[0] == []
    return daemon.seconds - before


def visit(address: tuple[str, int], stack: ExitStack) -> socket.socket | None:
    """A client; None if it was reset before it knew that it was connected."""
    client = stack.enter_context(socket.socket())
    client.settimeout(10)
    try:
        client.connect(address)
    except ConnectionResetError:
        return None
    return client


def echoes(client: socket.socket | None) -> bool:
    """Whether a client is served."""
    try:
        if client is not None:
            client.sendall(b"x")
            return client.recv(1) == b"x"
    except (ConnectionResetError, BrokenPipeError):
        pass
    return False


def refusals(daemon: Running) -> list[str]:
    """The log lines about connections that were not let in."""
    return [line for line in daemon.lines if "refused" in line]


def test_a_flood_past_the_descriptor_limit_is_survived(narrow: Any) -> None:
    """Files can be opened all the while, nothing spins, and service resumes."""
    daemon, ask = narrow
    address = daemon.address("echo")
    start = time.monotonic()
    rounds = 0
    with ExitStack() as stack:
        while rounds < 3 or time.monotonic() < start + 1.2:
            rounds += 1
            stack.close()
            clients = [visit(address, stack) for _ in range(300)]
            assert ask("open") == "opened"
        served = [client for client in clients if client is not None and echoes(client)]
        assert 1 <= len(served) <= LIMIT // 2
        assert spent(daemon, served[0]) < 0.3
        assert ask("open") == "opened"
        took = time.monotonic() - start
    assert daemon.process.poll() is None
    resumes(address)
    told = len(refusals(daemon))
    assert 1 <= told <= took + 2, f"{told} lines in {took:.1f} s"
    assert not any("Traceback" in line for line in daemon.lines)


def resumes(address: tuple[str, int]) -> None:
    """A client is served, as soon as the daemon has seen that others have left."""
    with ExitStack() as stack:
        until(lambda: echoes(visit(address, stack)), "service")


def test_a_full_descriptor_table_is_survived(narrow: Any) -> None:
    """Where something else than connections took every descriptor, clients are reset at once."""
    daemon, ask = narrow
    address = daemon.address("echo")
    assert ask("fill") == "full"
    start = time.monotonic()
    with ExitStack() as stack:
        clients = [visit(address, stack) for _ in range(300)]
        assert {ending(client) for client in clients if client is not None} <= {"reset"}
        took = time.monotonic() - start
        quiet, _other = (stack.enter_context(end) for end in socket.socketpair())
        assert spent(daemon, quiet) < 0.3
    assert ask("open") == "Too many open files"
    assert ask("free") == "free"
    assert ask("open") == "opened"
    resumes(address)
    told = len(refusals(daemon))
    assert 1 <= told <= took + 3, f"{told} lines in {took:.1f} s"
    assert "no file descriptors are left" in refusals(daemon)[0]
