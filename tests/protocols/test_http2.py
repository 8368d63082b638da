"""Tests for L{loopbackd.protocols.http2}."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import pytest_twisted
from hypothesis import given
from hypothesis import strategies as st
from tls.ends import ran
from twisted.internet import reactor as realReactor
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from loopbackd.protocols.http2 import PREFACE, HTTP2Factory, refusal
from loopbackd.testing import addressOf, converse, serving

reactor: Any = realReactor
SETTINGS = bytes.fromhex("000000 04 00 00000000")


class Beneath(StringTransport):
    """A transport whose own side can be closed."""

    finished = False

    def loseWriteConnection(self) -> None:
        self.finished = True


def connected(factory: HTTP2Factory | None = None) -> tuple[Any, Beneath, Clock]:
    """The protocol, on a transport in memory."""
    factory = factory or HTTP2Factory()
    clock: Any = factory.clock or Clock()
    factory.clock = clock
    protocol = factory.buildProtocol(None)
    beneath = Beneath()
    protocol.makeConnection(beneath)
    return protocol, beneath, clock


def test_the_answer_byte_by_byte() -> None:
    """An empty SETTINGS, and GOAWAY: last stream 0, error 0xd, a reason (RFC 9113 6.5, 6.8)."""
    answer = refusal(b"why")
    assert answer[:9] == SETTINGS
    assert answer[9:18] == bytes.fromhex("00000b 07 00 00000000")
    assert answer[18:] == bytes.fromhex("00000000 0000000d") + b"why"


@given(st.lists(st.integers(1, 40), max_size=6))
def test_the_preface_in_any_pieces(cuts: list[int]) -> None:
    """It is answered once, when it is whole, and what follows is thrown away."""
    protocol, beneath, clock = connected()
    data = PREFACE + SETTINGS + b"more"
    for size in (*cuts, len(data)):
        piece, data = data[:size], data[size:]
        if piece:
            protocol.dataReceived(piece)
    assert beneath.value() == refusal(b"HTTP/2 is not served here; use HTTP/1.1\n")
    assert beneath.finished
    clock.advance(10)
    assert beneath.disconnected


@pytest.mark.parametrize("data", [b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", b"hello"])
def test_what_only_looks_like_it(data: bytes) -> None:
    """Gets no frames."""
    protocol, beneath, clock = connected()
    protocol.dataReceived(data)
    assert (beneath.value(), beneath.finished) == (b"", True)
    clock.advance(10)


def test_a_preface_that_never_ends() -> None:
    """Has its time."""
    protocol, beneath, clock = connected()
    protocol.dataReceived(PREFACE[:18])
    clock.advance(1.9)
    assert not beneath.finished
    clock.advance(0.2)
    assert (beneath.value(), beneath.finished) == (b"", True)
    clock.advance(10)
    assert beneath.disconnected


@pytest_twisted.ensureDeferred
async def test_on_a_real_port() -> None:
    """auto leads there."""
    async with serving(reactor, "auto", {"greeting_delay": 5}) as loopback:
        heard = await converse(reactor, loopback, PREFACE + SETTINGS)
        assert heard.startswith(SETTINGS) and heard[9 + 3] == 7


@pytest_twisted.ensureDeferred
async def test_curl_says_why(program: Callable[..., str]) -> None:
    """curl --http2-prior-knowledge ends at once, with GOAWAY's number in its own words."""
    curl = program("curl")
    async with serving(reactor, "auto", {"greeting_delay": 5}) as loopback:
        url = f"http://127.0.0.1:{addressOf(loopback).port}/"  # type: ignore[attr-defined]
        words = ("-qsSv", "--noproxy", "*", "--http2-prior-knowledge", "--max-time", "5", url)
        code, said = await ran(curl, *words)
        assert (code, "GOAWAY, error=13" in said) == (16, True), said


def test_many_are_one_line_a_second(logged: Callable[[str], Any]) -> None:
    """A flood of clients is no flood in the log; the next line says how many were not told."""
    lines = logged("loopbackd.protocols.http2")
    factory = HTTP2Factory()
    for _second in range(2):
        for _ in range(5):
            protocol, _beneath, clock = connected(factory)
            protocol.dataReceived(PREFACE)
            protocol.connectionLost()
        clock.advance(1)
    assert len(lines) == 2
    assert lines[1].endswith(" (4 more like it since the last such line)")
