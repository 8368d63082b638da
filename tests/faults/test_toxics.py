"""The toxics of a service: added, changed, and told from those of the configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_twisted
from suffering import call, onlyTransport, serving, toxic
from twisted.internet.threads import deferToThread

from loopbackd.faults.toxics import NameTaken
from loopbackd.prepared import prepare
from loopbackd.service import Loopback


def reload(loopback: Loopback, *toxics: Any, **others: Any) -> None:
    """Have the configuration ask for these toxics now."""
    (before,) = loopback.settings.service
    service = msgspec.structs.replace(before, toxic=toxics, **others)
    settings = msgspec.structs.replace(loopback.settings, service=(service,))
    loopback.change(settings, prepare(settings, Path()))


def names(loopback: Loopback) -> list[str]:
    return [one.name for one in loopback.live("main").toxics]


@pytest_twisted.ensureDeferred
async def test_order() -> None:
    """Those on the way up come first, each in the order they were put on."""
    async with serving() as loopback:
        toxics = loopback.live("main").toxics
        for name, stream in (("a", "downstream"), ("b", "upstream"), ("c", "upstream")):
            toxics.add(toxic("noop", name=name, stream=stream))
        assert names(loopback) == ["b", "c", "a"] and len(toxics) == 3
        with pytest.raises(NameTaken, match="there is a toxic 'a' already"):
            toxics.add(toxic("noop", name="a"))
        with pytest.raises(KeyError):
            toxics.remove("d")
        with pytest.raises(KeyError):
            toxics.get("d")


@pytest_twisted.ensureDeferred
async def test_change() -> None:
    """Some attributes are changed and the others stay; what is wrong changes nothing."""
    async with serving(toxic("latency", latency=5, jitter=1, seed=3)) as loopback:
        toxics = loopback.live("main").toxics
        changed = toxics.change("latency_downstream", {"latency": 7})
        assert (changed.attributes["latency"], changed.attributes["jitter"]) == (7, 1)
        for wrong in ({"latency": -1}, {"lateness": 1}, {"latency": "x"}):
            with pytest.raises(ValueError, match="latency: "):
                toxics.change("latency_downstream", wrong)
        with pytest.raises(ValueError, match="toxicity"):
            toxics.change("latency_downstream", {"latency": 9}, 1.5)
        toxics.change("latency_downstream", None, 0.25)
        assert (changed.attributes["latency"], changed.toxicity, changed.seed) == (7, 0.25, 3)


@pytest_twisted.ensureDeferred
async def test_reload_leaves_what_it_does_not_touch() -> None:
    """What was put on, changed or taken away at run time stays so while the file says the same."""
    first, second = toxic("noop", name="first"), toxic("latency", name="second", latency=1)
    async with serving(first, second) as loopback:
        toxics = loopback.live("main").toxics
        toxics.add(toxic("noop", name="mine"))
        toxics.change("second", {"latency": 5})
        toxics.remove("first")
        reload(loopback, first, second)
        reload(loopback, first, second, idle_timeout=60)
        assert loopback.live("main").toxics is toxics
        assert names(loopback) == ["second", "mine"]
        assert toxics.get("second").attributes["latency"] == 5
        reload(loopback, first, second, toxic("noop", name="third"))
        assert names(loopback) == ["second", "mine", "third"]
        reload(loopback)
        assert names(loopback) == ["mine"]


@pytest_twisted.ensureDeferred
async def test_reload_changes_live() -> None:
    """A toxic of the file is changed in place; of another type it is another one."""
    async with serving(toxic("latency", name="it", latency=1)) as loopback:
        toxics = loopback.live("main").toxics
        with call(loopback) as client:
            client.sendall(b"x")
            assert await deferToThread(client.recv, 1) == b"x"
            wire, it = onlyTransport(loopback).wire, toxics.get("it")
            reload(loopback, toxic("latency", name="it", latency=2, toxicity=1.0))
            assert toxics.get("it") is it and onlyTransport(loopback).wire is wire
            assert it.attributes["latency"] == 2
            reload(loopback, toxic("cut", name="it", after=60_000))
            assert toxics.get("it") is not it and toxics.get("it").type == "cut"
            client.sendall(b"y")
            assert await deferToThread(client.recv, 1) == b"y"
            reload(loopback, toxic("cut", name="it", after=60_000, stream="upstream"))
            assert toxics.get("it").stream == "upstream"
            reload(loopback, profile="wifi")
            assert all(name.startswith("wifi_") for name in names(loopback))
            client.sendall(b"z")
            assert await deferToThread(client.recv, 1) == b"z"
            reload(loopback, profile="")
            assert onlyTransport(loopback).wire is None


@pytest_twisted.ensureDeferred
async def test_reload_keeps_who_waits_waiting() -> None:
    """A connection in a black hole does not escape while the file is read again."""
    async with serving(toxic("blackhole")) as loopback:
        toxics = loopback.live("main").toxics
        with call(loopback) as client:
            client.sendall(b"x")
            while not toxics._waiting:
                await deferToThread(lambda: None)
            reload(loopback, toxic("blackhole"), toxic("noop"), idle_timeout=60)
            assert len(toxics._waiting) == 1
            reload(loopback)
            assert await deferToThread(client.recv, 1) == b"x"
