"""Whether a request is as wanted, and where it is not."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopbackd.http.fields import Fields
from loopbackd.httpsettings import Conditions
from loopbackd.stubs.asked import NOT_JSON, Asked
from loopbackd.stubs.matching import Matcher, distance

FORM = "application/x-www-form-urlencoded"


def matcher(wanted: dict[str, Any]) -> Matcher:
    """As a configuration has it."""
    return Matcher(msgspec.convert(wanted, Conditions))


def asked(
    method: str = "GET",
    target: str = "/",
    fields: list[tuple[str, str]] | None = None,
    body: bytes = b"",
) -> Asked:
    """A request."""
    path, _, query = target.encode().partition(b"?")
    pairs = [(name.encode(), value.encode("latin-1")) for name, value in fields or []]
    return Asked(method, path, query, Fields(pairs), body)


@pytest.mark.parametrize(
    ("wanted", "good", "bad"),
    [
        ({}, asked("ANY", "/thing"), None),
        ({"method": "POST"}, asked("POST"), asked("GET")),
        ({"method": "GET"}, asked("HEAD"), asked("get")),
        ({"method": ["PUT", "PATCH"]}, asked("PATCH"), asked("POST")),
        ({"path": "/u/{id}"}, asked(target="/u/1"), asked(target="/v/1")),
        ({"path_regex": "/[a-c]+"}, asked(target="/abc"), asked(target="/abcd")),
        ({"query": {"a": "1"}}, asked(target="/?b=2&a=1"), asked(target="/?a=2")),
        ({"query": {"a": 1}}, asked(target="/?a=1"), asked(target="/?a=1.0")),
        ({"query": {"a": "b c"}}, asked(target="/?a=b+c"), asked(target="/?A=b+c")),
        ({"query": {"a": True}}, asked(target="/?a"), asked(target="/?b")),
        ({"query": {"a": False}}, asked(target="/"), asked(target="/?a=")),
        ({"query": {"a": ["1", "2"]}}, asked(target="/?a=1&a=2"), asked(target="/?a=2&a=1")),
        ({"query": {"a": {"regex": r"\d+"}}}, asked(target="/?a=12"), asked(target="/?a=1x")),
        ({"query": {"a": {"not_regex": r"\d+"}}}, asked(target="/?a=x"), asked(target="/?a=1")),
        (
            {"headers": {"x-Key": "v"}},
            asked(fields=[("X-KEY", "w"), ("X-Key", "v")]),
            asked(fields=[("X-Key", "V")]),
        ),
        (
            {"headers": {"Accept": {"contains": "json"}}},
            asked(fields=[("Accept", "text/*, application/json")]),
            asked(),
        ),
        (
            {"cookies": {"s": "1"}},
            asked(fields=[("Cookie", "a=b; s=1"), ("Cookie", "c=d")]),
            asked(fields=[("Cookie", "s=2")]),
        ),
        ({"body": {"text": "é"}}, asked(body="é".encode()), asked(body=b"e")),
        ({"body": {"contains": "x"}}, asked(body=b"\xffx"), asked(body=b"y")),
        ({"body": {"regex": "a.*b"}}, asked(body=b"a\nb"), asked(body=b"a\nbc")),
        ({"body": {"json": {"a": 1}}}, asked(body=b'{"a": 1.0}'), asked(body=b'{"a":1,"b":2}')),
        ({"body": {"json_subset": {"a": [1]}}}, asked(body=b'{"b":2,"a":[1]}'), asked(body=b"{")),
        ({"body": {"json": None}}, asked(body=b"null"), asked(body=b"")),
        (
            {"body": {"form": {"a": "1"}}},
            asked(body=b"a=1&b=2", fields=[("Content-Type", f"{FORM}; charset=utf-8")]),
            asked(body=b"a=1&b=2", fields=[("Content-Type", "text/plain")]),
        ),
    ],
)
def test_oneCondition(wanted: dict[str, Any], good: Asked, bad: Asked | None) -> None:
    """It holds for one and not for the other, and what differs is said in a line."""
    it = matcher(wanted)
    assert it.matches(good)
    assert it.differences(good) == []
    if bad is not None:
        assert not it.matches(bad)
        (difference,) = it.differences(bad)
        said = difference.difference(bad)
        assert ", wanted is " in said
        assert len(said.splitlines()) == 1


@pytest.mark.parametrize(
    ("wanted", "request_", "said"),
    [
        ({"method": "POST"}, asked(), "the method is GET, wanted is POST"),
        ({"path": "/a/{b}"}, asked(target="/%20"), "the path is '/ ', wanted is '/a/{b}'"),
        ({"query": {"p": "1"}}, asked(), "query 'p' is not there, wanted is '1'"),
        (
            {"query": {"p": False}},
            asked(target="/?p=1&p=2"),
            "query 'p' is ['1', '2'], wanted is none",
        ),
        (
            {"headers": {"X-Key": {"regex": "a+", "contains": "b"}}},
            asked(fields=[("X-Key", "c")]),
            "the field X-Key is 'c', wanted is something with 'b' and a match of 'a+'",
        ),
        (
            {"body": {"json_subset": {"a": 1}}},
            asked(body=b"\x1b[2J"),
            r"the body is '\x1b[2J', wanted is JSON with {'a': 1}",
        ),
    ],
)
def test_theDifferenceInWords(wanted: dict[str, Any], request_: Asked, said: str) -> None:
    """What is, and what is wanted; what a peer sent is escaped."""
    (difference,) = matcher(wanted).differences(request_)
    assert difference.difference(request_) == said


def test_aLongBodyIsNotRepeated() -> None:
    """A difference is a line that can be read."""
    body = asked(body=b"x" * 100_000)
    (difference,) = matcher({"body": {"text": "y" * 100_000}}).differences(body)
    assert len(difference.difference(body)) < 400


def test_anotherPathIsFartherAway() -> None:
    """Than another header field and another method together."""
    it = matcher({"path": "/a", "method": "PUT", "headers": {"X": "1"}})
    near, far = asked("GET", "/a"), asked("PUT", "/b", [("X", "1")])
    assert distance(it.differences(near)) < distance(it.differences(far))


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"method": "get"}, "method = 'get': write GET, case matters"),
        ({"method": "A B"}, "method = 'A B': not a method"),
        ({"path": "/", "path_regex": "/"}, "path and path_regex are both given"),
        ({"path_regex": "["}, "path_regex = '[': not a regular expression"),
        ({"query": {"a": {"regex": "*"}}}, "query: a: regex = '*': not a regular expression"),
        ({"query": {"a": {}}}, "query: a: nothing is wanted"),
        ({"headers": {"a b": "1"}}, "headers: 'a b' is no name"),
        ({"headers": {"X": {"not_regex": "("}}}, "headers: X: not_regex = '('"),
        ({"body": {"regex": "(?P<"}}, "body: regex = '(?P<'"),
        ({"body": {"json": float("nan")}}, "body: json = nan: JSON has no such number"),
        ({"body": {"form": {"a": {"regex": "("}}}}, "form: a: regex = '('"),
    ],
)
def test_mistakes(wanted: dict[str, Any], said: str) -> None:
    """Each is told with its key, its value and what is wrong."""
    with pytest.raises(ValueError, match=r".") as caught:
        matcher(wanted)
    assert said in str(caught.value)


@given(st.binary())
def test_anyBodyCanBeLookedAt(body: bytes) -> None:
    """Whatever it is, looking at it raises nothing."""
    one = asked(body=body, fields=[("Content-Type", FORM)])
    _ = one.text, one.form
    assert one.json is NOT_JSON or msgspec.json.decode(msgspec.json.encode(one.json)) == one.json
    matcher({"body": {"json": {"a": 1}, "form": {"a": True}, "regex": "x"}}).matches(one)


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"a":' * 100_000, b'"\xff"', b"1e999999"])
def test_badJSONIsNone(body: bytes) -> None:
    """Neither depth nor bad text nor big numbers do any harm."""
    assert asked(body=body).json in (NOT_JSON, float("inf"))


@given(
    st.sampled_from(["GET", "PUT"]),
    st.sampled_from(["/a", "/b"]),
    st.dictionaries(st.sampled_from("xyz"), st.sampled_from("12")),
)
def test_allConditionsMustHold(method: str, path: str, query: dict[str, str]) -> None:
    """It matches where nothing differs, and nowhere else."""
    it = matcher({"method": "PUT", "path": "/a", "query": {"x": "1", "y": False}})
    target = f"{path}?{'&'.join(f'{k}={v}' for k, v in query.items())}"
    holds = method == "PUT" and path == "/a" and query.get("x") == "1" and "y" not in query
    one = asked(method, target)
    assert it.matches(one) is holds
    assert (it.differences(one) == []) is holds
