"""Tests for L{loopbackd.http.hosts}."""

from __future__ import annotations

import pytest

from loopbackd.http.hosts import isLoopback, splitHost


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
def test_thisMachine(host: str, is_: bool) -> None:
    """Names that lead to this machine whoever is asked, and no other."""
    assert isLoopback(host) is is_


@pytest.mark.parametrize(
    ("said", "host", "port"),
    [
        ("localhost", "localhost", ""),
        ("localhost:1", "localhost", "1"),
        ("[::1]", "[::1]", ""),
        ("[::1]:1", "[::1]", "1"),
        ("", "", ""),
    ],
)
def test_a_host_and_its_port(said: str, host: str, port: str) -> None:
    """Either can be missing; brackets belong to the host."""
    assert splitHost(said) == (host, port)
