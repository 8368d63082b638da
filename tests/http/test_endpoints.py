"""Tests for L{loopbackd.http.endpoints}."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from msgspec import Meta

from loopbackd.http.endpoints import Parameter, parametersOf, patternOf
from loopbackd.http.errors import HTTPError
from loopbackd.http.messages import Request, Response


def handler(
    request: Request,
    n: Annotated[int, Meta(ge=1)],
    rest: str,
    *,
    seed: int | None = None,
    must: str,
) -> Response:
    """Takes something of every kind."""
    return Response()


def test_parametersOf() -> None:
    """A signature says what comes from the path, what from the query, and what may be left out."""
    variables, options = parametersOf(handler, ["n", "rest"])
    assert [one.name for one in variables] == ["n", "rest"]
    assert [(one.name, one.required, one.default) for one in options] == [
        ("seed", False, None),
        ("must", True, None),
    ]


def test_otherNames() -> None:
    """A path with other variables than the handler takes is a mistake of whoever wrote it."""
    with pytest.raises(ValueError, match="its path has"):
        parametersOf(handler, ["rest", "n"])


@pytest.mark.parametrize("text", ["null", "", "x", "1.5"])
def test_noNull(text: str) -> None:
    """That a number may be left out does not make C{null} one."""
    seed = parametersOf(handler, ["n", "rest"])[1][0]
    assert seed.convert("7") == 7
    with pytest.raises(HTTPError, match="seed") as caught:
        seed.convert(text)
    assert caught.value.status == 400


MANY = Literal[tuple(f"way-{number}" for number in range(20))]


@pytest.mark.parametrize(
    ("type_", "text", "said"),
    [
        (int, "ten", "n = 'ten': expected a whole number"),
        (Annotated[float, Meta(ge=0)], "-1", "n = '-1': expected a number >= 0.0"),
        (bool, "perhaps", "n = 'perhaps': expected true or false"),
        (Literal["a", "b", "c"], "d", "n = 'd': write 'a', 'b' or 'c'"),
        (MANY, "wai-7", "n = 'wai-7': did you mean 'way-7', 'way-17' or 'way-9'?"),
        (MANY, "nothing like it", "n = 'nothing like it': it is none of the 20 there are"),
        (MANY, "x" * 100_000, f"n = '{'x' * 60}': it is none of the 20 there are"),
    ],
)
def test_whatDoesNotConvert(type_: Any, text: str, said: str) -> None:
    """The client is told what would have been right, and not in Python's words."""
    with pytest.raises(HTTPError) as caught:
        Parameter("n", type_, True).convert(text)
    assert caught.value.status == 400
    assert caught.value.detail == said


@pytest.mark.parametrize(
    ("template", "path", "words"),
    [
        ("/a/{x}", "/a/b", ("b",)),
        ("/a/{x}", "/a/b/c", None),
        ("/a/{x}", "/a/", None),
        ("/a/{x...}", "/a/b/c", ("b/c",)),
        ("/a/{x...}", "/a/", ("",)),
        ("/a.b/{x}-{y}", "/a.b/1-2", ("1", "2")),
        ("/a.b/{x}-{y}", "/a_b/1-2", None),
    ],
)
def test_patternOf(template: str, path: str, words: tuple[str, ...] | None) -> None:
    """A variable stands for one segment or a part of it; with dots, for all that follows."""
    match = patternOf(template).fullmatch(path)
    assert (match and match.groups()) == words
