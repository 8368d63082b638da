"""Header fields and trailers by choice, and what helps caches."""

from __future__ import annotations

from hashlib import sha1
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from visiting import Visit, ask, request

from go.tables import JSON, SITE, TEXT, errorOf, get, small

DANGEROUS = "<img/src/onerror=alert('xss')>"
ESCAPED = "&lt;img/src/onerror=alert(&#39;xss&#39;)&gt;"


def valuesOf(fields: list[tuple[str, str]], name: str) -> list[str]:
    """The values of each line of that name."""
    return [value for key, value in fields if key.lower() == name.lower()]


def test_fields_by_choice() -> None:
    """In the answer, and in what it says."""
    found = get("/response-headers?Foo=foo&bar=bar1&bar=bar2")
    assert found.json == {"Content-Type": [JSON], "Foo": ["foo"], "bar": ["bar1", "bar2"]}
    assert list(found.json) == sorted(found.json)
    assert found.get("Foo") == "foo" and valuesOf(found.fields, "Bar") == ["bar1", "bar2"]
    assert ("Bar", "bar1") in found.fields
    assert found.get("Content-Type") == JSON


def test_a_type_by_choice() -> None:
    """Takes the place of ours."""
    assert get("/response-headers?Content-Type=text/test").get("Content-Type") == "text/test"


@pytest.mark.parametrize(
    ("type", "isEscaped"),
    [
        ("application/json; charset=utf8", False),
        ("text/plain", False),
        ("application/octet-string", False),
        ("", False),
        ("application/xml", True),
        ("image/png", True),
        ("text/html; charset=utf8", True),
        ("text/html", True),
    ],
)
def test_what_could_run_is_escaped(type: str, isEscaped: bool) -> None:
    """Names and values alike, unless the operator has it otherwise."""
    query = {"xss": DANGEROUS, DANGEROUS: "xss"} | ({"Content-Type": type} if type else {})
    target = f"/response-headers?{urlencode(query)}"
    found = get(target)
    assert found.status == 200 and found.get("Content-Type") == (type or JSON)
    shown = ESCAPED if isEscaped else DANGEROUS
    assert found.json["xss"] == [shown] and found.json[shown] == ["xss"]
    assert found.get("xss") == DANGEROUS
    assert DANGEROUS in ask(small(allow_dangerous_responses=True), target).text


@pytest.mark.parametrize(
    "query",
    ["Content-Length=1", "Transfer-Encoding=chunked", "Connection=close", "Date=x", "a=b%0D%0Ac"],
)
def test_what_the_answer_says_of_itself_is_not_by_choice(query: str) -> None:
    """The message stays whole; nothing is smuggled into it."""
    visit = Visit(SITE)
    visit.say(request(f"/response-headers?{query}") + request("/get"))
    first, second = visit.answers("GET", "GET")
    assert first.status == second.status == 200
    name, _, _ = query.partition("=")
    assert name in first.json and first.get("c") is None
    assert len(valuesOf(first.fields, "Date")) == 1
    visit.end()


@given(st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=4))
def test_any_query_is_shown(query: dict[str, str]) -> None:
    """Even what cannot be sent."""
    found = get("/response-headers?" + urlencode(query, errors="replace"))
    assert found.status == 200


@pytest.mark.parametrize(
    ("query", "trailers"),
    [
        ("", {}),
        ("?test-trailer-1=v1&Test-Trailer-2=v2", {"test-trailer-1": "v1", "test-trailer-2": "v2"}),
        ("?a=1&a=2", {"a": "2"}),
        ("?a=1%0D%0Ab", {"a": "1 b"}),
    ],
)
def test_trailers(query: str, trailers: dict[str, str]) -> None:
    """Announced, and behind the chunks."""
    found = ask(SITE, f"/trailers{query}", "POST", [("Content-Type", "text/plain")], b"hello")
    assert found.json["data"] == "hello"
    assert found.get("Transfer-Encoding") == "chunked" and found.get("Content-Length") is None
    assert {name.lower(): value for name, value in found.trailers} == trailers
    assert {one.lower() for one in valuesOf(found.fields, "Trailer")} == set(trailers)


def test_no_trailers_for_an_old_client() -> None:
    """It could not tell where they begin."""
    visit = Visit(SITE)
    visit.say(b"GET /trailers?a=1 HTTP/1.0\r\n\r\n")
    (found,) = visit.answers("GET")
    assert found.get("Trailer") is None and found.json["args"] == {"a": ["1"]}
    visit.end()


@pytest.mark.parametrize(
    "name",
    [
        "Authorization",
        "cache-control",
        "Content-Length",
        "Content-Type",
        "content-anything",
        "Host",
        "Max-Forwards",
        "Set-Cookie",
        "TE",
        "Trailer",
        "Transfer-Encoding",
        "a%20b",
        "%00",
        "%C3%A4",
    ],
)
def test_what_is_no_trailer(name: str) -> None:
    """Is refused."""
    assert errorOf(get(f"/trailers?test-trailer-1&{name}=Bearer"))["detail"]


def test_validators() -> None:
    """The tag is made of the date."""
    found = get("/cache")
    date = found.get("Last-Modified")
    assert date == "Thu, 01 Jan 1970 00:00:00 GMT"
    assert found.get("ETag") == date.encode().hex() + sha1(b"").hexdigest()
    assert found.get("Content-Type") == JSON


@pytest.mark.parametrize("name", ["If_None_Match", "If_Modified_Since"])
def test_whoever_has_something_has_the_newest(name: str) -> None:
    """Whatever it is."""
    found = get("/cache", **{name: "anything"})
    assert (found.status, found.body) == (304, b"")
    assert get("/cache", **{name: ""}).status == 200


def test_to_be_kept() -> None:
    """For so many seconds."""
    assert get("/cache/60").get("Cache-Control") == "public, max-age=60"
    assert get("/cache/60/foo").status == 404
    assert get("/cache/foo").status == get("/cache/3.14").status == 400


@pytest.mark.parametrize(
    ("etag", "fields", "status"),
    [
        ("abc", {}, 200),
        ("abc", {"If_None_Match": '"abc"'}, 304),
        ("abc", {"If_None_Match": '"123", "abc"'}, 304),
        ("abc", {"If_None_Match": "*"}, 304),
        ("c3piozzzz", {"If_None_Match": 'W/"xyzzy", W/"r2d2xxxx", W/"c3piozzzz"'}, 304),
        ("abc", {"If_None_Match": '"123"'}, 200),
        ("abc", {"If_Match": '"abc"'}, 200),
        ("abc", {"If_Match": '"123", "abc"'}, 200),
        ("abc", {"If_Match": "*"}, 200),
        ("abc", {"If_Match": '"xxxxxx"'}, 412),
        ("abc", {"Range": "bytes=0-9"}, 206),
        ("abc", {"Range": "bytes=0-9", "If_Range": '"abd"'}, 200),
        ("abc", {"Range": "bytes=99999-"}, 416),
        ("%22", {}, 400),
        ("a%0A", {}, 400),
        ("foo/bar", {}, 404),
    ],
)
def test_tags(etag: str, fields: dict[str, str], status: int) -> None:
    """In quotes, by the rules."""
    found = get(f"/etag/{etag}", **fields)
    assert found.status == status
    if status in (200, 206, 304, 412, 416):
        assert found.get("ETag") == f'"{etag}"'
    if status == 200:
        assert found.get("Content-Type") == TEXT and found.json["method"] == "GET"
