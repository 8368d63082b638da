"""Limit: exact to the byte."""

from __future__ import annotations

import pytest
import pytest_twisted
from hypothesis import given
from hypothesis import strategies as st
from sockets import readAll
from suffering import Line, call, effectOf, serving, toxic
from twisted.internet.threads import deferToThread

from loopbackd.faults.kind import Mark
from loopbackd.faults.kinds import makeKind


@given(st.integers(0, 300), st.lists(st.binary(min_size=1, max_size=100), max_size=8))
def test_exact(limit: int, chunks: list[bytes]) -> None:
    """So many bytes come through, and with the last of them the end."""
    line = Line(effectOf("limit_data", bytes=limit))
    line.at(0, *chunks)
    sent = b"".join(chunks)
    assert line.outlet.data == sent[:limit]
    assert ((0, Mark.CLOSE) in line.came) == (bool(sent) and len(sent) >= limit)
    assert line.came.count((0, Mark.CLOSE)) <= 1
    assert line.link.isEmpty


def test_nothing() -> None:
    """With 0 it is over at the first data, and not before."""
    line = Line(effectOf("limit_data"))
    line.at(1)
    assert line.came == []
    line.at(2, b"x")
    assert line.came == [(2, Mark.CLOSE)]


def test_end_before_the_limit() -> None:
    """Who says less ends as without it."""
    line = Line(effectOf("limit_data", bytes=10))
    line.at(0, b"abc", Mark.END)
    assert line.came == [(0, b"abc"), (0, Mark.END)]


def test_count_survives_changes() -> None:
    """What has passed before a change counts after it."""
    effect = effectOf("limit_data", bytes=10)
    line = Line(effect)
    line.at(0, b"12345")
    line.link.change(effect, makeKind("limit_data", {"bytes": 7}))
    line.at(1, b"67890")
    assert line.came == [(0, b"12345"), (1, b"67"), (1, Mark.CLOSE)]


def test_lowered_below_the_count() -> None:
    """Where more has passed already, it is over at the next data."""
    effect = effectOf("limit_data", bytes=10)
    line = Line(effect)
    line.at(0, b"12345")
    line.link.change(effect, makeKind("limit_data", {"bytes": 2}))
    assert line.came == [(0, b"12345")]
    line.at(1, b"6")
    assert line.came[1:] == [(1, Mark.CLOSE)]


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("stream", ["upstream", "downstream"])
async def test_on_a_connection(stream: str) -> None:
    """A client gets exactly so many bytes, then the end."""
    async with serving(toxic("limit_data", stream=stream, bytes=100_001)) as loopback:
        with call(loopback) as client:
            await deferToThread(client.sendall, bytes(100_001))
            assert len(await deferToThread(readAll, client)) == 100_001


@pytest.mark.parametrize("limit", [-1, 1 << 63, 1.5])
def test_bounds(limit: object) -> None:
    """An amount that is none is said to be none."""
    with pytest.raises(ValueError, match="bytes"):
        makeKind("limit_data", {"bytes": limit})
