"""Tests for L{loopbackd.peer.tcpinfo}."""

from __future__ import annotations

import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopbackd.peer.tcpinfo import parseTCPInfo, tcpInfoOf

# linux/tcp.h, struct tcp_info: eight bytes, then 24 numbers; each is its own place here.
BYTES = struct.pack("=8B", 1, 0, 0, 0, 0, 0b0101, 0, 0)
NUMBERS = struct.pack("=24I", *range(1000, 1024))
MORE = struct.pack("=4Q6IQ", 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)


def test_eachInItsPlace() -> None:
    """Numbers are read from where the kernel puts them, times become seconds."""
    info = parseTCPInfo(BYTES + NUMBERS + MORE + bytes(100))
    assert (info.state, info.options) == ("ESTABLISHED", ("timestamps", "window scaling"))
    assert (info.timeout, info.segment, info.unacknowledged) == (0.001, 1002, 1004)
    assert (info.lost, info.silence, info.pathUnit) == (1006, 1.011, 1013)
    assert (info.roundTrip, info.variation) == (0.001015, 0.001016)
    assert (info.threshold, info.window, info.retransmitted) == (1017, 1018, 1023)
    assert (info.acknowledged, info.received, info.rate) == (3, 4, 11)
    assert info.shortest == 8e-6


def test_anOlderKernel() -> None:
    """What it does not tell is unknown."""
    info = parseTCPInfo(BYTES + NUMBERS)
    assert info.window == 1018
    assert (info.shortest, info.acknowledged, info.received, info.rate) == (None,) * 4


def test_notYet() -> None:
    """What has no value yet has none here."""
    numbers = [0] * 24
    numbers[17] = 0x7FFFFFFF
    more = struct.pack("=4Q6IQ", 0, 0, 0, 0, 0, 0, 0, 0xFFFFFFFF, 0, 0, 0)
    info = parseTCPInfo(b"\x63" + bytes(7) + struct.pack("=24I", *numbers) + more)
    assert (info.threshold, info.shortest, info.state) == (None, None, "99")


@given(st.binary(max_size=300))
def test_anyBytes(data: bytes) -> None:
    """Enough bytes are a connection, fewer are an error that says so."""
    if len(data) < 104:
        with pytest.raises(ValueError, match="104 at least"):
            parseTCPInfo(data)
    else:
        parseTCPInfo(data)


def test_aRealConnection() -> None:
    """The kernel says what was sent and what was confirmed."""
    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        socket.create_connection(listening.getsockname()) as client,
        listening.accept()[0] as server,
    ):
        client.sendall(b"hello")
        assert server.recv(10) == b"hello"
        info = tcpInfoOf(server)
        assert info is not None
        assert (info.state, info.received) == ("ESTABLISHED", 5)
        assert 0 < info.roundTrip < 1
    assert tcpInfoOf(server) is None


def test_otherSockets() -> None:
    """Only TCP has such facts."""
    one, other = socket.socketpair()
    with one, other:
        assert tcpInfoOf(one) is None
