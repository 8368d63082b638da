"""The daemon as a whole: started, changed as one while people are connected, and drained."""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor as realReactor
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock, deferLater
from twisted.internet.threads import deferToThread
from zope.interface import implementer

from loopbackd import service as serviceModule
from loopbackd.iloopbackd import IServedFactory
from loopbackd.net.endpoint import hasIPv6
from loopbackd.net.reactor import PlainReactor
from loopbackd.prepared import Prepared, prepare
from loopbackd.protocols.classic import Echo
from loopbackd.service import Loopback
from loopbackd.settings import ServiceSettings, Settings, SettingsError
from loopbackd.testing import addressOf

reactor: Any = realReactor
PLAIN = bool(os.environ.get("LOOPBACKD_PLAIN_REACTOR"))


@implementer(IServedFactory)
class Counting(Factory):
    """Counts its starts and stops; can be told to fail."""

    noisy = False
    protocol = Echo

    def __init__(self) -> None:
        self.started = self.stopped = 0
        self.failing: dict[str, Exception] = {}
        self.surroundings: list[Any] = []

    def _may(self, what: str) -> None:
        if what in self.failing:
            raise self.failing[what]

    def servedBy(self, surroundings: Any) -> None:
        self._may("servedBy")
        self.surroundings.append(surroundings)

    def startFactory(self) -> None:
        self.started += 1
        self._may("startFactory")

    def stopFactory(self) -> None:
        self.stopped += 1
        self._may("stopFactory")


def service(
    name: str, protocol: str = "echo", endpoint: str = "tcp:0:interface=127.0.0.1", **others: Any
) -> ServiceSettings:
    """A service without a twin."""
    return ServiceSettings(
        name=name, protocol=protocol, endpoint=endpoint, **{"twin": False, **others}
    )


def asked(*services: ServiceSettings, **others: Any) -> tuple[Settings, dict[str, Prepared]]:
    """Settings, and what is prepared of them."""
    settings = Settings(service=services, **{"drain": 0, **others})
    return settings, prepare(settings, Path())


def counted(prepared: dict[str, Prepared]) -> dict[str, Counting]:
    """Give each prepared service a factory that counts."""
    factories = {name: Counting() for name in prepared}
    for name, factory in factories.items():
        prepared[name].factory = factory
    return factories


@asynccontextmanager
async def running(settings: Settings, prepared: dict[str, Prepared]) -> AsyncIterator[Loopback]:
    """The daemon; stopped at the end if the test did not do that."""
    loopback = Loopback(settings, prepared, reactor, PLAIN)
    try:
        loopback.privilegedStartService()
        loopback.startService()
        yield loopback
    finally:
        if loopback.running or loopback._places.listeners:
            await loopback.stopService()


class Caller:
    """Clients that block, used from a thread while the reactor turns."""

    def __init__(self) -> None:
        self._opened = ExitStack()

    def call(self, to: Loopback, name: str) -> socket.socket:
        address: Any = addressOf(to, name)
        return self.callAt(address.host, address.port)

    def callAt(self, host: str, port: int) -> socket.socket:
        client = socket.create_connection((host, port), 10)
        return self._opened.enter_context(client)

    @staticmethod
    async def says(client: socket.socket, data: bytes = b"x") -> bytes:
        """Say something, and listen to the answer; nothing if that is the end or a reset."""

        def ask() -> bytes:
            try:
                client.sendall(data)
                return client.recv(100)
            except (ConnectionResetError, BrokenPipeError):
                return b""

        return await deferToThread(ask)

    def close(self) -> None:
        self._opened.close()


@pytest.fixture
def caller() -> Iterator[Caller]:
    """Its clients are closed at the end."""
    caller = Caller()
    yield caller
    caller.close()


@pytest.fixture
def lines(logged: Callable[[str], list[str]]) -> list[str]:
    """What is logged."""
    return logged("loopbackd")


@pytest.fixture
def needsIPv6() -> None:
    """Twins are a matter of IPv6."""
    if not hasIPv6():
        pytest.skip("::1 cannot be bound here")


def sockets(loopback: Loopback) -> dict[str, list[int]]:
    """The inodes of the sockets that each endpoint is listened on with."""
    return {
        f"{listener.endpoint.text} of {listener.service.name}"
        if listener.endpoint.port == 0
        else listener.endpoint.text: [os.fstat(port.fileno()).st_ino for port in listener.ports]  # type: ignore[attr-defined]
        for listener in loopback._places.listeners.values()
    }


def isFree(host: str, port: int) -> bool:
    """Whether nobody listens there."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        return probe.connect_ex((host, port)) != 0


async def turn() -> None:
    """Let the reactor close what it was told to close."""
    await deferLater(reactor, 0.01, lambda: None)


@pytest_twisted.ensureDeferred
async def test_a_change_touches_only_what_changed(caller: Caller, lines: list[str]) -> None:
    """New ones start, gone ones stop, changed ones change; nobody who is connected notices."""
    stays, goes = service("stays"), service("goes")
    async with running(*asked(stays, goes, service("changes"))) as loopback:
        open = {name: caller.call(loopback, name) for name in ("stays", "goes", "changes")}
        for client in open.values():
            assert await caller.says(client) == b"x"
        before = dict(loopback.addresses)
        inodes = sockets(loopback)
        loopback.change(*asked(stays, service("changes", "daytime"), service("new")))
        await turn()
        for client in open.values():
            assert await caller.says(client, b"still") == b"still"
        assert list(loopback.addresses) == ["stays", "changes", "new"]
        for name in ("stays", "changes"):
            assert loopback.addresses[name] == before[name]
        kept = sockets(loopback)
        assert all(kept[place] == inodes[place] for place in kept if place in inodes)
        gone: Any = before["goes"][0]
        assert isFree(gone.host, gone.port)
        assert b"UTC" in await caller.says(caller.call(loopback, "changes"), b"")
        assert await caller.says(caller.call(loopback, "new")) == b"x"
        assert await caller.says(caller.call(loopback, "stays")) == b"x"
        assert [one.service for one in loopback.connections][:3] == ["stays", "goes", "changes"]
    assert any("no longer on" in line for line in lines)


@pytest_twisted.ensureDeferred
async def test_the_factory_of_an_untouched_service_is_kept() -> None:
    """Those of the others are started before and stopped after, each once."""
    first = asked(service("stays"), service("goes"), service("changes"))
    one = counted(first[1])
    async with running(*first) as loopback:
        assert [(f.started, f.stopped) for f in one.values()] == [(1, 0)] * 3
        assert one["stays"].surroundings[0].service == "stays"
        assert one["stays"].surroundings[0].connections is loopback.connections
        second = asked(service("stays"), service("changes", "discard"), service("new"))
        two = counted(second[1])
        loopback.change(*second)
        assert [(f.started, f.stopped) for f in one.values()] == [(1, 0), (1, 1), (1, 1)]
        assert [(f.started, f.stopped) for f in two.values()] == [(0, 0), (1, 0), (1, 0)]
    assert (one["stays"].started, one["stays"].stopped) == (1, 1)
    assert [(f.started, f.stopped) for f in two.values()] == [(0, 0), (1, 1), (1, 1)]


@pytest_twisted.ensureDeferred
async def test_a_change_that_cannot_be_changes_nothing(caller: Caller, needsIPv6: None) -> None:
    """Neither sockets nor twins nor factories nor settings, though half of it could be had."""
    first = asked(service("a"), service("b", twin=True), service("c"))
    one = counted(first[1])
    async with running(*first) as loopback:
        client = caller.call(loopback, "a")
        inodes, addresses = sockets(loopback), loopback.addresses
        with socket.create_server(("127.0.0.1", 0)) as other, socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            new = free.getsockname()[1]
            free.close()
            second = asked(
                service("a", "discard", twin=True),
                service("b", twin=False),
                service("new", endpoint=f"tcp:{new}:interface=127.0.0.1"),
                service("busy", endpoint=f"tcp:{other.getsockname()[1]}:interface=127.0.0.1"),
                max_connections=7,
            )
            two = counted(second[1])
            with pytest.raises(SettingsError, match="'busy' cannot listen"):
                loopback.change(*second)
            await turn()
        assert sockets(loopback) == inodes and loopback.addresses == addresses
        assert len(inodes["tcp:0:interface=127.0.0.1 of b"]) == 2
        twinOfA: Any = addresses["a"][0]
        assert isFree("::1", twinOfA.port) and isFree("127.0.0.1", new)
        assert loopback.settings is first[0]
        assert loopback.room.limit != 7
        assert await caller.says(client) == b"x"
        assert await caller.says(caller.call(loopback, "a")) == b"x"
        assert [(f.started, f.stopped) for f in one.values()] == [(1, 0)] * 3
        assert all(f.started == f.stopped for f in two.values())


@pytest_twisted.ensureDeferred
async def test_a_factory_that_does_not_want_to_be_used_there(caller: Caller) -> None:
    """Its message is the operator's, with the name of the service; nothing changes."""
    async with running(*asked(service("a"))) as loopback:
        second = asked(service("b"), service("picky"))
        two = counted(second[1])
        two["picky"].failing["servedBy"] = ValueError("not on a Monday")
        with pytest.raises(SettingsError, match=r"^service 'picky': not on a Monday$"):
            loopback.change(*second)
        assert list(loopback.addresses) == ["a"]
        assert (two["b"].started, two["b"].stopped) == (1, 1)
        assert two["picky"].started == 0
        assert await caller.says(caller.call(loopback, "a")) == b"x"


@pytest.mark.parametrize("where", ["servedBy", "startFactory"])
@pytest_twisted.ensureDeferred
async def test_a_factory_that_breaks_when_it_is_started(
    caller: Caller, where: str, loggedFailures: Any
) -> None:
    """That is a fault of its own, told as such; and still nothing changes."""
    async with running(*asked(service("a"))) as loopback:
        second = asked(service("b"), service("broken"))
        two = counted(second[1])
        two["broken"].failing[where] = ZeroDivisionError()
        with pytest.raises((ZeroDivisionError, SettingsError), match=r"ZeroDivisionError|^$"):
            loopback.change(*second)
        loggedFailures.flush(ZeroDivisionError)
        assert list(loopback.addresses) == ["a"]
        assert (two["b"].started, two["b"].stopped) == (1, 1)
        assert await caller.says(caller.call(loopback, "a")) == b"x"


@pytest_twisted.ensureDeferred
async def test_a_factory_that_breaks_when_it_is_stopped(
    caller: Caller, loggedFailures: Any
) -> None:
    """The change has happened by then, all of it; so has the stopping of the daemon."""
    first = asked(service("a"), service("b"))
    one = counted(first[1])
    for factory in one.values():
        factory.failing["stopFactory"] = ZeroDivisionError()
    second = asked(service("c"), service("d"))
    two = counted(second[1])
    for factory in two.values():
        factory.failing["stopFactory"] = ZeroDivisionError()
    async with running(*first) as loopback:
        loopback.change(*second)
        assert [f.stopped for f in one.values()] == [1, 1]
        assert list(loopback.addresses) == ["c", "d"]
        assert await caller.says(caller.call(loopback, "c")) == b"x"
    assert [f.stopped for f in two.values()] == [1, 1]
    assert len(loggedFailures.flush(ZeroDivisionError)) == 4


def port(name: str, number: int, protocol: str = "echo", **others: Any) -> ServiceSettings:
    """A service on that port."""
    return service(name, protocol, f"tcp:{number}:interface=127.0.0.1", **others)


def freePort() -> int:
    """A port that is free now on both loopback addresses."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as found:
            number = int(found.getsockname()[1])
        if not hasIPv6() or isFree("::1", number):
            return number


@pytest_twisted.ensureDeferred
async def test_an_endpoint_goes_from_one_service_to_another(caller: Caller) -> None:
    """The listening socket is never closed: no client is refused in between."""
    number = freePort()
    async with running(*asked(port("a", number), service("b"))) as loopback:
        before = sockets(loopback)
        client = caller.callAt("127.0.0.1", number)
        assert await caller.says(client) == b"x"
        waiting = caller.callAt("127.0.0.1", number)
        loopback.change(*asked(port("b", number, "daytime"), service("a")))
        after = sockets(loopback)
        place = f"tcp:{number}:interface=127.0.0.1"
        assert after[place] == before[place]
        assert await caller.says(client) == b"x"
        assert await caller.says(waiting, b"")
        assert (
            loopback.connections.totals("a").opened + loopback.connections.totals("b").opened == 2
        )
        assert b"UTC" in await caller.says(caller.callAt("127.0.0.1", number), b"")
        assert loopback.addresses["b"][0].port == number  # type: ignore[attr-defined]


@pytest_twisted.ensureDeferred
async def test_a_twin_comes_and_goes(caller: Caller, needsIPv6: None) -> None:
    """By a reload, while somebody is connected through it."""
    number = freePort()
    async with running(*asked(port("a", number))) as loopback:
        [first] = sockets(loopback).values()
        assert len(first) == 1
        loopback.change(*asked(port("a", number, twin=True)))
        [both] = sockets(loopback).values()
        assert both[:1] == first and len(both) == 2
        client = caller.callAt("::1", number)
        assert await caller.says(client) == b"x"
        loopback.change(*asked(port("a", number)))
        await turn()
        assert list(sockets(loopback).values()) == [first]
        assert isFree("::1", number)
        assert await caller.says(client) == b"x"


@pytest_twisted.ensureDeferred
async def test_a_twin_that_cannot_be_had_changes_nothing(needsIPv6: None) -> None:
    """Who has it is said."""
    number = freePort()
    async with running(*asked(port("a", number))) as loopback:
        before = sockets(loopback)
        with socket.create_server(("::1", number), family=socket.AF_INET6):
            with pytest.raises(SettingsError, match=f"pid {os.getpid()}"):
                loopback.change(*asked(port("a", number, twin=True)))
            assert sockets(loopback) == before
        await turn()
        loopback.change(*asked(port("a", number, twin=True)))
        assert len(sockets(loopback)[f"tcp:{number}:interface=127.0.0.1"]) == 2


@pytest_twisted.ensureDeferred
async def test_limits_follow_a_change(caller: Caller) -> None:
    """Those of the daemon and of a service; who is in already stays in, and counts."""
    async with running(*asked(service("a"))) as loopback:
        client = caller.call(loopback, "a")
        assert await caller.says(client) == b"x"
        loopback.change(*asked(service("a", max_connections=1)))
        assert await caller.says(caller.call(loopback, "a")) == b""
        assert await caller.says(client) == b"x"
        loopback.change(*asked(service("a", max_connections=2), max_connections=1))
        assert loopback.room.limit == 1
        assert await caller.says(caller.call(loopback, "a")) == b""


@pytest_twisted.ensureDeferred
async def test_a_start_that_cannot_be_keeps_nothing() -> None:
    """The good half of it is closed again."""
    number = freePort()
    with socket.create_server(("127.0.0.1", 0)) as other:
        settings, prepared = asked(port("good", number), port("bad", other.getsockname()[1]))
        factories = counted(prepared)
        with pytest.raises(SettingsError, match="'bad' cannot listen"):
            async with running(settings, prepared):
                pass
        await turn()
    assert isFree("127.0.0.1", number)
    assert all(f.started == f.stopped for f in factories.values())


@pytest_twisted.ensureDeferred
async def test_it_listens_once_however_it_is_started(caller: Caller) -> None:
    """With or without the start that has privileges."""
    loopback = Loopback(*asked(service("a")), reactor, PLAIN)
    loopback.startService()
    before = sockets(loopback)
    assert await caller.says(caller.call(loopback, "a")) == b"x"
    assert sockets(loopback) == before
    await loopback.stopService()


@pytest_twisted.ensureDeferred
async def test_what_is_missing_is_said_once(monkeypatch: Any, lines: list[str]) -> None:
    """It starts all the same."""
    monkeypatch.setattr(
        serviceModule,
        "batchIfPossible",
        lambda reactor: (PlainReactor(reactor), "epoll is missing"),
    )
    monkeypatch.setattr(serviceModule.SocketDiag, "missing", lambda _: "Protocol not supported")
    loopback = Loopback(*asked(service("a")), reactor)
    loopback.privilegedStartService()
    loopback.startService()
    loopback.change(*asked(service("b")))
    await loopback.stopService()
    assert len([line for line in lines if "epoll is missing" in line]) == 1
    assert len([line for line in lines if "Protocol not supported" in line]) == 1


# Draining.


def stopping(loopback: Loopback, clock: Clock | None = None) -> Any:
    """Tell it to stop; with this clock for its waiting."""
    if clock is not None:
        loopback._reactor = clock
    return loopback.stopService()


@pytest_twisted.ensureDeferred
async def test_a_connection_may_finish(caller: Caller) -> None:
    """It is served to its end; nobody new is let in; then it is over at once."""
    clock = Clock()
    async with running(*asked(service("a"), drain=5)) as loopback:
        address: Any = addressOf(loopback, "a")
        client = caller.call(loopback, "a")
        assert await caller.says(client) == b"x"
        stopped = stopping(loopback, clock)
        await turn()
        assert isFree(address.host, address.port)
        clock.advance(4.9)
        assert not stopped.called
        assert await caller.says(client, b"more") == b"more"
        client.shutdown(socket.SHUT_WR)
        assert await deferToThread(client.recv, 1) == b""
        await stopped
        assert clock.getDelayedCalls() == []
        assert len(loopback.connections) == 0
        # Whatever served that connection goes on afterwards, and must not stumble.
        await turn()


@pytest_twisted.ensureDeferred
async def test_who_does_not_finish_is_hung_up_on(caller: Caller) -> None:
    """After the drain, with an end and not with a reset."""
    clock = Clock()
    async with running(*asked(service("a"), drain=5)) as loopback:
        client = caller.call(loopback, "a")
        assert await caller.says(client) == b"x"
        stopped = stopping(loopback, clock)
        await turn()
        clock.advance(5)
        assert await deferToThread(client.recv, 1) == b""
        await stopped


@pytest_twisted.ensureDeferred
async def test_who_does_not_even_read_is_reset(caller: Caller) -> None:
    """Nothing waits for ever, and nothing is left open."""
    clock = Clock()
    async with running(*asked(service("a", "chargen"), drain=5)) as loopback:
        client = caller.call(loopback, "a")
        # The kernel takes little for it, and no more the longer it waits.
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        assert len(await deferToThread(client.recv, 10)) == 10
        [connection] = loopback.connections
        sent: list[int] = []
        while len(sent) < 10 or sent[-10] != sent[-1]:
            await turn()
            sent.append(connection.bytesSent)
        stopped = stopping(loopback, clock)
        await turn()
        clock.advance(5)
        await turn()
        assert connection.state == "closing" and not stopped.called
        clock.advance(0.5)
        await stopped
        assert connection.reason == "aborted"


@pytest_twisted.ensureDeferred
async def test_a_protocol_that_does_not_close_is_reset_too(caller: Caller) -> None:
    """A producer that never ends would keep its connection open."""

    class Endless(Protocol):
        def connectionMade(self) -> None:
            self.transport.write(b"x")  # type: ignore[union-attr]
            self.transport.registerProducer(self, False)  # type: ignore[union-attr]

        def resumeProducing(self) -> None: ...
        def stopProducing(self) -> None: ...

    clock = Clock()
    settings, prepared = asked(service("a"))
    counted(prepared)["a"].protocol = Endless  # type: ignore[assignment]
    async with running(settings, prepared) as loopback:
        client = caller.call(loopback, "a")
        assert await deferToThread(client.recv, 1) == b"x"
        stopped = stopping(loopback, clock)
        await turn()
        assert not stopped.called
        clock.advance(0.5)
        await stopped
        assert len(loopback.connections) == 0
        with pytest.raises(ConnectionResetError):
            client.recv(1)


@pytest_twisted.ensureDeferred
async def test_somebody_in_a_hurry(caller: Caller) -> None:
    """A second SIGTERM ends each of the waits."""
    clock = Clock()
    async with running(*asked(service("a", "chargen"), drain=5000)) as loopback:
        loopback.hurry()
        client = caller.call(loopback, "a")
        assert len(await deferToThread(client.recv, 10)) == 10
        stopped = stopping(loopback, clock)
        await turn()
        loopback.hurry()
        loopback.hurry()
        await stopped
        assert clock.getDelayedCalls() == []


@pytest_twisted.ensureDeferred
async def test_without_connections_there_is_nothing_to_wait_for() -> None:
    """However long the drain."""
    clock = Clock()
    async with running(*asked(service("a"), drain=5000)) as loopback:
        await stopping(loopback, clock)
        assert clock.getDelayedCalls() == []


@pytest_twisted.ensureDeferred
async def test_timers_of_gates_before_and_after_a_change_end_too(caller: Caller) -> None:
    """The fixture would see one that is left."""
    async with running(*asked(service("a", idle_timeout=900, first_byte_timeout=900))) as loopback:
        assert await caller.says(caller.call(loopback, "a")) == b"x"
        loopback.change(*asked(service("a", idle_timeout=800, max_connections_per_uid=2)))
        assert await caller.says(caller.call(loopback, "a")) == b"x"
        assert await caller.says(caller.call(loopback, "a")) == b""
