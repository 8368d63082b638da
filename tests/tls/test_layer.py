"""Tests for L{loopbackd.tls.layer}."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from OpenSSL import SSL
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import ISSLTransport
from twisted.python.failure import Failure
from zope.interface.verify import verifyObject

from loopbackd.tls.layer import TLSLayer
from tls.cases import Beneath, Case, Ignorant, Inside, Producer, connectionLost

BOTH = pytest.mark.parametrize("version", ["1.2", "1.3"])


def test_is_what_twisted_calls_a_tls_transport(tmp_path: Path) -> None:
    """Protocols that ask for the interface find it."""
    verifyObject(ISSLTransport, Case(tmp_path).layer)


@BOTH
def test_the_protocol_inside_comes_with_the_end_of_the_handshake(
    tmp_path: Path, version: str
) -> None:
    """Not before: it could not say anything."""
    case = Case(tmp_path, version=version)
    assert not hasattr(case.layer, "wrappedProtocol")
    case.shake()
    assert case.layer.wrappedProtocol is case.inside
    assert case.inside.told == ["made"]
    assert not case.clock.getDelayedCalls()


@BOTH
def test_each_direction_ends_by_itself(tmp_path: Path, version: str) -> None:
    """close_notify is a half-close: what is said after it arrives."""
    case = Case(tmp_path, version=version).shake()
    case.client.send(b"bye")
    case.client.shutdown()
    case.pump()
    assert case.inside.told == ["made", b"bye", "read lost"]
    case.layer.write(b"still here")
    assert case.hear() == b"still here"
    case.layer.loseConnection()
    with pytest.raises(SSL.ZeroReturnError):
        case.hear()
    assert case.beneath.disconnecting


@BOTH
def test_our_side_ends_and_theirs_goes_on(tmp_path: Path, version: str) -> None:
    """loseWriteConnection says close_notify once, and what the peer says still comes."""
    case = Case(tmp_path, version=version).shake()
    case.layer.write(b"last")
    case.layer.loseWriteConnection()
    case.layer.loseWriteConnection()
    case.layer.write(b"too late")
    assert case.beneath.finished == 1
    assert case.hear() == b"last"
    with pytest.raises(SSL.ZeroReturnError):
        case.hear()
    case.client.send(b"and you?")
    case.pump()
    assert case.inside.told == ["made", b"and you?"]
    case.layer.writeConnectionLost()
    assert case.inside.told[-1] == "write lost"


def test_who_does_not_know_half_closes_is_closed(tmp_path: Path) -> None:
    """As on a bare transport: goodbye is said, and it is over."""
    case = Case(tmp_path, Ignorant()).shake()
    case.client.shutdown()
    case.pump()
    assert case.beneath.disconnecting
    with pytest.raises(SSL.ZeroReturnError):
        case.hear()


def test_an_end_without_goodbye_is_told_as_such(tmp_path: Path) -> None:
    """It counts as an end, but the reason at last is not that all is well."""
    case = Case(tmp_path).shake()
    case.layer.readConnectionLost()
    assert case.inside.told == ["made", "read lost"]
    assert case.layer.truncated
    case.layer.connectionLost(Failure(ConnectionDone()))
    assert case.inside.told[-1] == "Truncated"
    case.layer.write(b"nobody hears this")
    case.layer.registerProducer(Producer(), True)


def test_after_goodbye_nothing_counts(tmp_path: Path) -> None:
    """Whatever is sent behind close_notify is thrown away (RFC 8446 6.1)."""
    case = Case(tmp_path).shake()
    case.client.shutdown()
    case.pump()
    case.layer.dataReceived(b"junk" * 1000)
    case.layer.readConnectionLost()
    assert case.inside.told == ["made", "read lost"]
    assert not case.layer.truncated


def test_a_record_that_is_none_ends_it(tmp_path: Path, logged: Any) -> None:
    """The peer gets an alert, the protocol a reason, the log a line; a producer is stopped."""
    lines = logged("loopbackd.tls.layer")
    case = Case(tmp_path).shake()
    producer = Producer()
    case.layer.registerProducer(producer, True)
    case.layer.dataReceived(b"\x17\x03\x03\x00\x20" + bytes(32))
    assert producer.told == ["stop"]
    assert case.beneath.disconnecting
    with pytest.raises(SSL.Error, match="bad record mac"):
        case.hear()
    assert len(lines) == 1 and "broke TLS" in lines[0]
    case.layer.connectionLost(connectionLost())
    assert case.inside.told == ["made", "ConnectionLost"]


def test_a_pause_holds_back_what_was_decrypted(tmp_path: Path) -> None:
    """Records that came in one piece wait for the resume, and the end waits behind them."""
    case = Case(tmp_path)

    class Pausing(Inside):
        def dataReceived(self, data: bytes) -> None:
            super().dataReceived(data)
            self.transport.pauseProducing()

    case.inside = Pausing()
    case.shake()
    for word in (b"one", b"two"):
        case.client.send(word)
    case.client.shutdown()
    case.pump()
    assert case.inside.told == ["made", b"one"]
    case.layer.resumeProducing()
    assert case.inside.told == ["made", b"one"]
    case.clock.advance(0)
    assert case.inside.told == ["made", b"one", b"two"]
    case.layer.resumeProducing()
    case.clock.advance(0)
    assert case.inside.told == ["made", b"one", b"two", "read lost"]


def test_a_failure_when_it_goes_on_ends_it(tmp_path: Path, loggedFailures: Any) -> None:
    """What a protocol raises where no transport is looking is logged, and the rest goes on."""

    class Failing(Inside):
        def dataReceived(self, data: bytes) -> None:
            if self.told[-1:] == [b"one"]:
                raise ZeroDivisionError
            super().dataReceived(data)
            self.transport.pauseProducing()

    case = Case(tmp_path, Failing()).shake()
    case.client.send(b"one")
    case.client.send(b"two")
    case.pump()
    case.layer.resumeProducing()
    case.clock.advance(0)
    assert case.beneath.disconnected
    assert loggedFailures.flush(ZeroDivisionError)


def test_a_handshake_has_its_time(tmp_path: Path, logged: Any) -> None:
    """Who says Hello and nothing more is reset ten seconds after it began."""
    lines = logged("loopbackd.tls.layer")
    case = Case(tmp_path)
    with pytest.raises(SSL.WantReadError):
        case.client.do_handshake()
    case.layer.dataReceived(case.client.bio_read(1 << 14))
    case.clock.advance(9.9)
    assert not case.beneath.disconnected
    case.clock.advance(0.2)
    assert case.beneath.disconnected
    assert "in time" in lines[0]


def test_a_flood_is_told_in_a_line_a_second(tmp_path: Path, logged: Any) -> None:
    """However many break it, the log is not theirs to fill; none is left out of the count."""
    lines = logged("loopbackd.tls.layer")
    case = Case(tmp_path)
    for seconds in (0, 0, 0, 1):
        case.clock.advance(seconds)
        layer = TLSLayer(case.end, lambda _: case.inside)
        layer.makeConnection(Beneath())
        layer.dataReceived(bytes(50))
    assert len(lines) == 2
    assert "2 more like it" in lines[1]


@pytest.mark.parametrize("garbage", [bytes(50), b"\x16\x03\x01\0\x04abcd", b"EHLO there\r\n"])
def test_what_is_no_handshake_is_closed_with_an_alert(tmp_path: Path, garbage: bytes) -> None:
    """In OpenSSL's words, before a protocol was built."""
    case = Case(tmp_path)
    case.layer.dataReceived(garbage)
    assert case.beneath.disconnecting
    assert not hasattr(case.layer, "wrappedProtocol")
    assert case.beneath.value()[:1] in (b"", b"\x15")


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"POST", b"PUT"])
def test_http_without_tls_is_told_so_in_http(tmp_path: Path, logged: Any, method: bytes) -> None:
    """Such a client would show nothing of an alert."""
    lines = logged("loopbackd.tls.layer")
    case = Case(tmp_path)
    case.layer.dataReceived(method + b" / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    head, _, body = case.beneath.value().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"\r\nContent-Length: %d\r\n" % len(body) in head
    assert b"https://" in body
    assert case.beneath.disconnecting
    assert not hasattr(case.layer, "wrappedProtocol")
    assert lines[0].endswith("has no TLS handshake: it speaks HTTP without TLS.")


def test_garbage_after_a_hello(tmp_path: Path) -> None:
    """An alert and the end."""
    case = Case(tmp_path)
    with pytest.raises(SSL.WantReadError):
        case.client.do_handshake()
    case.layer.dataReceived(case.client.bio_read(1 << 14))
    case.beneath.clear()
    case.layer.dataReceived(b"\xff" * 100)
    assert case.beneath.disconnecting
    assert case.beneath.value()[:1] in (b"\x15", b"\x17")


@settings(max_examples=60)
@given(st.data())
def test_any_bytes_after_the_handshake(tmp_path: Path, data: Any) -> None:
    """Records true, cut, doubled, changed or none: nothing is raised, nothing false is heard."""
    case = Case(tmp_path, version=data.draw(st.sampled_from(["1.2", "1.3"]))).shake()
    sent = b""
    for _ in range(data.draw(st.integers(1, 4))):
        word = data.draw(st.binary(min_size=1, max_size=40))
        case.client.send(word)
        record = case.client.bio_read(1 << 14)
        harm = data.draw(st.sampled_from(["none", "none", "flip", "cut", "twice", "noise"]))
        if harm == "none":
            sent += word
        elif harm == "flip":
            at = data.draw(st.integers(0, len(record) - 1))
            record = record[:at] + bytes([record[at] ^ 0x40]) + record[at + 1 :]
        elif harm == "cut":
            record = record[: data.draw(st.integers(0, len(record) - 1))]
        elif harm == "twice":
            sent += word
            record += record
        else:
            record = data.draw(st.binary(max_size=60))
        for piece in filter(None, (record[:3], record[3:])):
            case.layer.dataReceived(piece)
        if harm != "none":
            break
    heard = b"".join(one for one in case.inside.told if isinstance(one, bytes))
    assert heard == sent[: len(heard)] and heard == sent
    case.layer.readConnectionLost()
    case.layer.connectionLost(connectionLost())
    assert case.inside.told[-1] in ("ConnectionLost", "ConnectionDone", "Truncated")


@settings(max_examples=60)
@given(st.data())
def test_any_bytes_in_a_handshake(tmp_path: Path, data: Any) -> None:
    """A Hello that is cut, changed, or followed by noise ends with an alert or waits for more."""
    case = Case(tmp_path)
    with pytest.raises(SSL.WantReadError):
        case.client.do_handshake()
    hello = bytearray(case.client.bio_read(1 << 14))
    for _ in range(data.draw(st.integers(0, 3))):
        hello[data.draw(st.integers(0, len(hello) - 1))] = data.draw(st.integers(0, 255))
    for piece in (
        bytes(hello),
        *data.draw(st.lists(st.binary(min_size=1, max_size=60), max_size=3)),
    ):
        case.layer.dataReceived(piece)
    assert case.inside.told == []
    case.layer.readConnectionLost()
    assert case.beneath.disconnecting
    case.layer.connectionLost(connectionLost())
    assert case.inside.told == []
