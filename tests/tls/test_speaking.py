"""Tests for L{loopbackd.tls.speaking}."""

from __future__ import annotations

from pathlib import Path

import pytest
from OpenSSL import SSL

from tls.cases import Case, Inside, Producer


def test_goodbye_waits_for_the_producer(tmp_path: Path) -> None:
    """Who registered one has more to write."""
    case = Case(tmp_path).shake()
    case.layer.registerProducer(Producer(), False)
    case.layer.loseConnection()
    assert not case.beneath.disconnecting
    case.layer.write(b"more")
    assert case.hear() == b"more"
    case.layer.unregisterProducer()
    assert case.beneath.disconnecting
    with pytest.raises(SSL.ZeroReturnError):
        case.hear()


def test_only_bytes_can_be_written(tmp_path: Path) -> None:
    """As everywhere."""
    case = Case(tmp_path).shake()
    with pytest.raises(TypeError, match="must be bytes, not str"):
        case.layer.write("words")  # type: ignore[arg-type]
    case.layer.write(memoryview(b"view"))
    case.layer.writeSequence([b"a", b"b"])
    assert case.hear() == b"view"
    assert case.hear() == b"ab"


def test_a_write_is_sent_at_once(tmp_path: Path) -> None:
    """Nothing waits for another turn of the reactor."""
    case = Case(tmp_path).shake()
    case.layer.write(b"x" * 100_000)
    assert len(case.beneath.value()) > 100_000
    assert not case.clock.getDelayedCalls()


def test_what_is_written_in_one_turn_goes_out_together(tmp_path: Path) -> None:
    """With the end of the handshake, and as one piece; but much of it does not wait."""

    class Chatty(Inside):
        def connectionMade(self) -> None:
            self.transport.write(b"hello ")
            self.transport.write(b"there")

        def dataReceived(self, data: bytes) -> None:
            for _ in range(100):
                self.transport.write(bytes(1000))

    case = Case(tmp_path, Chatty())
    pieces: list[int] = []
    plain = case.beneath.write

    def write(data: bytes) -> None:
        pieces.append(len(data))
        plain(data)

    case.beneath.write = write  # type: ignore[method-assign]
    case.shake()
    assert len(pieces) == 2
    assert case.hear() == b"hello "
    assert case.hear() == b"there"
    case.client.send(b"go on")
    case.pump()
    assert len(pieces) == 4 and pieces[2] > 65_536 > pieces[3]
