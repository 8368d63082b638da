"""Tests for L{loopbackd.tls.targetstrings}."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure

from loopbackd.settings import SettingsError
from loopbackd.tls.targetstrings import TLSTarget, takeApart


def test_an_endpoint_string_taken_apart() -> None:
    """As Twisted has them, arguments with names and without."""
    assert takeApart("tls:db.test:5432") == TLSTarget("tls:db.test:5432", "db.test", 5432)
    text = "tls:host=db.test:port=5432:timeout=2.5:bindAddress=127.0.0.2"
    assert takeApart(text) == TLSTarget(text, "db.test", 5432, 2.5, "127.0.0.2")
    assert takeApart(r"tls:\:\:1:5432").host == "::1"
    assert takeApart(r"tls:[\:\:1]:5432").host == "::1"
    more = takeApart("tls:a.test:1:certificate=c.pem:privateKey=k.pem:trustRoots=/ca")
    assert (more.certificate, more.privateKey, more.trustRoots) == ("c.pem", "k.pem", "/ca")
    assert takeApart(r"tls:a.test:1:endpoint=unix\:/run/a.sock").endpoint == "unix:/run/a.sock"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("tcp:a.test:1", "write tls:host:port"),
        ("tls", "no host"),
        ("tls:", "no host"),
        ("tls:a.test", "port '' is not a number"),
        ("tls:a.test:0", "port '0' is not"),
        ("tls:a.test:65536", "port '65536' is not"),
        ("tls:a.test:https", "port 'https' is not"),
        ("tls:b\N{LATIN SMALL LETTER U WITH DIAERESIS}cher.test:1", "in ASCII"),
        ("tls:a b:1", "no host"),
        ("tls:::1:443", "no host"),
        ("tls:a.test:1:timeout=0", "timeout '0' is not"),
        ("tls:a.test:1:timeout=soon", "timeout 'soon' is not"),
        ("tls:a.test:1:bindAdress=127.0.0.1", "no argument 'bindAdress'"),
        ("tls:a.test:1:2:3:4:5:6:7:8", "no argument '8'"),
        ("tls:a.test:1:endpoint=tcp\\:a", "endpoint 'tcp:a' cannot be used"),
    ],
)
def test_what_is_wrong_with_one(text: str, what: str) -> None:
    """One line that names the string."""
    with pytest.raises(SettingsError) as caught:
        takeApart(text)
    assert what in str(caught.value) and repr(text) in str(caught.value)
    assert "\n" not in str(caught.value)


@given(st.text(alphabet="tls:=\\a.1é\0 []", max_size=30))
def test_any_string(text: str) -> None:
    """It is a target or an error of the operator's."""
    try:
        found = takeApart("tls:" + text)
    except SettingsError as error:
        assert str(error).isprintable()
    else:
        assert found.host and 0 < found.port < 65536


def test_localhost_is_asked_of_nobody() -> None:
    """Its two addresses are tried in turn, at once; other names are resolved."""
    for text in ("tls:localhost:1", "tls:App.LOCALHOST.:1"):
        reactor: Any = MemoryReactorClock()
        failures: list[Any] = []
        connecting = takeApart(text).plain(reactor, 5).connect(Factory())
        connecting.addErrback(failures.append)
        for _ in range(2):
            _, _, factory, seconds, _ = reactor.tcpClients[-1]
            assert seconds == 5
            factory.clientConnectionFailed(None, Failure(ConnectionRefusedError()))
        assert [one[0] for one in reactor.tcpClients] == ["127.0.0.1", "::1"]
        assert failures[0].check(ConnectionRefusedError)
    plain = takeApart("tls:db.test:1").plain(MemoryReactorClock(), 5)
    assert isinstance(plain, HostnameEndpoint)
