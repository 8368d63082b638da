"""Resets that overtake no more than they must (`loopbackd.net.ending`)."""

from __future__ import annotations

import socket
from types import SimpleNamespace
from typing import Any

import pytest
from twisted.internet.protocol import Protocol

from loopbackd.net.batch import BatchReactor
from loopbackd.net.ending import bareOf, sendAndReset
from loopbackd.net.transport import Server
from net.ends import Real


def test_what_waits_is_offered_once_more() -> None:
    """A peer that has read since gets as much as fits, in order, and then the reset."""
    real = Real()
    core = BatchReactor(real)
    with socket.create_server(("127.0.0.1", 0)) as server:
        peer = socket.create_connection(server.getsockname())
        peer.settimeout(10)
        sock, _ = server.accept()
    protocol = Protocol()
    transport: Any = Server(sock, protocol, ("127.0.0.1", 1), None, 0, core)
    protocol.makeConnection(transport)
    said = bytes(range(256)) * 100_000
    transport.write(said)
    before = transport.bytesSent
    assert 0 < before < len(said)
    heard = b""
    while len(heard) < before:
        heard += peer.recv(1 << 20)
    layer = SimpleNamespace(transport=transport, abortConnection=transport.abortConnection)
    sendAndReset(layer)
    real.advance(0)
    assert not transport.connected and transport.bytesSent > before
    with pytest.raises(ConnectionResetError):
        while True:
            heard += peer.recv(1 << 20)
    assert said.startswith(heard) and before < len(heard) <= transport.bytesSent
    sendAndReset(transport)
    peer.close()
    core.close()


def test_what_is_bare() -> None:
    """The transport of ours below all layers, if there is one."""
    assert bareOf(object()) is None
    assert bareOf(SimpleNamespace(transport=SimpleNamespace())) is None
