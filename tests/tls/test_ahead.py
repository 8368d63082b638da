"""Tests for L{loopbackd.tls.ahead}: clients that are answered when somebody else was asked."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from OpenSSL import SSL
from twisted.internet.defer import CancelledError, Deferred, succeed

from loopbackd.tls.ahead import NotReady
from loopbackd.tls.hello import ClientHello
from loopbackd.tls.layer import TLSLayer
from tls.cases import Beneath, Case, Inside, connectionLost
from tls.ends import clientContext


class Found:
    """What was found out; notes whether it was used."""

    def __init__(self, inside: Any, alpn: bytes) -> None:
        self.inside, self.alpn = inside, alpn
        self.isDropped = False

    def build(self) -> Any:
        return self.inside

    def drop(self) -> None:
        self.isDropped = True


class AheadCase(Case):
    """A layer that asks ahead; C{asked} has the hellos, C{answer} what is waited for."""

    def __init__(self, tmp_path: Path, alpn: tuple[bytes, ...] = (b"one", b"two")) -> None:
        super().__init__(tmp_path)
        self.asked: list[ClientHello] = []
        self.answer: Deferred[Any] | None = Deferred()
        self.layer = TLSLayer(self.end, lambda _: Inside(), self.ask)
        self.beneath = Beneath()
        self.layer.makeConnection(self.beneath)
        self.client = SSL.Connection(clientContext(alpn=alpn), None)
        self.client.set_tlsext_host_name(b"app.test")
        self.client.set_connect_state()
        with suppress(SSL.WantReadError):
            self.client.do_handshake()

    def ask(self, hello: ClientHello) -> Deferred[Any] | None:
        self.asked.append(hello)
        return self.answer


@pytest.mark.parametrize("alpn", [b"two", b"one", b""])
def test_the_client_gets_what_was_found_out(tmp_path: Path, alpn: bytes) -> None:
    """Not before; meanwhile it is not read from, and has no deadline of ours."""
    case = AheadCase(tmp_path)
    case.pump()
    assert [(one.serverName, one.alpn) for one in case.asked] == [("app.test", (b"one", b"two"))]
    assert case.beneath.value() == b"" and case.beneath.producerState == "paused"
    case.clock.advance(100)
    found = Found(case.inside, alpn)
    assert case.answer is not None
    case.answer.callback(found)
    assert case.beneath.producerState == "producing"
    case.shake()
    assert case.client.get_alpn_proto_negotiated() == alpn
    assert case.inside.told == ["made"] and not found.isDropped
    case.layer.connectionLost(connectionLost())
    assert not found.isDropped and not case.clock.getDelayedCalls()


def test_who_offers_nothing_is_answered_at_once(tmp_path: Path) -> None:
    """So is whom nobody wants to be asked about, by what the service speaks."""
    case = AheadCase(tmp_path, ())
    case.shake()
    assert case.asked == [] and case.layer.wrappedProtocol.told == ["made"]
    case = AheadCase(tmp_path, (b"x", b"http/1.1"))
    case.answer = None
    case.shake()
    assert case.client.get_alpn_proto_negotiated() == b"http/1.1"
    assert case.layer.wrappedProtocol.told == ["made"]


@pytest.mark.parametrize("resets", [True, False])
def test_a_client_that_cannot_be_served(tmp_path: Path, logged: Any, resets: bool) -> None:
    """It is reset or closed, as is wanted; nothing is logged by us."""
    lines = logged("loopbackd.tls")
    case = AheadCase(tmp_path)
    case.pump()
    assert case.answer is not None
    case.answer.errback(NotReady(resets))
    assert case.beneath.disconnecting and case.beneath.disconnected is resets
    case.layer.connectionLost(connectionLost())
    assert lines == [] and case.beneath.value() == b""


def test_a_mistake_of_ours_is_logged(tmp_path: Path, loggedFailures: Any) -> None:
    """And the client is reset."""
    case = AheadCase(tmp_path)
    case.pump()
    assert case.answer is not None
    case.answer.errback(ZeroDivisionError())
    assert case.beneath.disconnected and loggedFailures.flush(ZeroDivisionError)


def test_a_client_that_goes_meanwhile(tmp_path: Path) -> None:
    """Whoever is asked need not answer any more."""
    case = AheadCase(tmp_path)
    case.pump()
    assert case.answer is not None
    case.layer.connectionLost(connectionLost())
    failures: list[Any] = []
    case.answer.addErrback(failures.append)
    assert case.answer.called and case.inside.told == []
    assert not any(one and not one.check(CancelledError) for one in failures)


def test_a_client_that_goes_when_it_is_known(tmp_path: Path) -> None:
    """What was found out is given up: the client did not finish, or not in time."""
    for isLate in (True, False):
        case = AheadCase(tmp_path)
        case.pump()
        found = Found(case.inside, b"one")
        assert case.answer is not None
        case.answer.callback(found)
        if isLate:
            case.clock.advance(11)
            assert case.beneath.disconnected
        case.layer.connectionLost(connectionLost())
        assert found.isDropped and case.inside.told == []


@given(st.data())
def test_whatever_the_pieces(tmp_path: Path, data: Any) -> None:
    """A hello in pieces is asked about once, whether the answer is there at once or later."""
    case = AheadCase(tmp_path)
    found = Found(case.inside, b"two")
    later: Deferred[Any] = Deferred()
    isLater = data.draw(st.booleans())
    case.answer = later if isLater else succeed(found)
    words = case.client.bio_read(1 << 16)
    while words:
        size = data.draw(st.integers(1, len(words)))
        case.layer.dataReceived(words[:size])
        words = words[size:]
    if isLater:
        later.callback(found)
    case.shake()
    assert len(case.asked) == 1 and case.inside.told == ["made"]
    assert case.client.get_alpn_proto_negotiated() == b"two"
