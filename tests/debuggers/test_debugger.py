"""Addresses as options have them, and options as commands have them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopbackd.debuggers.debugger import splitAddress, splitOptions


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("5005", ("", 5005)),
        (":5005", ("", 5005)),
        ("*:5005", ("*", 5005)),
        ("localhost:5005", ("localhost", 5005)),
        ("[::1]:5005", ("::1", 5005)),
        ("::1:5005", ("::1", 5005)),
        ("", None),
        ("65536", None),
        ("localhost", None),
        ("[::1]", None),
        ("5005 ", None),
        ("5005\n", None),
    ],
)
def test_addresses(text: str, address: tuple[str, int] | None) -> None:
    """A host may be left out, a port may not."""
    assert splitAddress(text) == address


@given(st.text() | st.from_regex(r"[\[\]:0-9a-f*.]*"))
def test_any_address(text: str) -> None:
    """A port is one, or there is none."""
    found = splitAddress(text)
    assert found is None or 0 <= found[1] < 65536


@pytest.mark.parametrize(
    ("line", "options", "rest"),
    [
        ("-a --b=c d -e", [("-a", ""), ("--b", "c")], "d -e"),
        ("-v x --v=y -v", [("-v", "x"), ("--v", "y"), ("-v", "")], ""),
        ("-a -- -b", [("-a", "")], "-b"),
        ("- -b", [], "- -b"),
    ],
)
def test_options(line: str, options: list[tuple[str, str]], rest: str) -> None:
    """Up to the first word that is none; a valued one takes the next word."""
    assert splitOptions(line.split(), {"-v", "--v"}) == (options, rest.split() or ())


@given(st.lists(st.text(max_size=5) | st.sampled_from(["-v", "--", "-v=1"])))
def test_any_options(words: list[str]) -> None:
    """What is left is the end of what was there."""
    options, rest = splitOptions(words, {"-v"})
    assert list(rest) == words[len(words) - len(rest) :]
    assert len(options) + len(rest) <= len(words)
