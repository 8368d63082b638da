"""From types to kinds: built in, installed, and what of these cannot be used."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from typing import Any

import pytest
import pytest_twisted
from sockets import until
from suffering import call, serving, toxic
from twisted.internet.threads import deferToThread

from loopbackd.faults import kinds
from loopbackd.faults.kind import Context, Effect, Kind, Opening, Schedule
from loopbackd.faults.kinds import NoSuchKind, kindClass, known, makeKind


class Failing(Kind, frozen=True):
    """Raises where it is told to."""

    where: str = "nowhere"

    def effect(self, context: Context) -> Effect:
        if self.where == "effect":
            raise RuntimeError("effect")
        return _Fails(self)

    def opening(self, context: Context) -> Opening | None:
        if self.where == "opening":
            raise RuntimeError("opening")
        return None


class _Fails(Effect):
    takesTurns = True

    def __init__(self, kind: Failing) -> None:
        self.where = kind.where

    def _maybe(self, where: str) -> None:
        if where == self.where:
            raise RuntimeError(where)

    def begin(self, now: float) -> None:
        self._maybe("begin")

    def data(self, arrived: float, now: float, chunk: bytes) -> Schedule:
        self._maybe("data")
        return [("soon", chunk)] if self.where == "times" else [(now, chunk)]  # type: ignore[list-item]

    def turn(self, arrived: float, now: float, size: int) -> tuple[int, float]:
        self._maybe("turn")
        return size, now

    def end(self, arrived: float, now: float) -> float:
        self._maybe("end")
        return now

    def changed(self, kind: Failing, now: float) -> None:
        self._maybe("changed")
        self.where = kind.where

    def removed(self, now: float) -> None:
        self._maybe("removed")


def kaput() -> None:
    """No kind."""


@pytest.fixture
def points(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is installed, as far as is known here."""
    found = [
        EntryPoint("failing", "test_kinds:Failing", kinds.GROUP),
        EntryPoint("kaput", "test_kinds:kaput", kinds.GROUP),
        EntryPoint("absent", "test_kinds:absent", kinds.GROUP),
        EntryPoint("latency", "test_kinds:Failing", kinds.GROUP),
    ]
    monkeypatch.setattr(kinds, "entry_points", lambda group: found)


def test_known(points: None) -> None:
    """Built in ones, which cannot be replaced, then the installed."""
    names = [name for name, _ in known()]
    assert names == [*kinds._BUILT_IN, "absent", "failing", "kaput"]
    assert kindClass("latency").__module__ == "loopbackd.faults.latency"
    assert kindClass("failing") is Failing


@pytest.mark.parametrize("name", kinds._BUILT_IN)
def test_built_in(name: str) -> None:
    """Each built-in one is there."""
    assert issubclass(kindClass(name), Kind)


def test_unusable(points: None) -> None:
    """What is no kind, or does not load, is told with its place."""
    with pytest.raises(ValueError, match=r"test_kinds:kaput is no loopbackd\.faults\.kind\.Kind"):
        kindClass("kaput")
    with pytest.raises(ValueError, match="test_kinds:absent does not load: "):
        kindClass("absent")
    with pytest.raises(NoSuchKind, match=r"there is no toxic 'failin'; did you mean 'failing'\?"):
        kindClass("failin")
    with pytest.raises(ValueError, match="failing: where = 1: expected a text"):
        makeKind("failing", {"where": 1})


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("stream", ["upstream", "downstream"])
@pytest.mark.parametrize(
    "where", ["effect", "begin", "data", "times", "turn", "end", "changed", "removed"]
)
async def test_failing(points: None, where: str, stream: str, loggedFailures: Any) -> None:
    """A toxic that raises has its connection reset, and no other one."""
    async with serving() as loopback:
        toxics = loopback.live("main").toxics
        with call(loopback) as client:
            client.sendall(b"x")
            assert await deferToThread(client.recv, 1) == b"x"
            toxics.add(toxic("failing", name="it", where=where, stream=stream))
            if where == "changed":
                toxics.change("it", {"where": "nowhere"})
            elif where == "removed":
                toxics.remove("it")
            elif where == "end":
                client.shutdown(1)
            elif where not in ("effect", "begin"):
                client.sendall(b"y")
            with pytest.raises(ConnectionResetError):
                assert await deferToThread(client.recv, 1) != b"y"
                await deferToThread(client.sendall, b"z")
                await deferToThread(client.recv, 1)
        await until(lambda: not len(loopback.connections))
        assert len(loggedFailures.flush(Exception)) == 1
        toxics.clear()
        with call(loopback) as client:
            client.sendall(b"x")
            assert await deferToThread(client.recv, 1) == b"x"


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("where", ["effect", "opening", "begin"])
async def test_failing_from_the_beginning(points: None, where: str, loggedFailures: Any) -> None:
    """A new connection is reset, too."""
    async with serving(toxic("failing", where=where)) as loopback:
        with call(loopback) as client, pytest.raises(ConnectionResetError):
            await deferToThread(client.recv, 1)
        await until(lambda: not len(loopback.connections))
        assert len(loggedFailures.flush(RuntimeError)) == 1
