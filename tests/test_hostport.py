"""A host and a port in one word."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

from hypothesis import given
from hypothesis import strategies as st

from loopbackd.hostport import bracketed, joined

HOSTS = st.sampled_from(["localhost", "a.example"]) | st.ip_addresses().map(str)


@given(HOSTS, st.integers(0, 65535))
def test_in_a_URL(host: str, port: int) -> None:
    """Whoever reads URLs finds both again."""
    found = urlsplit(f"http://{joined(host, port)}/")
    assert (found.hostname, found.port) == (host, port)


def test_brackets() -> None:
    """IPv6 has them, a scope included, and nothing else has."""
    assert bracketed("fe80::1%eth0") == "[fe80::1%eth0]"
    assert bracketed("127.0.0.1") == "127.0.0.1"
    assert bracketed(str(ip_address("::"))) == "[::]"
