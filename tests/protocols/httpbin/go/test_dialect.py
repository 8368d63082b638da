"""Tests for L{loopbackd.protocols.httpbin.go.dialect} and the defaults of go-httpbin's flags."""

from __future__ import annotations

import pytest

from loopbackd.httpsettings import GoSettings
from loopbackd.protocols.httpbin.go.dialect import excluding


def test_the_defaults_are_those_of_go_httpbin() -> None:
    """A mebibyte, ten seconds."""
    limits = GoSettings()
    assert (limits.max_body_size, limits.max_duration) == (1048576, 10)
    assert (limits.drip_duration, limits.drip_delay, limits.drip_bytes) == (2, 2, 10)
    assert (limits.event_count, limits.event_duration, limits.event_delay) == (10, 5, 0)


@pytest.mark.parametrize(
    ("names", "hidden", "shown"),
    [
        ("a, b", ["A", "b"], ["ab", "c"]),
        ("x-*", ["X-Any", "x-"], ["Ax-y"]),
        ("*-id", ["X-Request-Id"], ["X-Id-2"]),
        ("a.c", ["A.C"], ["abc"]),
        (",", [], ["", ","]),
    ],
)
def test_names_are_matched_whole(names: str, hidden: list[str], shown: list[str]) -> None:
    """Without regard to case; only the asterisk means something."""
    pattern = excluding(names)
    for name in hidden:
        assert pattern is not None and pattern.fullmatch(name)
    for name in shown:
        assert pattern is None or not pattern.fullmatch(name)
