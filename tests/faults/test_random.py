"""Any toxics, on any connections, in any order: what arrives was sent, and in that order."""

from __future__ import annotations

import os
import random
from typing import Any

import msgspec
import pytest
import pytest_twisted
from anytoxic import ENDS, HONEST, STREAMS, Caller, attributesOf
from hypothesis import given
from hypothesis import strategies as st
from sockets import until
from suffering import Line, reactor, serving
from twisted.internet.task import deferLater

from loopbackd.faults import kinds
from loopbackd.faults.kind import Mark
from loopbackd.faults.kinds import makeKind
from loopbackd.faults.line import effectOf
from loopbackd.faults.toxics import Toxics
from loopbackd.faultsettings import MatchSettings, ToxicSettings

ON_LINKS = sorted(HONEST.keys() - {"blackhole", "noop", "refuse", "slow_open"})

MATCHES = [None, None, MatchSettings(nth=2), MatchSettings(every=2), MatchSettings(pid=os.getpid())]


def act(caller: Caller, chance: random.Random) -> None:
    """Do one of the things clients do."""
    what = chance.choices(["send", "read", "finish", "close", "reset"], [60, 35, 2, 1, 1])[0]
    if what == "send":
        caller.send(chance.randbytes(chance.choice([1, 100, 3000, 50_000])))
    elif what == "read":
        caller.read()
    elif what == "finish":
        caller.finish()
    else:
        caller.hangUp(what == "reset")


def meddle(toxics: Toxics, chance: random.Random) -> None:
    """Put a toxic on, change one or take one away."""
    names = [one.name for one in toxics]
    what = chance.choice(["add", "add", "change", "toxicity", "remove", "remove", "clear"])
    if what == "add" and len(names) < 6:
        type = chance.choice(list(HONEST))
        settings = ToxicSettings(
            type=type,
            name=str(chance.random()),
            stream=chance.choice(STREAMS),
            toxicity=chance.choice([0.3, 1.0]),
            attributes=attributesOf(type, chance),
            match=chance.choice(MATCHES),
        )
        toxics.add(settings)
    elif what == "clear" and chance.random() < 0.1:
        toxics.clear()
    elif names and what == "change":
        one = toxics.get(chance.choice(names))
        toxics.change(one.name, attributesOf(one.type, chance))
    elif names and what == "toxicity":
        toxics.change(chance.choice(names), None, chance.choice([0.0, 0.5, 1.0]))
    elif names and what == "remove":
        toxics.remove(chance.choice(names))


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("seed", range(4))
async def test_real_connections(seed: int) -> None:
    """Nothing is doubled, nothing out of order, nobody is left; who was not cut has everything."""
    chance = random.Random(seed)
    async with serving() as loopback:
        toxics = loopback.live("main").toxics
        address: Any = loopback.addresses["main"][0]
        callers: list[Caller] = []
        for _ in range(500):
            if len(callers) < 8:
                callers.append(Caller(address, isWhole=False))
            for caller in callers:
                act(caller, chance)
            meddle(toxics, chance)
            callers = [caller for caller in callers if not caller.isOver]
            await deferLater(reactor, 0.001)
        toxics.clear()
        last = Caller(address, isWhole=True)
        callers.append(last)
        last.send(b"hello")
        for caller in callers:
            caller.finish()

        def allOver() -> bool:
            for caller in callers:
                caller.read()
            return all(caller.isOver for caller in callers)

        await until(allOver)
        assert last.came == b"hello"
        await until(lambda: not len(loopback.connections))
        assert not toxics._wires and not toxics._waiting


@given(st.data())
def test_links(data: st.DataObject) -> None:
    """On a link in memory, too, whatever is put on, changed and taken away at whatever time."""
    line, fed, cuttable = Line(), b"", False
    put: list[tuple[str, Any]] = []
    chance = random.Random(data.draw(st.integers(0, 1 << 30)))
    for step in range(data.draw(st.integers(1, 30))):
        what = data.draw(st.sampled_from(["feed", "put", "change", "take", "pause", "go", "wait"]))
        if what == "feed":
            chunk = bytes([step]) * data.draw(st.integers(1, 5000))
            fed += chunk
            line.link.feed(chunk)
        elif what == "put" and len(put) < 5:
            type = data.draw(st.sampled_from(ON_LINKS))
            effect = effectOf(
                makeKind(type, attributesOf(type, chance)),
                seed=step,
                since=line.clock.seconds(),
            )
            position = data.draw(st.integers(0, len(put)))
            line.link.put(effect, position)
            put.insert(position, (type, effect))
            cuttable |= type in ENDS
        elif what == "change" and put:
            type, effect = data.draw(st.sampled_from(put))
            kind = makeKind(type, attributesOf(type, chance))
            line.link.change(effect, kind)
        elif what == "take" and put:
            _, effect = put.pop(data.draw(st.integers(0, len(put) - 1)))
            line.link.take(effect)
        elif what == "pause":
            line.link.pause()
        elif what == "go":
            line.link.resume()
        elif what == "wait":
            line.until(line.clock.seconds() + data.draw(st.sampled_from([0.001, 0.1, 3])))
        assert fed.startswith(line.data)
    line.link.feed(Mark.END)
    for _, effect in put:
        line.link.take(effect)
    line.link.resume()
    line.until(line.clock.seconds() + 1)
    if not line.outlet.cuts and not cuttable:
        assert line.data == fed and line.came[-1][1] is Mark.END
    assert not line.clock.getDelayedCalls()


def test_all_kinds_are_meant() -> None:
    """The tables here have every kind there is, and every attribute."""
    assert HONEST.keys() == kinds._BUILT_IN.keys()
    for type, known in HONEST.items():
        fields = {field.encode_name for field in msgspec.structs.fields(kinds.kindClass(type))}
        assert fields - known.keys() <= {"every"}
