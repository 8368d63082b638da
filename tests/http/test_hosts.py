"""Tests for L{loopbackd.http.hosts}."""

from __future__ import annotations

import pytest

from loopbackd.http.hosts import splitHost


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
