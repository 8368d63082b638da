"""How Node reads its variable."""

from __future__ import annotations

from loopbackd.debuggers.javascript import nodeOptions


def test_quotes() -> None:
    """Double quotes keep blanks, and a backslash keeps what follows it within them."""
    assert nodeOptions(r'-r "a \"b\" c" "x"y') == ["-r", 'a "b" c', "xy"]
    assert nodeOptions("") == nodeOptions("  ") == []
