"""Reset: in time after the first word, and of nobody else."""

from __future__ import annotations

import pytest
import pytest_twisted
from sockets import readAll
from suffering import Line, call, effectOf, serving, toxic
from twisted.internet.threads import deferToThread

from loopbackd.faults.kind import Mark
from loopbackd.faults.kinds import makeKind


@pytest.mark.parametrize("first", [b"x", Mark.END, Mark.CLOSE])
def test_after_the_first(first: bytes | Mark) -> None:
    """The time begins with the first data, or with the end."""
    line = Line(effectOf("reset_peer", timeout=500))
    line.at(3, first)
    line.at(3.2, b"y")
    line.until(10)
    assert line.came == []
    assert line.outlet.cuts == [(3.5, Mark.RESET)]
    assert not line.clock.getDelayedCalls()


def test_at_once() -> None:
    """Without a time it is there and then."""
    line = Line(effectOf("reset_peer"))
    line.at(1, b"x")
    assert line.outlet.cuts == [(1, Mark.RESET)]


def test_idle() -> None:
    """Where nothing is said nothing happens."""
    effect = effectOf("reset_peer")
    line = Line(effect)
    line.at(1000)
    line.link.take(effect)
    assert line.outlet.cuts == line.came == []


def test_changed() -> None:
    """Another time counts from the first data, too."""
    effect = effectOf("reset_peer", timeout=60_000)
    line = Line(effect)
    line.at(1, b"x")
    line.at(2)
    line.link.change(effect, makeKind("reset_peer", {"timeout": 2500}))
    line.until(10)
    assert line.outlet.cuts == [(3.5, Mark.RESET)]


def test_removed_in_the_meantime() -> None:
    """Taken away meanwhile, it resets where words were lost; an end alone goes on."""
    for first, cuts, came in (
        (b"x", [(1, Mark.RESET)], []),
        (Mark.END, [], [(1, Mark.END)]),
    ):
        effect = effectOf("reset_peer", timeout=5000)
        line = Line(effect)
        line.at(0, first)
        line.at(1)
        line.link.take(effect)
        assert (line.outlet.cuts, line.came) == (cuts, came)


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("stream", ["upstream", "downstream"])
async def test_on_a_connection(stream: str) -> None:
    """A client that says something is reset, even where the connection was there before."""
    async with serving() as loopback:
        with call(loopback) as client:
            client.sendall(b"x")
            assert await deferToThread(client.recv, 10) == b"x"
            loopback.live("main").toxics.add(toxic("reset_peer", stream=stream, timeout=50))
            client.sendall(b"y")
            with pytest.raises(ConnectionResetError):
                await deferToThread(client.recv, 10)


@pytest_twisted.ensureDeferred
async def test_spared() -> None:
    """A connection that it does not hit ends as ever."""
    async with serving(toxic("reset_peer", toxicity=0.0)) as loopback:
        with call(loopback) as client:
            client.sendall(b"x")
            client.shutdown(1)
            assert await deferToThread(readAll, client) == b"x"


@pytest.mark.parametrize("timeout", [-1, 1 << 62, "1"])
def test_bounds(timeout: object) -> None:
    """A time that is none is said to be none."""
    with pytest.raises(ValueError, match="timeout"):
        makeKind("reset_peer", {"timeout": timeout})
