"""What an operator writes for a target (`loopbackd.protocols.relay.target`)."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from loopbackd.protocols.relay.target import parseTarget

BOTH = (
    (socket.AF_INET, ("127.0.0.1", 80)),
    (socket.AF_INET6, ("::1", 80, 0, 0)),
)


@pytest.mark.parametrize(
    ("text", "addresses"),
    [
        ("127.0.0.1:80", BOTH[:1]),
        ("[::1]:80", BOTH[1:]),
        ("tcp:127.0.0.1:80", BOTH[:1]),
        ("tcp:host=127.0.0.1:port=80", BOTH[:1]),
        (r"tcp:host=\:\:1:port=80", BOTH[1:]),
        ("localhost:80", BOTH),
        ("redis.localhost:80", BOTH),
        ("unix:/run/redis.sock", ((socket.AF_UNIX, "/run/redis.sock"),)),
        ("unix:path=/run/a\\:b", ((socket.AF_UNIX, "/run/a:b"),)),
    ],
)
def test_known_addresses(text: str, addresses: Any) -> None:
    """Nobody has to be asked for them; localhost is both of its addresses."""
    target = parseTarget(text)
    assert target.addresses == addresses
    assert target.name is None and not target.endpoint and str(target) == text


@pytest.mark.parametrize("text", ["redis:6379", "tcp:redis:6379", "tcp:host=redis:port=6379"])
def test_names(text: str) -> None:
    """Are resolved for each connection."""
    target = parseTarget(text)
    assert target.name == ("redis", 6379)
    assert not target.addresses and not target.endpoint


@pytest.mark.parametrize(
    "text", ["tls:example.org:443", "tcp:redis:1:timeout=3", "unix:/a:timeout=3"]
)
def test_anything_else_is_twisteds(text: str) -> None:
    """A client endpoint string."""
    assert parseTarget(text).endpoint == text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "target '' is no address; write for example 127.0.0.1:6379"),
        ("redis", "target 'redis' is no address"),
        ("6379", "no address"),
        ("redis:http", "there is no kind 'redis'"),
        ("a b:80", "no address"),
        ("tcp:80", "no host or no port"),
        ("127.0.0.1:0", "'0' is no port from 1 to 65535"),
        ("127.0.0.1:65536", "'65536' is no port"),
        ("tcp:redis:http", "'http' is no port"),
        ("[::zz]:80", "no address"),
        ("[1:2]:80", "'[1:2]' is no address"),
        ("tsl:a:b", "there is no kind 'tsl'; write 'ssl', 'tcp', 'tls' or 'unix'"),
        ("unix:/a=b:c", "unix has no argument '/a'; write 'path', 'timeout' or 'lockfile'"),
        ("unix:", "path has from 1 to 107 bytes"),
        ("unix:/" + "x" * 107, "path has from 1 to 107 bytes"),
    ],
)
def test_refused(text: str, said: str) -> None:
    """In one line, with what to write."""
    with pytest.raises(ValueError, match=r"^target ") as caught:
        parseTarget(text)
    assert said in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


@given(st.text() | st.text(alphabet="tcpunix:=\\[]0123456789./a%-"))
@example("tcp:host=::port=1")
@example("[::1%x]:1")
@example("unix:\0a")
def test_anything(text: str) -> None:
    """Is a target or a ValueError of one line."""
    try:
        parseTarget(text)
    except ValueError as error:
        assert len(str(error).splitlines()) == 1
