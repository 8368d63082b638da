"""Validators, and fields by choice."""

from __future__ import annotations

import pytest
from visiting import ask

from loopbackd.protocols.httpbin.caching import parseTags
from loopbackd.protocols.httpbin.site import makeSite


@pytest.mark.parametrize(
    ("value", "tags"),
    [
        (None, []),
        ("", []),
        ("xyzzy", ["xyzzy"]),
        ('"xyzzy"', ["xyzzy"]),
        ('W/"xyzzy"', ["xyzzy"]),
        ('"a", W/"b" ,,"c"', ["a", "b", "c"]),
        ("*", ["*"]),
    ],
)
def test_tags(value: str | None, tags: list[str]) -> None:
    """Quoted or not, weak or not."""
    assert parseTags(value) == tags


def test_cache() -> None:
    """First with validators, then not at all."""
    answer = ask(makeSite(), "/cache?a=b")
    assert answer.json["args"] == {"a": "b"}
    assert answer.get("Last-Modified") == "Thu, 01 Jan 1970 00:00:00 GMT"
    tag = answer.get("ETag")
    assert tag is not None and tag.startswith('"') and len(tag) == 34
    for name in ("If-None-Match", "If-Modified-Since"):
        answer = ask(makeSite(), "/cache", "GET", [(name, "x")])
        assert (answer.status, answer.body) == (304, b"")


def test_cacheFor() -> None:
    """So many seconds."""
    assert ask(makeSite(), "/cache/60").get("Cache-Control") == "public, max-age=60"


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ([], 200),
        ([("If-None-Match", '"x", W/"abc"')], 304),
        ([("If-None-Match", "*")], 304),
        ([("If-None-Match", "x")], 200),
        ([("If-Match", '"abc"')], 200),
        ([("If-Match", "*")], 200),
        ([("If-Match", "x")], 412),
        ([("If-Match", "x"), ("If-None-Match", "abc")], 304),
    ],
)
def test_etag(fields: list[tuple[str, str]], status: int) -> None:
    """The tag comes with everything but a failure."""
    answer = ask(makeSite(), "/etag/abc", "GET", fields)
    assert answer.status == status
    assert answer.get("ETag") == (None if status == 412 else "abc")


def test_noTag() -> None:
    """A tag cannot end its line."""
    assert ask(makeSite(), "/etag/a%0d%0ab").status == 400


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_responseHeaders(method: str) -> None:
    """What is asked for is sent and shown, with a length that is right."""
    answer = ask(makeSite(), "/response-headers?a=b&a=c&d=%C3%A9", method)
    assert [value for name, value in answer.fields if name == "a"] == ["b", "c"]
    assert answer.json == {
        "Content-Length": str(len(answer.body)),
        "Content-Type": "application/json",
        "a": ["b", "c"],
        "d": "é",
    }
    assert answer.get("Content-Length") == str(len(answer.body))


@pytest.mark.parametrize("size", [*range(1, 40), *range(850, 950)])
def test_anyLength(size: int) -> None:
    """Also where saying the length makes it longer."""
    answer = ask(makeSite(), f"/response-headers?a={'x' * size}")
    assert answer.json["Content-Length"] == str(len(answer.body))


def test_ownType() -> None:
    """The type can be another; then scripts of whoever chose it do not run."""
    answer = ask(makeSite(), "/response-headers?content-type=text/html&x=%3Cscript%3E")
    assert answer.get("Content-Type") == "text/html"
    assert answer.get("Content-Security-Policy") == "sandbox"
    answer = ask(makeSite(), "/response-headers?Content-Type=text/plain")
    assert answer.get("Content-Security-Policy") is None


@pytest.mark.parametrize(
    "query",
    [
        "Content-Type=text/plain&Content-Type=text/html",
        "Content-Type=text/plain,text/html",
        "Content-Type=application/json;x=1,text/html",
    ],
)
def test_several_types(query: str) -> None:
    """A browser takes the last, so no script of whoever chose them runs."""
    answer = ask(makeSite(), f"/response-headers?{query}&x=%3Cscript%3E")
    assert answer.get("Content-Security-Policy") == "sandbox"


@pytest.mark.parametrize(
    "query", ["a=b%0d%0ac:d", "a%20b=c", "=x", "Content-Length=5", "trailer=x"]
)
def test_noField(query: str) -> None:
    """What would be no field, or change where the answer ends, is refused."""
    assert ask(makeSite(), f"/response-headers?{query}").status == 400


def test_ownServer() -> None:
    """What every answer has can be said differently, once."""
    answer = ask(makeSite(), "/response-headers?Server=httpbin&Date=never")
    assert (answer.get("Server"), answer.get("Date")) == ("httpbin", "never")
