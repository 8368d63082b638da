"""Cuts: when connections end, and which."""

from __future__ import annotations

import socket
from typing import Any

import pytest
import pytest_twisted
from sockets import readAll
from suffering import Line, call, effectOf, serving, toxic
from twisted.internet.threads import deferToThread

from loopbackd.faults.kind import Mark
from loopbackd.faults.kinds import makeKind


def test_once() -> None:
    """What was open before ends then, whatever flows; what comes later does not."""
    line = Line(effectOf("cut", after=1000))
    for tenth in range(20):
        line.at(tenth / 10, b"x")
    assert line.outlet.cuts == [(1, Mark.CLOSE)]
    assert len(line.outlet.data) == 10
    late = Line(effectOf("cut", after=1000, opened=1.5))
    late.until(10)
    assert late.outlet.cuts == []
    assert not late.clock.getDelayedCalls()


def test_at_once() -> None:
    """After no time at all everything that is open ends, and nothing that comes later."""
    line = Line()
    line.clock.advance(5)
    line.link.put(effectOf("cut", since=5, opened=4, reset=True), 0)
    assert line.outlet.cuts == [(5, Mark.RESET)]


@pytest.mark.parametrize(
    ("opened", "ends"), [(0.0, 1.0), (0.9, 1.0), (1.5, 2.0), (7.2, 8.0), (8.0, 8.0)]
)
def test_every(opened: float, ends: float) -> None:
    """Again and again, counted from when the toxic was put on."""
    line = Line()
    line.clock.advance(opened)
    line.link.put(effectOf("cut", after=1000, every=True, opened=opened), 0)
    line.until(20)
    assert line.outlet.cuts == [(ends, Mark.CLOSE)]


def test_per_connection() -> None:
    """Each connection has a life of its own, of which some may be over when the toxic comes."""
    line = Line()
    line.clock.advance(3)
    line.link.put(effectOf("cut", after=1000, per_connection=True, opened=2.5, since=3), 0)
    line.until(20)
    assert line.outlet.cuts == [(3.5, Mark.CLOSE)]


def test_changed() -> None:
    """Another time counts from the same moment."""
    effect = effectOf("cut", after=60_000)
    line = Line(effect)
    line.until(2)
    line.link.change(effect, makeKind("cut", {"after": 3000, "reset": True}))
    line.until(10)
    assert line.outlet.cuts == [(3, Mark.RESET)]


def test_taken_away() -> None:
    """A cut that was taken away in time does not happen."""
    effect = effectOf("cut", after=1000)
    line = Line(effect)
    line.link.take(effect)
    line.until(10)
    assert line.outlet.cuts == []


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"every": True}, "every = true needs an after"),
        ({"every": True, "per_connection": True, "after": 1}, "write one of them"),
        ({"after": -1}, "after = -1"),
        ({"reset": 1}, "reset = 1: expected true or false"),
    ],
)
def test_wrong(attributes: dict[str, Any], message: str) -> None:
    """What makes no sense is told in one line."""
    with pytest.raises(ValueError, match=message) as raised:
        makeKind("cut", attributes)
    assert "\n" not in str(raised.value)


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("reset", [False, True])
async def test_real(reset: bool) -> None:
    """A client whose life is over sees an end or a reset, in the middle of a stream."""
    cut = toxic("cut", after=150, per_connection=True, reset=reset)
    async with serving(cut, protocol="chargen") as loopback:
        for _ in range(2):
            with call(loopback) as client:
                if reset:
                    with pytest.raises(ConnectionResetError):
                        await deferToThread(readAll, client)
                else:
                    assert len(await deferToThread(readAll, client)) > 1000


@pytest_twisted.ensureDeferred
async def test_all_at_once() -> None:
    """All that are open when it is put on end together, and the next one stays."""
    async with serving() as loopback:
        clients = [call(loopback) for _ in range(5)]
        for client in clients:
            client.sendall(b"x")
            assert await deferToThread(client.recv, 1) == b"x"
        loopback.live("main").toxics.add(toxic("cut", after=20))
        for client in clients:
            assert await deferToThread(client.recv, 1) == b""
            client.close()
        with call(loopback) as client:
            client.sendall(b"y")
            client.shutdown(socket.SHUT_WR)
            assert await deferToThread(readAll, client) == b"y"
