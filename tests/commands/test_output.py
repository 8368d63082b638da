"""What is printed, whatever the answers are."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopbackd.commands.output import showJSON
from loopbackd.loglines import escape


def printed(value: object) -> str:
    """What is printed of a value."""
    with pytest.MonkeyPatch.context() as patch:
        found: list[str] = []
        patch.setattr("click.echo", found.append)
        showJSON(value)
    return found[0]


@given(st.text(st.characters()))
def test_json_moves_no_cursor(text: str) -> None:
    """Nor is half a surrogate pair more than can be written; it is the same JSON all the same."""
    shown = printed({"a": text})
    assert json.loads(shown) == {"a": text}
    shown.encode()
    assert escape(shown.replace("\n", "")) == shown.replace("\n", "")
