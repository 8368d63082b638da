"""Which machines are of a list of networks."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopbackd.peer.networks import Networks

LIST = ("192.0.2.0/24", "2001:db8::/32", "198.51.100.7", "::ffff:203.0.113.0/120", "fe80::/10")


@pytest.mark.parametrize(
    "host",
    [
        "192.0.2.1",
        "::ffff:192.0.2.1",
        "2001:db8:ffff::1",
        "198.51.100.7",
        "203.0.113.9",
        "::ffff:203.0.113.9",
        "fe80::1%eth0",
        "127.0.0.1",
        "127.255.0.9",
        "::1",
        "::ffff:127.0.0.1",
        None,
    ],
)
def test_who_may_come(host: str | None) -> None:
    """Those of the list however it is written, and always this machine."""
    assert Networks(LIST).has(host)


@pytest.mark.parametrize(
    "host",
    [
        *("192.0.3.1", "::ffff:192.0.3.1", "2001:db9::1", "198.51.100.8", "203.0.112.255"),
        *("::c000:201", "128.0.0.1", "0.0.0.0", "::", "::2", "", "localhost", "192.0.2.1:80"),
    ],
)
def test_who_may_not(host: str) -> None:
    """Neither neighbours nor what is no address; C{::192.0.2.1} is not C{::ffff:192.0.2.1}."""
    assert not Networks(LIST).has(host)


def test_an_empty_list_is_this_machine() -> None:
    """Which is not what no list is."""
    assert Networks(()).has("127.0.0.1") and not Networks(()).has("192.0.2.1")


@given(st.ip_addresses(v=4), st.ip_addresses(v=4), st.integers(1, 32))
def test_any_IPv4_network(host: IPv4Address, near: IPv4Address, prefix: int) -> None:
    """The first so many bits are the same, or it is this machine; mapped or not."""
    network = IPv4Network((near, prefix), strict=False)
    wanted = (int(host) ^ int(near)) >> (32 - prefix) == 0 or host.is_loopback
    for text in (str(network), f"::ffff:{network.network_address}/{prefix + 96}"):
        assert Networks([text]).has(str(host)) is wanted
        assert Networks([text]).has(f"::ffff:{host}") is wanted


@given(st.text())
def test_any_text_as_a_host(host: str) -> None:
    """It is one of the addresses there are, or it does not come in; nothing is raised."""
    if Networks(["192.0.2.0/24"]).has(host):
        ip_address(host.partition("%")[0])


@given(st.text())
def test_any_text_as_a_network(text: str) -> None:
    """A network, or one line that says what to write."""
    try:
        Networks([text])
    except ValueError as error:
        assert "write" in str(error) or "every machine" in str(error)
