"""JSON that a client nests."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from visiting import ask

from loopbackd.protocols.httpbin.go.dialect import jsonText as goText
from loopbackd.protocols.httpbin.nesting import isSprawling
from loopbackd.protocols.httpbin.site import makeSite

DEEP = b"[" * 900 + b"0," * 20_000 + b"0" + b"]" * 900
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def test_small() -> None:
    """What is small is never too much."""
    assert not isSprawling(b"[" * 500 + b"]" * 500)


def test_usual() -> None:
    """What is nested as people nest it is not too much, whatever its strings have in them."""
    rows = [{"name": '[[[["{{{{\\' * 20, "tags": [{"a": 1}]} for _ in range(1000)]
    assert not isSprawling(json.dumps(rows).encode())


def test_deep() -> None:
    """What would be many times as long is; and what is very long."""
    assert isSprawling(DEEP)
    assert isSprawling(b"[" + b"0," * (1 << 20) + b"0]")


@pytest.mark.parametrize("target", ["/post", "/go/post"])
@pytest.mark.parametrize("behind", [b"", b" " * 5000])
def test_answered(target: str, behind: bytes) -> None:
    """A request is answered in full, and not with a thousand times as much."""
    type = ("Content-Type", "application/json")
    answer = ask(makeSite(), target, "POST", [type], DEEP + behind)
    assert answer.status == 200
    assert len(answer.body) < 5 * len(DEEP)
    assert json.loads(answer.body)["json"] == json.loads(DEEP)


def test_tooLarge() -> None:
    """A number that is larger than numbers are does not come back as a word that is no JSON."""
    type = ("Content-Type", "application/json")
    assert ask(makeSite(), "/go/post", "POST", [type], b"[1e999]").status == 400
    assert json.loads(ask(makeSite(), "/post", "POST", [type], b"[1e999]").body)["json"] is None


def test_unbalanced() -> None:
    """What stands behind the value, where that is allowed, does not hide how deep it is."""
    body = DEEP + b"]" * 500_000
    answer = ask(makeSite(), "/go/post", "POST", [("Content-Type", "application/json")], body)
    assert len(answer.body) < 5 * len(body)


@given(VALUES)
def test_goText(value: Any) -> None:
    """An indent is what Python makes it."""
    text = json.dumps(value, indent=2, ensure_ascii=False) + "\n"
    assert goText(value).decode() == text.encode("utf-8", "replace").decode()
