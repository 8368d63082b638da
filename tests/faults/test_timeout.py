"""Timeout: nothing comes through, and it ends in time although data flows."""

from __future__ import annotations

import threading
import time

import pytest
import pytest_twisted
from sockets import readAll, until
from suffering import Line, call, effectOf, onlyTransport, serving, toxic
from twisted.internet.threads import deferToThread

from loopbackd.faults.kind import Mark
from loopbackd.faults.kinds import makeKind


def test_in_time_under_traffic() -> None:
    """It ends so long after it was put on, whatever was said when."""
    line = Line(effectOf("timeout", timeout=1000))
    for when in range(9):
        line.at(when / 10, b"x")
    line.until(5)
    assert line.came == []
    assert line.outlet.cuts == [(1, Mark.CLOSE)]
    assert not line.clock.getDelayedCalls()


def test_until_removed() -> None:
    """With 0 it stays as it is, until the toxic is taken away."""
    effect = effectOf("timeout")
    line = Line(effect)
    line.at(0, b"x")
    line.at(5000, b"y")
    assert line.came == line.outlet.cuts == []
    line.link.take(effect)
    assert line.outlet.cuts == [(5000, Mark.CLOSE)]


def test_changed() -> None:
    """A change counts from now; 0 is never, until the next one."""
    effect = effectOf("timeout", timeout=1000)
    line = Line(effect)
    line.at(0.9)
    line.link.change(effect, makeKind("timeout", {"timeout": 0}))
    line.at(20)
    line.link.change(effect, makeKind("timeout", {"timeout": 500}))
    line.until(30)
    assert line.outlet.cuts == [(20.5, Mark.CLOSE)]


def test_nothing_is_held() -> None:
    """However much is said, its source may go on."""
    line = Line(effectOf("timeout"))
    line.at(0, *[bytes(65536)] * 100)
    assert not line.outlet.held and line.link.isEmpty


def test_end_passes() -> None:
    """Who finishes is heard to have finished."""
    line = Line(effectOf("timeout"))
    line.at(1, b"x", Mark.END)
    assert line.came == [(1, Mark.END)]


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("stream", ["upstream", "downstream"])
async def test_on_a_connection(stream: str) -> None:
    """A client that goes on sending sees the end, not a reset."""
    async with serving(toxic("timeout", stream=stream, timeout=200)) as loopback:
        with call(loopback) as client:
            ended = threading.Event()

            def talk() -> None:
                while not ended.is_set():
                    try:
                        client.send(bytes(1000))
                    except OSError:
                        return
                    ended.wait(0.001)

            began = time.monotonic()
            talking = deferToThread(talk)
            assert await deferToThread(readAll, client) == b""
            assert 0.19 < time.monotonic() - began < 3
            ended.set()
            await talking


@pytest_twisted.ensureDeferred
async def test_removal_closes() -> None:
    """A client whose words were lost is hung up on when the toxic goes; a new one is not."""
    async with serving(toxic("timeout")) as loopback:
        with call(loopback) as client:
            await deferToThread(client.sendall, b"x")
            await until(lambda: onlyTransport(loopback).bytesReceived)
            loopback.live("main").toxics.remove("timeout_downstream")
            assert await deferToThread(readAll, client) == b""
        with call(loopback) as client:
            client.sendall(b"y")
            assert await deferToThread(client.recv, 10) == b"y"


@pytest.mark.parametrize("timeout", [-1, 1 << 62, "1"])
def test_bounds(timeout: object) -> None:
    """A time that is none is said to be none."""
    with pytest.raises(ValueError, match="timeout"):
        makeKind("timeout", {"timeout": timeout})
