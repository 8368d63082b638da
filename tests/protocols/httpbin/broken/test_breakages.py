"""Tests for L{loopbackd.protocols.httpbin.broken.breakages}: in memory and on sockets."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import h11
import pytest
import pytest_twisted
from twisted.internet import reactor as realReactor
from twisted.internet.error import ConnectionLost
from visiting import Visit, request

from loopbackd.protocols.httpbin.broken.breakage import Breakage, Verdict
from loopbackd.protocols.httpbin.broken.breakages import BREAKAGES, drawn
from loopbackd.protocols.httpbin.broken.right import BODY, WHOLE
from loopbackd.protocols.httpbin.site import makeSite
from loopbackd.testing import PATIENCE, connect, serving

reactor: Any = realReactor

SITE = makeSite()
RESETS = {"reset", "reset-after", "until-reset"}

# What h11 does not look at (versions), and what is not its business (content codings).
H11_TAKES = {"wrong-version"} | {
    name for name, one in BREAKAGES.items() if one.group == "coding and content"
}
ALL = pytest.mark.parametrize("name", BREAKAGES)


def pathOf(one: Breakage) -> str:
    """With its default amounts, in little time, and a seed."""
    given = {"seconds": "0.1", "seed": "7"}
    query = "&".join(f"{key}={value}" for key, value in given.items() if key in one.takes)
    return f"/broken/{one.name}?{query}"


def visited(name: str) -> Visit:
    """A visit to one, until it has ended."""
    visit = Visit(SITE)
    visit.say(request(pathOf(BREAKAGES[name])))
    for _ in range(50):
        visit.later(0)
        visit.clock.advance(0.02)
    return visit


def h11Takes(data: bytes, ended: bool) -> bool:
    """Whether h11 finds a whole answer in it."""
    client = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
    client.send(h11.Request(method="GET", target="/", headers=[("Host", "x")]))
    client.send(h11.EndOfMessage())
    try:
        client.receive_data(data)
        if ended:
            client.receive_data(b"")
        while True:
            event = client.next_event()
            if isinstance(event, h11.EndOfMessage):
                return True
            if event in (h11.NEED_DATA, h11.PAUSED) or isinstance(event, h11.ConnectionClosed):
                return False
    except h11.RemoteProtocolError:
        return False


@ALL
def test_endsAsSaid(name: str) -> None:
    """It ends by itself, with a reset where it is said, and leaves nothing that goes on."""
    visit = visited(name)
    assert visit.hasEnded
    assert visit.transport.aborted == (name in RESETS)
    visit.end()


@ALL
def test_theSameAgain(name: str) -> None:
    """The same seed gives the same bytes; where there is no seed, they never differ."""
    first, second = visited(name), visited(name)
    assert first.heard == second.heard
    first.end()
    second.end()


@ALL
def test_aStrictClient(name: str) -> None:
    """h11 refuses what is to be refused, and takes what is to be taken."""
    verdict = BREAKAGES[name].verdict
    visit = visited(name)
    takes = h11Takes(visit.heard, not visit.transport.aborted)
    visit.end()
    if name in H11_TAKES:
        assert takes
    elif verdict is not Verdict.EITHER:
        assert takes == (verdict is Verdict.TAKES)


@ALL
def test_isDescribed(name: str) -> None:
    """It says what it does, what a right client does, and who says so."""
    one = BREAKAGES[name]
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name)
    assert one.does.endswith(".") and one.rightly and one.source
    assert re.match(r"RFC \d+|each its own$", one.source)
    for span in one.takes.values():
        assert span.least <= span.default <= span.most
    assert visitedDiffers(name)


def visitedDiffers(name: str) -> bool:
    """Whether it is not just the right answer, in its bytes or in how it comes and ends."""
    visit = visited(name)
    heard = visit.heard
    visit.end()
    return heard != WHOLE or name in {
        "body-for-head",
        "held-open",
        "late-answer",
        "slow-head",
        "stalled-body",
    }


@ALL
@pytest_twisted.ensureDeferred
async def test_onTheWire(name: str) -> None:
    """On a real socket there are exactly these bytes, and FIN or RST behind them."""
    visit = visited(name)
    expected = visit.heard
    visit.end()
    one = BREAKAGES[name]
    async with serving(reactor, "http") as loopback:
        client = await connect(reactor, loopback)
        client.transport.write(request(pathOf(one)))  # type: ignore[union-attr]
        client.finished.addTimeout(PATIENCE, reactor)
        if name in RESETS:
            with pytest.raises(ConnectionLost):
                await client.finished
        else:
            await client.finished
    if name.startswith("endless-"):
        # How often twenty times a second is, only a clock in memory knows.
        shorter = min(len(expected), len(client.heard))
        assert shorter > 4000
        assert client.heard[:shorter] == expected[:shorter]
    else:
        assert client.heard == expected


def test_any() -> None:
    """Seeds draw many, and never one that takes time."""
    names = {drawn(seed).name for seed in range(2000)}
    assert len(names) > 80
    assert all("seconds" not in BREAKAGES[name].takes for name in names)
    assert "any" not in names


def test_anyIsWhatWasDrawn() -> None:
    """The answer is that of the one that its seed draws."""
    visit, other = Visit(SITE), Visit(SITE)
    visit.say(request("/broken/any?seed=11"))
    other.say(request(f"/broken/{drawn(11).name}"))
    assert visit.heard == other.heard
    visit.end()
    other.end()


def test_whatWasDrawnIsOneLineASecond(logged: Callable[[str], Any]) -> None:
    """A client in a loop does not fill the log; the next line says how many were not told."""
    lines = logged("loopbackd.protocols.httpbin.broken")
    visit = Visit(SITE)
    for _second in range(2):
        for _ in range(3):
            visit.say(request("/broken/any?seed=11"))
            visit.connect()
        visit.clock.advance(1)
    visit.end()
    assert len(lines) == 2
    assert lines[1].endswith("(2 more like it since the last such line)")


@pytest.mark.parametrize("size", [0, 1, 16, 17, 130, 1000, 65536])
@pytest.mark.parametrize("name", ["half-answer", "reset-after"])
def test_soManyBytes(name: str, size: int) -> None:
    """Exactly as many as were asked for, each the beginning of the next."""
    visit = Visit(SITE)
    visit.say(request(f"/broken/{name}?bytes={size}"))
    visit.later(0.2)
    assert len(visit.heard) == size
    assert b"HTTP/1.1 200 OK\r\n".startswith(visit.heard[:17])
    visit.end()


def test_head() -> None:
    """HEAD is answered with the body, too."""
    visit = Visit(SITE)
    visit.say(request("/broken/body-for-head", "HEAD"))
    assert visit.heard.endswith(BODY)
    visit.end()
