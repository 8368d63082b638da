"""The settings of the table."""

from __future__ import annotations

import pytest

from loopbackd.protocols.httpbin.go.limits import GoLimits


def test_the_defaults_are_those_of_go_httpbin() -> None:
    """A mebibyte, ten seconds."""
    limits = GoLimits()
    assert (limits.max_body_size, limits.max_duration) == (1048576, 10)
    assert (limits.drip_duration, limits.drip_delay, limits.drip_bytes) == (2, 2, 10)
    assert (limits.event_count, limits.event_duration, limits.event_delay) == (10, 5, 0)


@pytest.mark.parametrize(
    "setting", [{"max_body_size": 0}, {"max_duration": -1}, {"event_count": 0}]
)
def test_what_leaves_no_answer_is_refused(setting: dict[str, int]) -> None:
    """By its name and value."""
    ((name, value),) = setting.items()
    with pytest.raises(ValueError, match=f"{name} = {value}: it"):
        GoLimits(**setting)  # type: ignore[arg-type]


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
    pattern = GoLimits(exclude_headers=names).excluded()
    for name in hidden:
        assert pattern is not None and pattern.fullmatch(name)
    for name in shown:
        assert pattern is None or not pattern.fullmatch(name)
