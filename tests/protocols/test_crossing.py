"""Tests for L{loopbackd.protocols.crossing}: forms that a browser sends to a protocol of lines."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from running import HERE, Running, answer

from loopbackd.protocols.crossing import isFromBrowser
from loopbackd.protocols.detect import Detector, Kind


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (b"GET / HTTP/1.1", True),
        (b"POST /x?y HTTP/1.0", True),
        (b"M-SEARCH * HTTP/1.1", True),
        (b"Host: 127.0.0.1:7", True),
        (b"HOST:", True),
        (b"POST", True),
        (b"post anything", True),
        (b"postpone", False),
        (b"Hostess: x", False),
        (b"GET / ", False),
        (b"GET /", False),
        (b"see RFC 9112, HTTP/1.1", False),
        (b"", False),
    ],
)
def test_lines(line: bytes, found: bool) -> None:
    """A request line, or one of the two that Redis goes by."""
    assert isFromBrowser(line) == found


@given(
    st.from_regex(rb"\A[A-Z]{1,10} /[!-~]{0,50} HTTP/1\.[01]\Z"),
    st.sampled_from([b"\n", b"\r\n"]),
)
def test_what_auto_takes_for_http(line: bytes, end: bytes) -> None:
    """Whatever C{auto} serves by HTTP is HTTP here, too."""
    if Detector().feed(line + end) is Kind.HTTP:
        assert isFromBrowser(line)


FORM = (
    b"POST /x HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/plain\r\nContent-Length: 15\r\n\r\n"
    b"whoami\r\nstats\r\n"
)


def test_a_form_to_every_service(daemon: Callable[..., Running]) -> None:
    """Where lines are commands none is obeyed; what obeys none sends back what it sends back."""
    names = ("talk", "echo", "discard", "hello", "auto")
    found = {}
    for name in names:
        running = daemon("--listen", HERE, "--protocol", name, "--no-twin")
        found[name] = answer(running.port(name), FORM)
        if name == "talk":
            running.says("sends HTTP to a conversation in lines")
        running.stop()
    assert found["talk"].endswith(b"and that is HTTP. Goodbye.\n")
    assert b"You are" not in found["talk"]
    assert (found["echo"], found["discard"]) == (FORM, b"")
    assert found["hello"].startswith(b"Hello from")
    assert found["auto"].startswith(b"HTTP/1.1 404")
