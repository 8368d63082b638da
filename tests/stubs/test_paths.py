"""Paths with variables."""

from __future__ import annotations

import re
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopbackd.http.fields import Fields
from loopbackd.stubs.asked import Asked
from loopbackd.stubs.paths import Words, byRegex, byTemplate


def at(path: str) -> Asked:
    """A request for that path."""
    return Asked("GET", path.encode(), b"", Fields([]))


@pytest.mark.parametrize(
    ("template", "path", "words"),
    [
        ("/", "/", {}),
        ("/", "", None),
        ("/a", "/a", {}),
        ("/a", "/a/", None),
        ("/a", "/%61", {}),
        ("/a b", "/a%20b", {}),
        ("/a b", "/a+b", None),
        ("/a/b", "/a%2Fb", None),
        ("/users/{id}", "/users/5", {"id": "5"}),
        ("/users/{id}", "/users/a%2Fb%20c", {"id": "a/b c"}),
        ("/users/{id}", "/users/", None),
        ("/users/{id}", "/users/5/6", None),
        ("/{a}/x/{b}", "/1/x/2", {"a": "1", "b": "2"}),
        ("/{name}.{type}", "/photo.v1.png", {"name": "photo.v1", "type": "png"}),
        ("/v{n}", "/v12", {"n": "12"}),
        ("/v{n}", "/w12", None),
        ("/files/{rest...}", "/files/", {"rest": ""}),
        ("/files/{rest...}", "/files", None),
        ("/files/{rest...}", "/files/a/b%20c", {"rest": "a/b c"}),
        ("/{all...}", "/a/b", {"all": "a/b"}),
        ("*", "*", {}),
        ("*", "/", None),
    ],
)
def test_whereItFits(template: str, path: str, words: Words | None) -> None:
    """And what stands for the variables."""
    assert byTemplate(template)(at(path)) == words


@given(st.lists(st.text(min_size=1), min_size=1, max_size=4))
def test_anySegmentsComeBack(segments: list[str]) -> None:
    """Whatever was escaped into a segment is the word, and the border between two is kept."""
    segments = [one.encode("utf-8", "replace").decode() for one in segments]
    template = "".join(f"/{{v{number}}}" for number in range(len(segments)))
    path = "".join("/" + quote(one, safe="") for one in segments)
    found = byTemplate(template)(at(path))
    assert found is not None
    assert list(found.values()) == segments


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("users", "begins with /"),
        ("/a?b=1", "goes into query"),
        ("/a#b", "no #"),
        ("/{a}/{a}", "a name of its own"),
        ("/{1}", "a name of its own"),
        ("/{a...}/b", "is the last segment"),
        ("/x{a...}", "is the last segment"),
        ("/{a", "braces as such need path_regex"),
        ("/{a-b}", "braces as such need path_regex"),
        ("/{}", "braces as such need path_regex"),
    ],
)
def test_noTemplate(template: str, said: str) -> None:
    """What cannot be one is refused, with a remedy."""
    with pytest.raises(ValueError, match="path = ") as caught:
        byTemplate(template)
    assert said in str(caught.value)


def test_byRegex() -> None:
    """All of the path, decoded; named groups are words."""
    locate = byRegex(r"/a b/(?P<id>\d+)(?P<rest>/.*)?")
    assert locate(at("/a%20b/12")) == {"id": "12", "rest": ""}
    assert locate(at("/a%20b/12x")) is None
    with pytest.raises(ValueError, match=r"path_regex = '\(': not a regular expression"):
        byRegex("(")


@given(st.lists(st.text("ab-", max_size=2), min_size=2, max_size=5), st.text("ab-", max_size=12))
def test_variables_take_what_a_regular_expression_would(texts: list[str], segment: str) -> None:
    """Each as much as it can, from the left, and at least one character."""
    names = [f"v{number}" for number in range(len(texts) - 1)]
    template = texts[0] + "".join(f"{{{n}}}{t}" for n, t in zip(names, texts[1:], strict=True))
    wanted = re.escape(texts[0]) + "".join(
        f"(?P<{n}>.+){re.escape(t)}" for n, t in zip(names, texts[1:], strict=True)
    )
    found = re.fullmatch(wanted, segment)
    assert byTemplate(f"/{template}")(at(f"/{segment}")) == (found and found.groupdict())


def test_many_variables_cost_little() -> None:
    """No client can keep us busy with a path that nearly fits."""
    template = "/" + "-".join(f"{{v{number}}}" for number in range(20)) + ".json"
    assert byTemplate(template)(at("/" + "-" * 10_000)) is None
