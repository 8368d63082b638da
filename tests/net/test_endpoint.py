"""What an endpoint string says."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopbackd.net.endpoint import (
    Endpoint,
    EndpointError,
    endpointFrom,
    isLoopback,
    leadsHere,
    parse,
    twinOf,
)


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("tcp:7", "0.0.0.0", 7),
        ("tcp:7:interface=127.0.0.1", "127.0.0.1", 7),
        ("tcp:port=7:interface=127.0.0.1", "127.0.0.1", 7),
        ("tcp:7:127.0.0.1", "127.0.0.1", 7),
        ("tcp6:7", "::", 7),
        (r"tcp6:7:interface=\:\:1", "::1", 7),
        ("ssl:443:privateKey=x:interface=10.0.0.1", "10.0.0.1", 443),
        ("ssl:443:privateKey=x", "0.0.0.0", 443),
    ],
)
def test_internet_endpoints(text: str, host: str, port: int) -> None:
    """Host and port are found wherever the string has them."""
    endpoint = parse(text)
    assert (endpoint.host, endpoint.port) == (host, port)


def test_other_endpoints() -> None:
    """A path with an escaped colon; kinds that have neither host nor port."""
    assert parse(r"unix:/tmp/a\:b:mode=600").path == "/tmp/a:b"
    assert parse("unix:address=/x").path == "/x"
    assert parse("systemd:domain=INET:name=a") == Endpoint("systemd:domain=INET:name=a", "systemd")
    assert parse("stdio:").kind == "stdio"


@pytest.mark.parametrize(
    "text", ["", "tcp", "tcp:", "tcp:http", "tcp:65536", "tcp:" + "9" * 5000, "tcp:-1", "unix:"]
)
def test_what_is_not_complete_is_refused_with_an_example(text: str) -> None:
    """The message names the string and shows a good one."""
    with pytest.raises(EndpointError, match="write"):
        parse(text)


@given(st.text())
def test_any_text_is_taken_apart_or_refused(text: str) -> None:
    """Nothing else is raised."""
    with suppress(EndpointError):
        assert parse(text).text == text


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost", "::ffff:127.0.0.1"])
def test_loopback(host: str) -> None:
    """All of 127/8, ::1, and 127/8 mapped into IPv6."""
    assert isLoopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "10.0.0.1", "fe80::1%lo", "example.com"])
def test_not_loopback(host: str) -> None:
    """Wildcards, other addresses and other names."""
    assert not isLoopback(host)


def test_the_twin_has_the_port_that_was_opened() -> None:
    """Only IPv4's loopback has one."""
    twin = twinOf(parse("tcp:0:interface=127.0.0.1"), 4711)
    assert twin is not None and (twin.host, twin.port) == ("::1", 4711)
    assert twinOf(parse("tcp:7:interface=127.0.0.2"), 7) is None
    assert twinOf(parse("unix:/x"), 0) is None


@pytest.mark.parametrize(
    ("listen", "endpoint"),
    [
        ("0", "tcp:0:interface=127.0.0.1"),
        ("26379", "tcp:26379:interface=127.0.0.1"),
        (":26379", "tcp:26379:interface=127.0.0.1"),
        ("localhost:1", "tcp:1:interface=127.0.0.1"),
        ("127.0.0.2:1", "tcp:1:interface=127.0.0.2"),
        ("[::1]:1", r"tcp6:1:interface=\:\:1"),
        ("unix:/tmp/x", "unix:/tmp/x"),
        ("tcp:1", "tcp:1"),
        ("tcp:1:interface=127.0.0.1", "tcp:1:interface=127.0.0.1"),
    ],
)
def test_short_endpoints(listen: str, endpoint: str) -> None:
    """Where a service shall listen can be written short."""
    assert endpointFrom(listen) == endpoint


@pytest.mark.parametrize(
    ("host", "is_"),
    [
        ("localhost", True),
        ("LOCALHOST.", True),
        ("a.localhost", True),
        ("127.0.0.1", True),
        ("127.1.2.3", True),
        ("[::1]", True),
        ("localhost.example.com", False),
        ("0.0.0.0", False),
        ("10.0.0.1", False),
        ("[::]", False),
        ("[::ffff:10.0.0.1]", False),
        ("127.1", False),
        ("", False),
    ],
)
def test_hosts_that_lead_here(host: str, is_: bool) -> None:
    """Names that lead to this machine whoever is asked, and no other."""
    assert leadsHere(host) is is_
