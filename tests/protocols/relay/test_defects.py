"""What Toxiproxy 2.12 gets wrong on its connections, one by one: a relay here does not."""

from __future__ import annotations

import socket
from typing import Any

import pytest
import pytest_twisted
from protocols.relay.relaying import connectTo, joined, listening, relaying, shown
from sockets import endOf, readAll, readSome, reset, until
from twisted.internet import reactor as realReactor
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from loopbackd.faultsettings import ToxicSettings
from loopbackd.service import Loopback

reactor: Any = realReactor


def toxic(type: str, stream: str = "downstream", **others: Any) -> ToxicSettings:
    known = {key: others.pop(key) for key in ("toxicity", "seed", "name") if key in others}
    return ToxicSettings(type=type, stream=stream, attributes=others, **known)  # type: ignore[arg-type]


def toxicsOf(loopback: Loopback) -> Any:
    return next(iter(loopback.services())).toxics


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(
    ("type", "attributes"),
    [
        ("bandwidth", {"rate": -1}),
        ("slicer", {}),
        ("slicer", {"average_size": -5}),
        ("slicer", {"average_size": 10, "size_variation": 11}),
        ("latency", {"latency": 1, "jitter": 1 << 62}),
    ],
)
async def test_what_crashed_it_is_refused(type: str, attributes: dict[str, Any]) -> None:
    """Each ended the whole server at the first byte; here it is never put on, and says why."""
    with listening() as server:
        async with joined(server) as (client, target, loopback):
            with pytest.raises(ValueError, match=next(iter(attributes), "average_size")):
                toxicsOf(loopback).add(toxic(type, **attributes))
            client.sendall(b"x")
            assert await deferToThread(target.recv, 10) == b"x"


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("gone", ["dead", "not reading"])
async def test_taking_latency_away_never_waits(gone: str) -> None:
    """Clients that are dead or do not read have nothing to do with it."""
    with listening() as server:
        async with joined(server) as (client, target, loopback):
            toxics = toxicsOf(loopback)
            toxics.add(toxic("latency", latency=60_000))
            target.setblocking(False)
            with pytest.raises(BlockingIOError):
                while True:
                    target.send(bytes(1 << 16))
                    await deferLater(reactor, 0)
            if gone == "dead":
                reset(client)
            began = reactor.seconds()
            toxics.remove("latency_downstream")
            assert reactor.seconds() - began < 1
            target.close()
            client.close()
            await until(lambda: not len(loopback.connections))


@pytest_twisted.ensureDeferred
async def test_taking_reset_peer_away_never_waits() -> None:
    """It takes effect at once, though its time is not up."""
    with listening() as server:
        async with joined(server) as (client, target, loopback):
            toxics = toxicsOf(loopback)
            toxics.add(toxic("reset_peer", "upstream", timeout=60_000))
            client.sendall(b"x")
            await until(lambda: next(iter(loopback.connections)).bytesReceived)
            began = reactor.seconds()
            toxics.clear()
            assert reactor.seconds() - began < 1
            assert await deferToThread(endOf, client) == "reset"
            assert await deferToThread(endOf, target) == "reset"


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("toxics", [(), (toxic("latency", latency=5),)], ids=["bare", "latency"])
async def test_clients_that_leave_while_the_target_sends_leave_nothing(toxics: Any) -> None:
    """Fifty of them; the fixture looks for descriptors and timers."""
    with listening() as server:
        async with relaying(shown(server), toxic=toxics) as loopback:
            for _ in range(50):
                client = connectTo(loopback)
                target, _ = await deferToThread(server.accept)
                target.setblocking(False)
                target.send(bytes(1 << 20))
                await deferToThread(client.recv, 1000)
                client.close()
                await until(lambda: not len(loopback.connections))
                target.close()


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("toxics", [(), (toxic("latency", latency=20),)], ids=["bare", "latency"])
async def test_an_answer_after_the_end_of_the_question(toxics: Any) -> None:
    """A half-close is carried: what is answered after it arrives."""
    with listening() as server:
        async with joined(server, toxic=toxics) as (client, target, _):
            client.sendall(b"question")
            client.shutdown(socket.SHUT_WR)
            assert await deferToThread(readAll, target) == b"question"
            target.sendall(b"answer")
            target.close()
            assert await deferToThread(readAll, client) == b"answer"


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("toxics", [(), (toxic("latency", latency=20),)], ids=["bare", "latency"])
async def test_a_reset_of_the_target_is_a_reset_for_the_client(toxics: Any) -> None:
    """It is not made a clean end."""
    with listening() as server:
        async with joined(server, toxic=toxics) as (client, target, _):
            reset(target)
            assert await deferToThread(endOf, client) == "reset"


@pytest_twisted.ensureDeferred
async def test_the_same_seed_hits_the_same_connections() -> None:
    """The seed decides, and nothing else does."""

    async def hits(seed: int) -> list[bool]:
        with listening() as server:
            asked = toxic("latency", toxicity=0.5, seed=seed)
            async with relaying(shown(server), toxic=(asked,)) as loopback:
                clients = []
                for number in range(1, 31):
                    clients.append(connectTo(loopback))
                    await until(lambda wanted=number: len(loopback.connections) == wanted)
                [one] = toxicsOf(loopback)
                found = [one.hits(connection) for connection in loopback.connections]
                for client in clients:
                    client.close()
        return found

    first = await hits(7)
    assert first == await hits(7)
    assert first != await hits(8)
    assert 5 < sum(first) < 25


@pytest_twisted.ensureDeferred
async def test_who_is_hit_is_decided_once() -> None:
    """Changing a toxic, or its neighbours, does not draw again for a live connection."""
    with listening() as server:
        asked = toxic("latency", latency=1, toxicity=0.5, seed=1)
        async with relaying(shown(server), toxic=(asked,)) as loopback:
            clients = [connectTo(loopback) for _ in range(20)]
            await until(lambda: len(loopback.connections) == 20)
            toxics = toxicsOf(loopback)
            one = toxics.get("latency_downstream")
            before = [one.hits(connection) for connection in loopback.connections]
            for latency in range(20):
                toxics.change("latency_downstream", {"latency": latency})
                toxics.add(toxic("noop"))
                toxics.remove("noop_downstream")
            assert [one.hits(connection) for connection in loopback.connections] == before
            toxics.change("latency_downstream", toxicity=0.0)
            toxics.change("latency_downstream", toxicity=0.5)
            assert [one.hits(connection) for connection in loopback.connections] == before
            for client in clients:
                client.close()


@pytest_twisted.ensureDeferred
async def test_who_is_spared_by_reset_peer_ends_as_always() -> None:
    """With toxicity 0 a normal close is no reset."""
    with listening() as server:
        asked = toxic("reset_peer", toxicity=0.0)
        async with joined(server, toxic=(asked,)) as (client, target, _):
            target.sendall(b"bye")
            target.close()
            assert await deferToThread(readAll, client) == b"bye"


@pytest_twisted.ensureDeferred
async def test_reset_peer_resets_connections_that_were_there_before() -> None:
    """It is a reset for them too, on both sides."""
    with listening() as server:
        async with joined(server) as (client, target, loopback):
            client.sendall(b"x")
            await deferToThread(target.recv, 1)
            toxicsOf(loopback).add(toxic("reset_peer", "upstream"))
            client.sendall(b"y")
            assert await deferToThread(endOf, client) == "reset"
            assert await deferToThread(endOf, target) == "reset"


@pytest_twisted.ensureDeferred
async def test_timeout_comes_under_traffic() -> None:
    """Data does not put it off."""
    with listening() as server:
        async with joined(server, toxic=(toxic("timeout", timeout=200),)) as (client, target, _):
            ended = deferToThread(readSome, client, 1)
            began = reactor.seconds()
            while not ended.called:
                assert reactor.seconds() - began < 5
                try:
                    target.send(b"still here")
                except OSError:
                    break
                await deferLater(reactor, 0.02)
            assert await ended == b""
            assert reactor.seconds() - began > 0.15
