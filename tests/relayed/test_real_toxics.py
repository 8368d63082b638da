"""Redis, PostgreSQL and their clients, while the relay in between has toxics."""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import pytest_twisted
from between import DEADLY, HARMLESS, SECONDS, Between, reactor, relayed
from realservers import RealServer
from sockets import until
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.task import deferLater

from loopbackd.faults.kinds import known
from loopbackd.faultsettings import ToxicSettings

OTHERS = {"blackhole", "corrupt", "duplicate"}
"""Toxics that have a test of their own."""


def toxic(type: str, attributes: dict[str, Any], **others: Any) -> ToxicSettings:
    """Settings of it."""
    return ToxicSettings(type=type, attributes=attributes, **others)


def both(type: str, attributes: dict[str, Any]) -> tuple[ToxicSettings, ToxicSettings]:
    """It, in both directions."""
    return toxic(type, attributes, stream="upstream"), toxic(type, attributes)


async def benchRedis(between: Between, requests: int = 300) -> None:
    """A run of redis-benchmark without an error."""
    words = ("-c", "10", "-n", str(requests), "-d", "600", "-q", "-t", "ping,set,get,lpush")
    ran = await between.ask("redis-benchmark", *words)
    assert (ran.code, ran.err) == (0, b"")
    assert b"rror" not in ran.out


async def benchPostgres(between: Between, transactions: int = 20) -> None:
    """A run of pgbench without an error."""
    ran = await between.ask("pgbench", "-n", "-c", "4", "-t", str(transactions))
    assert (ran.code, b"failed transactions: 0 (0" in ran.out) == (0, True), ran.err


@pytest_twisted.ensureDeferred
@pytest.mark.usefixtures("accounts")
@pytest.mark.parametrize("type", HARMLESS)
async def test_through(redis: RealServer, postgres: RealServer, type: str) -> None:
    """Through each that changes only when something comes, both servers work."""
    async with relayed(redis, *both(type, HARMLESS[type])) as between:
        await benchRedis(between)
    async with relayed(postgres, *both(type, HARMLESS[type])) as between:
        await benchPostgres(between)


@pytest_twisted.ensureDeferred
@pytest.mark.usefixtures("accounts")
@pytest.mark.parametrize("stream", ["upstream", "downstream"])
@pytest.mark.parametrize("type", DEADLY)
async def test_death(redis: RealServer, postgres: RealServer, type: str, stream: Any) -> None:
    """One that ends connections does so; without it all is well again, and nothing is left."""
    async with relayed(redis) as between:
        between.toxics.add(toxic(type, DEADLY[type], stream=stream, name="it"))
        ran = await between.ask("redis-cli", "echo", "x" * 50)
        assert b"x" * 50 not in ran.out
        assert ran.code != 0
        between.toxics.remove("it")
        await benchRedis(between)
    async with relayed(postgres) as between:
        between.toxics.add(toxic(type, DEADLY[type], stream=stream, name="it"))
        ran = await between.ask("psql", "-qAtX", "-c", "select repeat('x', 50)")
        assert b"x" * 50 not in ran.out
        assert ran.code == 2
        between.toxics.remove("it")
        await benchPostgres(between)


@pytest_twisted.ensureDeferred
async def test_twice(redis: RealServer) -> None:
    """A command that is duplicated is obeyed twice."""
    async with relayed(redis, toxic("duplicate", {"rate": 1}, stream="upstream")) as between:
        await between.asks("redis-cli", "incr", "once")
        between.toxics.clear()
        assert await between.asks("redis-cli", "getdel", "once") == b"2\n"


@pytest_twisted.ensureDeferred
async def test_flipped(redis: RealServer) -> None:
    """An answer with flipped bits is none."""
    async with relayed(redis) as between:
        between.toxics.add(toxic("corrupt", {"rate": 1}, seed=4))
        ran = await between.ask("redis-cli", "ping")
        assert (ran.code, ran.out) != (0, b"PONG\n")
        between.toxics.clear()
        assert await between.asks("redis-cli", "ping") == b"PONG\n"


@pytest_twisted.ensureDeferred
async def test_swallowed(redis: RealServer) -> None:
    """A client in a black hole waits; without it, its question is answered after all."""
    async with relayed(redis, toxic("blackhole", {})) as between:
        asked = ensureDeferred(between.ask("redis-cli", "ping"))
        await until(lambda: len(between.loopback.connections), lambda: "nobody has connected")
        await deferLater(reactor, 0.3)
        assert not asked.called
        between.toxics.clear()
        assert (await asked).out == b"PONG\n"


def test_all_of_them() -> None:
    """No toxic is forgotten here."""
    assert {*HARMLESS, *DEADLY, *OTHERS} == {name for name, by in known() if by == "loopbackd"}


class Churn:
    """
    Toxics that come, change and go at random.

    @ivar done: fires when it is told to stop.
    @ivar rounds: what it has done.
    """

    def __init__(self, between: Between, seed: int) -> None:
        self.rounds = 0
        self._between = between
        self._chance = random.Random(seed)
        self._stopped = False
        self.done: Deferred[None] = ensureDeferred(self._run())

    def stop(self) -> Deferred[None]:
        """Take all away."""
        self._stopped = True
        return self.done

    async def _run(self) -> None:
        while not self._stopped:
            self._step()
            self.rounds += 1
            await deferLater(reactor, self._chance.choice([0, 0.001, 0.003, 0.02]))
        self._between.toxics.clear()

    def _step(self) -> None:
        toxics, chance = self._between.toxics, self._chance
        names = [toxic.name for toxic in toxics]
        what = chance.random()
        if not names or (what < 0.45 and len(names) < 6):
            type = chance.choice(list(HARMLESS))
            stream: Any = chance.choice(["upstream", "downstream"])
            toxicity = chance.choice([0.3, 0.7, 1.0])
            name = f"it{self.rounds}"
            attributes = HARMLESS[type]
            toxics.add(toxic(type, attributes, stream=stream, toxicity=toxicity, name=name))
        elif what < 0.6:
            one = toxics.get(chance.choice(names))
            toxics.change(one.name, HARMLESS[one.type], chance.choice([0.0, 0.5, 1.0]))
        elif what < 0.97:
            toxics.remove(chance.choice(names))
        else:
            toxics.clear()


async def churning(
    server: RealServer, bench: Callable[[Between, int], Awaitable[None]], amount: int
) -> None:
    """Let toxics come and go for some time while a server is used."""
    async with relayed(server) as between:
        churn = Churn(between, seed=4)
        deadline = time.monotonic() + SECONDS
        try:
            while time.monotonic() < deadline:
                await bench(between, amount)
        finally:
            await churn.stop()
        assert churn.rounds > 50 * SECONDS


@pytest_twisted.ensureDeferred
@pytest.mark.timeout(120 + 3 * SECONDS)
async def test_churn_with_redis(redis: RealServer) -> None:
    """redis-benchmark has no error while toxics come and go, and nothing is left."""
    await churning(redis, benchRedis, 1000)


@pytest_twisted.ensureDeferred
@pytest.mark.usefixtures("accounts")
@pytest.mark.timeout(120 + 3 * SECONDS)
async def test_churn_with_postgres(postgres: RealServer) -> None:
    """pgbench has no error while toxics come and go, and nothing is left."""
    await churning(postgres, benchPostgres, 100)
