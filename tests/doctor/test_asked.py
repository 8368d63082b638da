"""Addresses as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopbackd.doctor.asked import Asked, asked


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("8080", Asked("127.0.0.1", 8080)),
        ("localhost:8080", Asked("localhost", 8080)),
        (" 127.0.0.1:62893 ", Asked("127.0.0.1", 62893)),
        ("[::1]:8080", Asked("::1", 8080)),
        ("http://localhost", Asked("localhost", 80, "http")),
        ("https://app.test/a?b=c", Asked("app.test", 443, "https", "/a?b=c")),
        ("redis://localhost:6379/0", Asked("localhost", 6379, "redis", "/0")),
        ("WSS://localhost:9", Asked("localhost", 9, "wss")),
    ],
)
def test_an_address(text: str, wanted: Asked) -> None:
    """A port, a host with one, or a URL."""
    assert asked(text) == wanted


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "is no address"),
        ("localhost", "has no port"),
        ("redis://localhost", "has no port"),
        ("localhost:0", "nobody can be at port 0"),
        ("localhost:65536", "ports go up to 65535"),
        ("local host:80", "is no address"),
        ("a:b:c", "its port is no number"),
        ("::1:80", r"is written as \[::1\]:8080"),
        ("http://", "is no address"),
        ("\x1b[31m:80", "is no address"),
    ],
)
def test_no_address(text: str, complaint: str) -> None:
    """What is wrong is named, and what to write instead."""
    with pytest.raises(ValueError, match=complaint) as caught:
        asked(text)
    assert "write 127.0.0.1:8080" in str(caught.value)


@given(st.text())
def test_any_text(text: str) -> None:
    """It is understood or refused."""
    try:
        found = asked(text)
    except ValueError:
        return
    assert found.host and 0 < found.port < 65536
