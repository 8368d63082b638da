"""Whatever toxics come, change and go on live connections: see L{Network}."""

from __future__ import annotations

import random
from contextlib import AsyncExitStack
from typing import Any

import pytest_twisted
from anytoxic import ENDS, HONEST, STREAMS, Caller, attributesOf
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    multiple,
    precondition,
    rule,
)
from sockets import until
from suffering import reactor, serving
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from loopbackd.faults.toxics import Toxics
from loopbackd.faultsettings import ToxicSettings

CUTTING = ENDS | {"blackhole"}
SIZES = st.lists(st.sampled_from([1, 100, 5000, 200_000]), min_size=1, max_size=4)


def wait(coroutine: Any) -> Any:
    """Let the reactor run until this is done."""
    return pytest_twisted.blockon(Deferred.fromCoroutine(coroutine))


async def passing(seconds: float) -> None:
    await deferLater(reactor, seconds)


class Network(RuleBasedStateMachine):
    """
    Clients of a relay in front of an echo, with toxics on both services.

    What arrives is a prefix of what was sent, and all of it where no toxic and no client has ended
    the connection. Once the toxics are gone nothing is left: no connection, wire or timer.

    @cvar types: the toxics that come.
    @cvar areRude: whether clients hang up in the middle of something.
    """

    types: tuple[str, ...] = tuple(sorted(HONEST))
    areRude = True

    callers = Bundle("callers")
    toxics = Bundle("toxics")

    @initialize()
    def begin(self) -> None:
        self.stack = AsyncExitStack()
        wait(self._begin())
        self.all: list[Caller] = []
        self.names = 0
        self.ending = 0

    async def _begin(self) -> None:
        self.echo = await self.stack.enter_async_context(serving())
        target: Any = self.echo.addresses["main"][0]
        relay = serving(protocol="relay", target=f"{target.host}:{target.port}")
        self.relay = await self.stack.enter_async_context(relay)
        self.places = [one.live("main").toxics for one in (self.relay, self.echo)]

    @rule(target=callers, sizes=SIZES, seed=st.integers(0, 9))
    def call(self, sizes: list[int], seed: int) -> Any:
        if sum(not caller.isOver for caller in self.all) >= 6:
            return multiple()
        caller = Caller(self.relay.addresses["main"][0], not self.ending)
        self.all.append(caller)
        self.send(caller, sizes, seed)
        return caller

    @rule(caller=callers, sizes=SIZES, seed=st.integers(0, 9))
    def send(self, caller: Caller, sizes: list[int], seed: int) -> None:
        for size in sizes:
            caller.send(random.Random(seed).randbytes(size))
            wait(passing(0.001))

    @rule(caller=callers)
    def read(self, caller: Caller) -> None:
        caller.read()

    @rule(caller=callers, isMeant=st.sampled_from([False, False, True]))
    def finish(self, caller: Caller, isMeant: bool) -> None:
        if isMeant:
            caller.finish()

    @precondition(lambda self: self.areRude)
    @rule(caller=consumes(callers), isReset=st.booleans())
    def hangUp(self, caller: Caller, isReset: bool) -> None:
        caller.hangUp(isReset)

    @rule(
        target=toxics,
        number=st.integers(0, 999),
        place=st.integers(0, 1),
        stream=st.sampled_from(STREAMS),
        toxicity=st.sampled_from([0.5, 1.0]),
        seed=st.integers(0, 99),
    )
    def add(self, number: int, place: int, stream: Any, toxicity: float, seed: int) -> Any:
        self.names += 1
        type = self.types[number % len(self.types)]
        if type in CUTTING:
            self.ending += 1
            for caller in self.all:
                caller.isWhole = False
        asked = ToxicSettings(
            type=type,
            name=f"{type}{self.names}",
            stream=stream,
            toxicity=toxicity,
            seed=seed,
            attributes=attributesOf(type, random.Random(seed)),
        )
        self.places[place].add(asked)
        return self.places[place], asked.name, type

    @rule(one=toxics, seed=st.integers(0, 99), toxicity=st.sampled_from([None, 0.0, 0.5, 1.0]))
    def change(self, one: tuple[Toxics, str, str], seed: int, toxicity: float | None) -> None:
        place, name, type = one
        place.change(name, attributesOf(type, random.Random(seed)), toxicity)

    @rule(one=consumes(toxics))
    def remove(self, one: tuple[Toxics, str, str]) -> None:
        place, name, type = one
        place.remove(name)
        self.ending -= type in CUTTING

    @rule(seconds=st.sampled_from([0.0, 0.001, 0.01, 0.05]))
    def pause(self, seconds: float) -> None:
        wait(passing(seconds))

    def teardown(self) -> None:
        try:
            for place in self.places:
                place.clear()
            wait(self._end())
        finally:
            for caller in self.all:
                caller.socket.close()
            wait(self.stack.aclose())

    async def _end(self) -> None:
        for caller in self.all:
            caller.finish()

        def areOver() -> bool:
            for caller in self.all:
                if not caller.isOver:
                    caller.read()
            return all(caller.isOver for caller in self.all)

        await until(areOver, lambda: "a connection does not end")
        for daemon, toxics in zip((self.relay, self.echo), self.places, strict=True):
            await until(lambda daemon=daemon: not len(daemon.connections))  # type: ignore[misc]
            await until(lambda daemon=daemon: not daemon.alarms.getDelayedCalls())  # type: ignore[misc]
            assert not toxics._wires and not toxics._waiting


class Whole(Network):
    """The same where nothing ends a connection but its client's end: everything arrives."""

    types = tuple(sorted(HONEST.keys() - CUTTING))
    areRude = False


TestNetwork = Network.TestCase
TestNetwork.settings = settings(max_examples=25, stateful_step_count=40, deadline=None)
TestWhole = Whole.TestCase
TestWhole.settings = TestNetwork.settings
