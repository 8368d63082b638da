"""A relay on a real kernel (`loopbackd.protocols.relay.client`), on both of our reactors."""

from __future__ import annotations

import hashlib
import random
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import pytest_twisted
from sockets import endOf, readAll, readSome, readUntilReset, reset, until
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from loopbackd.faultsettings import ToxicSettings
from loopbackd.relaysettings import RelaySettings
from relay.relaying import connectTo, joined, listening, reactor, relaying, shown

CLOSES = RelaySettings(refused="close")


@pytest.fixture(params=["batch", "plain"], autouse=True)
def core(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test runs on the batch and on the plain reactor."""
    monkeypatch.setenv("LOOPBACKD_PLAIN_REACTOR", "1" if request.param == "plain" else "")


@pytest.fixture
def server() -> Iterator[socket.socket]:
    """A target."""
    with listening() as server:
        yield server


@pytest_twisted.ensureDeferred
async def test_what_one_says_the_other_hears(server: socket.socket) -> None:
    """Both ways; and the table knows where it leads to and what passed."""
    async with joined(server) as (client, target, loopback):
        client.sendall(b"ask")
        assert await deferToThread(target.recv, 10) == b"ask"
        target.sendall(b"answer")
        assert await deferToThread(client.recv, 10) == b"answer"
        [connection] = loopback.connections
        assert (connection.bytesReceived, connection.bytesSent) == (3, 6)
        assert connection.target is not None
        assert connection.target.address.port == server.getsockname()[1]  # type: ignore[attr-defined]
        assert 0 <= connection.target.seconds < 1
        assert connection.protocol == "Relay"


@pytest.mark.parametrize("first", ["client", "target"])
@pytest_twisted.ensureDeferred
async def test_each_direction_ends_by_itself(server: socket.socket, first: str) -> None:
    """Whoever has finished still hears the other out; then nothing is left."""
    async with joined(server) as (client, target, loopback):
        one, two = (client, target) if first == "client" else (target, client)
        one.sendall(b"all I say")
        one.shutdown(socket.SHUT_WR)
        assert await deferToThread(readAll, two) == b"all I say"
        saying = deferToThread(two.sendall, b"x" * 3_000_000)
        assert len(await deferToThread(readSome, one, 3_000_000)) == 3_000_000
        await saying
        two.shutdown(socket.SHUT_WR)
        assert await deferToThread(endOf, one) == "end"
        await until(lambda: not len(loopback.connections))


@pytest.mark.parametrize("first", ["client", "target"])
@pytest_twisted.ensureDeferred
async def test_a_reset_is_a_reset(server: socket.socket, first: str) -> None:
    """At the other end too, behind what was said before."""
    async with joined(server) as (client, target, loopback):
        one, two = (client, target) if first == "client" else (target, client)
        one.sendall(b"last words")
        await deferToThread(two.recv, 5)
        reset(one)
        assert await deferToThread(readUntilReset, two) == b"words"
        await until(lambda: not len(loopback.connections))


@pytest_twisted.ensureDeferred
async def test_a_reset_after_the_end_is_one_too(server: socket.socket) -> None:
    """A client that has finished, and then does not want the answer."""
    async with joined(server) as (client, target, loopback):
        client.shutdown(socket.SHUT_WR)
        assert await deferToThread(endOf, target) == "end"
        reset(client)
        target.sendall(b"answer")
        await until(lambda: not len(loopback.connections))
        # Behind an end that was read already, it is not told by reading.
        assert await until(lambda: target.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))


@pytest_twisted.ensureDeferred
async def test_what_is_said_before_the_target_answers_is_kept(server: socket.socket) -> None:
    """And the end after it: all of it arrives."""
    said = random.Random(5).randbytes(5_000_000)

    def say(client: socket.socket) -> None:
        client.sendall(said)
        client.shutdown(socket.SHUT_WR)

    async with joined(server) as (client, target, _):
        saying = deferToThread(say, client)
        heard = await deferToThread(readAll, target)
        await saying
        assert hashlib.sha256(heard).digest() == hashlib.sha256(said).digest()


@pytest.mark.parametrize("first", ["client", "target"])
@pytest_twisted.ensureDeferred
async def test_who_does_not_read_is_not_read_for(server: socket.socket, first: str) -> None:
    """The sender has to wait; it costs no memory, and afterwards all of it is there."""
    async with joined(server) as (client, target, loopback):
        one, two = (client, target) if first == "client" else (target, client)
        [connection] = loopback.connections
        one.setblocking(False)
        sent = 0
        for _ in range(200):
            try:
                while True:
                    sent += one.send(bytes(100_000))
            except BlockingIOError:
                await deferToThread(lambda: None)
        relay = connection.transport.protocol
        for side in (relay.transport, relay.target.transport):
            assert len(side.dataBuffer) + side._tempDataLen < 1 << 18
        one.setblocking(True)
        one.shutdown(socket.SHUT_WR)
        assert len(await deferToThread(readAll, two)) == sent


@pytest.mark.parametrize("settings", [None, CLOSES])
@pytest.mark.parametrize("said", [b"", b"hello"])
@pytest_twisted.ensureDeferred
async def test_a_target_that_refuses(settings: Any, said: bytes, logged: Any) -> None:
    """The client sees a reset, as if it had asked the target; or an end if that is wanted."""
    lines = logged("loopbackd.protocols.relay")
    with listening() as server:
        nowhere = shown(server)
    async with relaying(nowhere, relay=settings) as loopback:
        client = connectTo(loopback)
        with client:
            if said:
                try:
                    client.sendall(said)
                except OSError:
                    assert settings is None
            wanted = "reset" if settings is None else "end"
            assert await deferToThread(endOf, client) == wanted
        await until(lambda: not len(loopback.connections))
        done = "reset" if settings is None else "closed"
        assert lines == [
            f"test: the target {nowhere} cannot be reached: connection refused;"
            f" the client is {done}."
        ]


@pytest_twisted.ensureDeferred
async def test_refusals_are_told_once_a_second(logged: Any) -> None:
    """However many there are."""
    lines = logged("loopbackd.protocols.relay")
    with listening() as server:
        nowhere = shown(server)
    async with relaying(nowhere) as loopback:
        for _ in range(20):
            with connectTo(loopback) as client:
                await deferToThread(endOf, client)
    assert 1 <= len(lines) <= 3


class Full:
    """A target whose queue is full, so that the kernel does not answer an attempt to connect."""

    def __init__(self) -> None:
        self.server = socket.socket()
        self.server.bind(("127.0.0.1", 0))
        self.server.listen(0)
        self.waiting = []
        for _ in range(4):
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(self.server.getsockname())
            self.waiting.append(one)

    def __enter__(self) -> Full:
        return self

    def __exit__(self, *_: object) -> None:
        for one in (*self.waiting, self.server):
            one.close()


@pytest_twisted.ensureDeferred
async def test_a_slow_dial_has_a_deadline_and_delays_nobody(logged: Any) -> None:
    """The others are served meanwhile."""
    lines = logged("loopbackd.protocols.relay")
    with Full() as full:
        where = shown(full.server)
        slow = RelaySettings(connect_timeout=0.3)
        async with relaying(where, relay=slow) as loopback:
            clients = [connectTo(loopback) for _ in range(5)]
            await until(lambda: len(loopback.connections) == 5)
            assert lines == []
            for client in clients:
                with client:
                    assert await deferToThread(endOf, client) == "reset"
    assert lines[0].startswith(f"test: the target {where} cannot be reached: no answer in 0.3 s")


@pytest_twisted.ensureDeferred
async def test_who_leaves_while_it_is_dialled_for_is_forgotten(logged: Any) -> None:
    """The dial is given up, and nobody is told that it failed."""
    lines = logged("loopbackd.protocols.relay")
    with Full() as full:
        async with relaying(shown(full.server)) as loopback:
            client = connectTo(loopback)
            client.sendall(b"hello")
            await until(lambda: [one for one in loopback.connections if one.bytesReceived])
            reset(client)
            await until(lambda: not len(loopback.connections))
    assert lines == []


@pytest_twisted.ensureDeferred
async def test_a_dial_that_takes_long_loses_nothing() -> None:
    """What the client said, and that it has finished, come as soon as the target does."""
    with Full() as full:
        async with relaying(shown(full.server)) as loopback:
            with connectTo(loopback) as client:
                client.sendall(b"x" * 100_000)
                client.shutdown(socket.SHUT_WR)
                await until(lambda: [one for one in loopback.connections if one.bytesReceived])
                full.server.settimeout(10)

                def heard() -> bytes:
                    while True:
                        accepted, _ = full.server.accept()
                        with accepted:
                            accepted.settimeout(0.2)
                            try:
                                if said := readAll(accepted):
                                    accepted.sendall(b"thanks")
                                    return said
                            except TimeoutError:
                                continue

                assert await deferToThread(heard) == b"x" * 100_000
                assert await deferToThread(readAll, client) == b"thanks"


@contextmanager
def listeningOn(family: int) -> Iterator[socket.socket]:
    """A target on one address of this machine, whose port nobody has on the other."""
    one, other = ("127.0.0.1", 0), ("::1", 0)
    if family == socket.AF_INET6:
        one, other = other, one
    for _ in range(100):
        with listening(family, one) as server, socket.socket(_OTHER[family]) as unused:
            try:
                unused.bind((other[0], server.getsockname()[1]))
            except OSError:
                continue
            yield server
            return
    raise AssertionError("no port is free on both addresses")


_OTHER = {socket.AF_INET: socket.AF_INET6, socket.AF_INET6: socket.AF_INET}


@pytest.mark.parametrize("name", ["localhost", "LocalHost.", "app.localhost"])
@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
@pytest_twisted.ensureDeferred
async def test_localhost_is_both_addresses(family: int, name: str) -> None:
    """Wherever on it the target listens."""
    with listeningOn(family) as server:
        async with relaying(f"{name}:{server.getsockname()[1]}") as loopback:
            with connectTo(loopback) as client:
                accepted, _ = await deferToThread(server.accept)
                with accepted:
                    client.sendall(b"x")
                    assert await deferToThread(accepted.recv, 1) == b"x"


@pytest_twisted.ensureDeferred
async def test_unix_sockets_at_both_ends(tmp_path: Any) -> None:
    """With ends that are ends."""
    with listening(socket.AF_UNIX, f"{tmp_path}/target") as server:
        async with joined(server, endpoint=f"unix:{tmp_path}/relay") as (client, target, _):
            saying = deferToThread(client.sendall, b"x" * 1_000_000)
            assert len(await deferToThread(readSome, target, 1_000_000)) == 1_000_000
            await saying
            client.shutdown(socket.SHUT_WR)
            assert await deferToThread(endOf, target) == "end"
            target.sendall(b"y")
            target.close()
            assert await deferToThread(readAll, client) == b"y"


@pytest_twisted.ensureDeferred
async def test_a_unix_target_that_is_not_there(tmp_path: Any, logged: Any) -> None:
    """Is refused with the kernel's reason."""
    lines = logged("loopbackd.protocols.relay")
    async with relaying(f"unix:{tmp_path}/none") as loopback:
        with connectTo(loopback) as client:
            assert await deferToThread(endOf, client) == "reset"
    assert "no such file or directory" in lines[0]


@pytest_twisted.ensureDeferred
async def test_names_are_resolved(server: socket.socket, monkeypatch: Any, logged: Any) -> None:
    """Anew for each connection, by the system's resolver; one there is not is told."""
    asked: list[str] = []

    def resolve(host: Any, port: Any, *_: Any, **__: Any) -> Any:
        asked.append(host)
        if host != "target.test":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    lines = logged("loopbackd.protocols.relay")
    monkeypatch.setattr(reactor_resolver(), "_getaddrinfo", resolve)
    port = server.getsockname()[1]
    async with relaying(f"target.test:{port}") as loopback:
        for _ in range(2):
            with connectTo(loopback) as client:
                accepted, _ = await deferToThread(server.accept)
                with accepted:
                    client.sendall(b"x")
                    assert await deferToThread(accepted.recv, 1) == b"x"
                    client.shutdown(socket.SHUT_WR)
                    assert await deferToThread(endOf, accepted) == "end"
    assert asked == ["target.test"] * 2
    async with relaying(f"none.test:{port}") as loopback:
        with connectTo(loopback) as client:
            assert await deferToThread(endOf, client) == "reset"
    assert "none.test" in lines[0] and "cannot be reached" in lines[0]


def reactor_resolver() -> Any:
    """Where the reactor's own resolver keeps its question to the system."""
    from twisted.internet import reactor

    return reactor.nameResolver  # type: ignore[attr-defined]


@pytest_twisted.ensureDeferred
async def test_hanging_up_closes_the_target(server: socket.socket) -> None:
    """Whoever in the daemon ends a connection ends both its sides; an abort is a reset."""
    async with joined(server) as (client, target, loopback):
        [connection] = loopback.connections
        connection.hangUp()
        assert await deferToThread(endOf, client) == "end"
        assert await deferToThread(endOf, target) == "end"
    async with joined(server) as (client, target, loopback):
        [connection] = loopback.connections
        connection.abort()
        assert await deferToThread(endOf, client) == "reset"
        assert await deferToThread(endOf, target) == "reset"


@pytest_twisted.ensureDeferred
async def test_a_target_that_does_not_take_the_last_words(server: socket.socket) -> None:
    """Has a time for them when the client is gone."""
    brief = RelaySettings(connect_timeout=0.2)
    async with joined(server, relay=brief) as (client, target, loopback):
        client.setblocking(False)
        for _ in range(100):
            try:
                while True:
                    client.send(bytes(100_000))
            except BlockingIOError:
                await deferToThread(lambda: None)
        [connection] = loopback.connections
        relay = connection.transport.protocol
        connection.hangUp()
        await until(lambda: not len(loopback.connections))
        assert relay.target.transport.connected
        await until(lambda: not relay.target.transport.connected)
        assert await deferToThread(readUntilReset, target)


@pytest_twisted.ensureDeferred
async def test_random_closes_leave_nothing(server: socket.socket) -> None:
    """Whatever both ends do, in whatever order, no connection is left."""
    chance = random.Random(11)
    async with relaying(shown(server)) as loopback:
        for _ in range(60):
            client = connectTo(loopback)
            target, _ = await deferToThread(server.accept)
            for _ in range(chance.randrange(6)):
                one = chance.choice([client, target])
                try:
                    if chance.random() < 0.3:
                        one.shutdown(socket.SHUT_WR)
                    else:
                        one.send(bytes(chance.choice([1, 100_000])))
                except OSError:
                    pass
                if chance.random() < 0.5:
                    await deferToThread(lambda: None)
            for one in chance.sample([client, target], 2):
                reset(one) if chance.random() < 0.5 else one.close()
        await until(lambda: not len(loopback.connections))


@pytest_twisted.ensureDeferred
async def test_streams_are_whole_while_toxics_come_and_go(server: socket.socket) -> None:
    """A thousand times, both ways at once; in between nobody but the pump touches a byte."""
    chance = random.Random(7)
    enough = threading.Event()

    def say(sock: socket.socket, seed: int) -> tuple[int, bytes]:
        block, digest, size = random.Random(seed).randbytes(1 << 20), hashlib.sha256(), 0
        while not enough.is_set():
            piece = block[size % 1000 : size % 1000 + 1000 + size % 900_000]
            sock.sendall(piece)
            digest.update(piece)
            size += len(piece)
        sock.shutdown(socket.SHUT_WR)
        return size, digest.digest()

    def hear(sock: socket.socket) -> tuple[int, bytes]:
        digest, size = hashlib.sha256(), 0
        while piece := sock.recv(1 << 20):
            digest.update(piece)
            size += len(piece)
        return size, digest.digest()

    async with joined(server) as (client, target, loopback):
        toxics = loopback.live("test").toxics
        [connection] = loopback.connections
        relay = connection.transport.protocol
        assert relay.transport.pump is relay.target.transport.pump is not None
        hearing = [deferToThread(hear, sock) for sock in (client, target)]
        saying = [deferToThread(say, sock, seed) for seed, sock in enumerate((target, client))]
        for number in range(1000):
            stream: Any = chance.choice(["upstream", "downstream"])
            toxic = ToxicSettings(
                type="latency", stream=stream, attributes={"latency": chance.choice([0, 1, 50])}
            )
            name = toxics.add(toxic).name
            for _ in range(chance.randrange(3)):
                await deferLater(reactor, 0, lambda: None)
            toxics.remove(name)
            for _ in range(20 if number % 10 == 0 else chance.randrange(3)):
                await deferLater(reactor, 0, lambda: None)
        enough.set()
        said = [await one for one in saying]
        assert [await one for one in hearing] == said
        assert (connection.bytesReceived, connection.bytesSent) == (said[1][0], said[0][0])
        await until(lambda: not len(loopback.connections))
