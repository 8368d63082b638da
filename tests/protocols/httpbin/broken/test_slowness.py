"""Tests for L{loopbackd.protocols.httpbin.broken.slowness}."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from visiting import Visit, request

from loopbackd.protocols.httpbin.broken.right import WHOLE
from loopbackd.protocols.httpbin.broken.slowness import drip
from loopbackd.protocols.httpbin.site import makeSite


class Slow:
    """A wire that remembers when each byte was written."""

    def __init__(self) -> None:
        self.now = 0.0
        self.written: list[tuple[float, bytes]] = []

    def write(self, data: bytes) -> None:
        self.written.append((self.now, data))

    async def drained(self) -> None: ...

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


@given(st.binary(min_size=1), st.floats(0, 600))
def test_drip(data: bytes, seconds: float) -> None:
    """All of it is written: the first byte at once, the last at the end, in pieces that are few."""
    wire = Slow()
    with pytest.raises(StopIteration):
        drip(wire, data, seconds).send(None)  # type: ignore[arg-type]
    assert b"".join(piece for _, piece in wire.written) == data
    assert wire.written[0][0] == 0
    assert all(piece for _, piece in wire.written)
    if len(data) > 1 and seconds >= 0.01:
        assert wire.now == pytest.approx(seconds)
        assert len(wire.written) <= seconds / 0.01 + 2


def test_lateAnswer() -> None:
    """Nothing before its time, all of it then."""
    visit = Visit(makeSite())
    visit.say(request("/broken/late-answer?seconds=2"))
    visit.later(1.9)
    assert visit.heard == b""
    visit.later(0.2)
    assert visit.heard == WHOLE
    visit.end()


@pytest.mark.parametrize("name", ["endless-head", "endless-line", "endless-body", "endless-chunks"])
def test_endless(name: str) -> None:
    """It goes on for as long as was asked, and ends then."""
    visit = Visit(makeSite())
    visit.say(request(f"/broken/{name}?seconds=30&bytes=100"))
    sizes = []
    for _ in range(29):
        visit.later(1)
        sizes.append(len(visit.heard))
        assert not visit.hasEnded
    assert sizes == sorted(set(sizes))
    visit.later(2)
    assert visit.hasEnded
    visit.end()


@pytest.mark.parametrize("name", ["endless-body", "slow-body", "silence", "interim-flood"])
def test_clientLeaves(name: str) -> None:
    """When the client has gone, nothing goes on."""
    visit = Visit(makeSite())
    visit.say(request(f"/broken/{name}"))
    visit.later(0.5)
    visit.end()


def test_pushesBack() -> None:
    """What does not end waits for a client that does not take it."""
    visit = Visit(makeSite())
    visit.say(request("/broken/endless-body?seconds=10"))
    visit.later(0.5)
    visit.http.pauseProducing()
    visit.later(0.1)
    before = len(visit.heard)
    visit.later(1)
    assert len(visit.heard) == before
    visit.http.resumeProducing()
    visit.later(1)
    assert len(visit.heard) > before
    visit.end()
