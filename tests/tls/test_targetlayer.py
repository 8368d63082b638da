"""Tests for L{loopbackd.tls.targetlayer}."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from OpenSSL import SSL
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import ISSLTransport
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from zope.interface.verify import verifyObject

from loopbackd.tls.contexts import Policy
from loopbackd.tls.facts import factsOf
from loopbackd.tls.targeterrors import HandshakeRefused, NotTLS
from tls.cases import Ignorant, Inside, Producer, connectionLost
from tls.targetcases import Joined, TargetCase

BOTH = pytest.mark.parametrize("version", ["1.2", "1.3"])


def only(version: str) -> Policy:
    """A target that speaks nothing else."""
    return Policy(minVersion=version, maxVersion=version)


@BOTH
def test_the_protocol_comes_with_the_end_of_the_handshake(tmp_path: Path, version: str) -> None:
    """Not before; and then it can speak at once, in both versions."""
    case = TargetCase(tmp_path, serves=only(version))
    assert case.result is None and not hasattr(case.layer, "wrappedProtocol")
    case.shake()
    assert case.result is case.inside and case.inside.told == ["made"]
    verifyObject(ISSLTransport, case.layer)
    case.layer.write(b"hello")
    assert case.hear() == b"hello"
    case.server.send(b"and you")
    case.pump()
    assert case.inside.told == ["made", b"and you"]


@BOTH
def test_each_direction_ends_by_itself(tmp_path: Path, version: str) -> None:
    """The target's close_notify is a half-close: what is said to it after that arrives."""
    case = TargetCase(tmp_path, serves=only(version)).shake()
    case.server.send(b"bye")
    case.server.shutdown()
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
    """loseWriteConnection says close_notify and FIN, and what the target says still comes."""
    case = TargetCase(tmp_path, serves=only(version)).shake()
    case.layer.write(b"last")
    case.layer.loseWriteConnection()
    assert case.beneath.finished == 1
    assert case.hear() == b"last"
    with pytest.raises(SSL.ZeroReturnError):
        case.hear()
    case.server.send(b"the answer")
    case.pump()
    assert case.inside.told == ["made", b"the answer"]


def test_an_end_without_goodbye_is_told_as_such(tmp_path: Path) -> None:
    """It counts as an end, but the reason at last is not that all is well."""
    case = TargetCase(tmp_path).shake()
    case.layer.readConnectionLost()
    assert case.inside.told == ["made", "read lost"]
    case.layer.connectionLost(Failure(ConnectionDone()))
    assert case.inside.told[-1] == "Truncated"


def test_who_does_not_know_half_closes_is_closed(tmp_path: Path) -> None:
    """As on a bare transport."""
    case = TargetCase(tmp_path, Ignorant()).shake()
    case.server.shutdown()
    case.pump()
    assert case.beneath.disconnecting


def test_a_record_that_is_none_ends_it(tmp_path: Path, logged: Any) -> None:
    """The protocol gets a reason, the log one line with the target's name."""
    lines = logged("loopbackd.tls.targetlayer")
    case = TargetCase(tmp_path).shake()
    producer = Producer()
    case.layer.registerProducer(producer, True)
    case.layer.dataReceived(b"\x17\x03\x03\x00\x20" + bytes(32))
    assert producer.told == ["stop"] and case.beneath.disconnecting
    assert len(lines) == 1 and lines[0].startswith("tls:app.test:443 broke TLS")
    case.layer.connectionLost(connectionLost())
    assert case.inside.told == ["made", "ConnectionLost"]


def test_a_target_that_refuses_our_certificate_says_so_later(tmp_path: Path, logged: Any) -> None:
    """In TLS 1.3 the client is done first; the protocol is told why it lost the connection."""
    logged("loopbackd.tls.targetlayer")

    class Noting(Inside):
        def connectionLost(self, reason: Any = None) -> None:
            self.told.append(reason.getErrorMessage())

    case = TargetCase(tmp_path, Noting())
    root = case.store.root().certificate
    case = TargetCase(tmp_path, Noting(), serves=Policy(clientCAs=(root,))).shake()
    case.layer.connectionLost(connectionLost())
    assert "certificate required" in case.inside.told[-1]


@BOTH
def test_the_certificate_it_is_asked_for_is_shown(tmp_path: Path, version: str) -> None:
    """And only to a target that is who it should be."""
    from tls.targetcases import leaf, storeIn

    root = storeIn(tmp_path).root()
    ours = leaf(root, "me", purpose="client")
    serves = Policy(clientCAs=(root.certificate,), minVersion=version, maxVersion=version)
    case = TargetCase(tmp_path, serves=serves, credential=ours).shake()
    assert case.inside.told == ["made"]
    shown: Any = case.server.get_peer_certificate(as_cryptography=True)
    assert shown == ours.certificate
    case = TargetCase(tmp_path, name="other.test", serves=serves, credential=ours).shake()
    assert case.error and case.server.get_peer_certificate() is None


def test_a_pause_in_connectionMade_holds(tmp_path: Path) -> None:
    """What the target said with the end of its handshake waits for the resume."""

    class Pausing(Inside):
        def connectionMade(self) -> None:
            super().connectionMade()
            self.transport.pauseProducing()

    case = TargetCase(tmp_path, Pausing(), serves=only("1.3"))
    case.shake()
    case.server.send(b"first")
    case.pump()
    assert case.inside.told == ["made"]
    case.layer.resumeProducing()
    case.clock.advance(0)
    assert case.inside.told == ["made", b"first"]


def test_what_is_no_tls_is_told_with_its_first_words(tmp_path: Path) -> None:
    """Whatever the borders of the pieces."""
    for words in (b"220 mail.test ESMTP\r\n", b"HTTP/1.1 400 Bad Request\r\n", b"\x16abc", b"\0"):
        for size in (1, 100):
            case = TargetCase(tmp_path)
            for at in range(0, len(words), size):
                case.layer.dataReceived(words[at : at + size])
            assert type(case.error) is NotTLS
            assert "does not speak TLS" in str(case.error) and str(case.error).isprintable()
            assert case.beneath.disconnecting
            case.layer.connectionLost(connectionLost())
            assert case.inside.told == []


def test_an_end_before_it_is_done(tmp_path: Path) -> None:
    """By FIN, or by a reset."""
    case = TargetCase(tmp_path)
    case.layer.readConnectionLost()
    assert type(case.error) is HandshakeRefused and "before" in str(case.error)
    case.layer.connectionLost(connectionLost())
    case = TargetCase(tmp_path)
    case.layer.connectionLost(Failure(ConnectionLost()))
    assert type(case.error) is HandshakeRefused and "lost" in str(case.error)
    assert case.inside.told == [] and not case.clock.getDelayedCalls()


def test_what_was_agreed_on_can_be_asked(tmp_path: Path) -> None:
    """As of a client's TLS."""
    case = TargetCase(tmp_path, alpn=(b"h2", b"http/1.1")).shake()
    facts = factsOf(case.layer)
    assert facts is not None and facts.certificate is not None
    assert (facts.alpn, facts.offered) == ("http/1.1", ("h2", "http/1.1"))
    assert facts.certificate.names == ("dns:app.test",)
    assert case.server.get_servername() == b"app.test"
    assert case.layer.negotiatedProtocol == b"http/1.1"


@settings(max_examples=60)
@given(st.data())
def test_two_layers_of_ours_over_any_borders(tmp_path: Path, data: Any) -> None:
    """Handshake, words and ends of both sides, however the bytes between them are cut."""
    version = data.draw(st.sampled_from(["1.2", "1.3"]))
    joined = Joined(tmp_path, minVersion=version, maxVersion=version)
    size = data.draw(st.integers(1, 4000))
    joined.settle(size)
    assert joined.near.told == joined.far.told == ["made"]
    said: dict[str, bytes] = {"near": b"", "far": b""}
    ended = {"near": False, "far": False}
    layers = {"near": joined.nearLayer, "far": joined.farLayer}
    for who in data.draw(st.lists(st.sampled_from(["near", "far"]), max_size=6)):
        if data.draw(st.booleans()):
            layers[who].loseWriteConnection()
            ended[who] = True
        word = data.draw(st.binary(min_size=1, max_size=100)) * data.draw(st.integers(1, 300))
        layers[who].write(word)
        if not ended[who]:
            said[who] += word
        for _ in range(data.draw(st.integers(0, 3))):
            joined.carry(data.draw(st.integers(1, 20_000)))
    joined.settle(size)
    for who, other in (("near", joined.far), ("far", joined.near)):
        heard = b"".join(one for one in other.told if isinstance(one, bytes))
        assert heard == said[who]
        assert ("read lost" in other.told) == ended[who]
    assert not any(layer.truncated for layer in layers.values())


@settings(max_examples=60)
@given(st.data())
def test_any_bytes_in_a_handshake(tmp_path: Path, data: Any) -> None:
    """What the target says is cut, changed, or followed by noise: an error, never a protocol."""
    case = TargetCase(tmp_path)
    case.server.bio_write(case.beneath.value())
    with pytest.raises(SSL.WantReadError):
        case.server.do_handshake()
    words = bytearray(case.server.bio_read(1 << 16))
    # Nobody looks at the version in the header of the first record.
    places = data.draw(
        st.dictionaries(st.integers(3, 5000), st.integers(1, 255), min_size=1, max_size=1)
    )
    for place, change in places.items():
        words[3 + (place - 3) % (len(words) - 3)] ^= change
    at = data.draw(st.integers(0, 5000)) % len(words)
    for piece in filter(None, (bytes(words[:at]), bytes(words[at:]))):
        case.layer.dataReceived(piece)
    case.layer.readConnectionLost()
    case.layer.connectionLost(connectionLost())
    assert case.inside.told == [] and isinstance(case.result, Failure)


def test_a_protocol_that_fails_at_its_start_is_an_error(tmp_path: Path) -> None:
    """The Deferred tells of it once the connection is gone; the transport has logged it."""

    class Failing(Protocol):
        def connectionMade(self) -> None:
            raise ZeroDivisionError

    case = TargetCase(tmp_path, Failing())
    with pytest.raises(ZeroDivisionError):
        case.shake()
    case.layer.connectionLost(Failure(ZeroDivisionError()))
    assert isinstance(case.error, ZeroDivisionError)
