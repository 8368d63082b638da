"""Cookies, there and back."""

from __future__ import annotations

from http.cookies import SimpleCookie

import pytest
from hypothesis import given
from hypothesis import strategies as st
from visiting import ask

from loopbackd.http.errors import HTTPError
from loopbackd.protocols.httpbin.cookies import makeCookie, parseCookies
from loopbackd.protocols.httpbin.site import makeSite


@pytest.mark.parametrize(
    ("value", "cookies"),
    [
        ("", {}),
        ("a=b; c=d", {"a": "b", "c": "d"}),
        ("a=b=c;;d= e ;f", {"a": "b=c", "d": "e", "f": ""}),
        ("a=1; a=2", {"a": "1"}),
        ('a="b;c"; d=e', {"a": "b;c", "d": "e"}),
        (r'a="x\"y\\\303\251"', {"a": 'x"y\\é'}),
        ('a="b; c=d', {"a": '"b', "c": "d"}),
        ("=x; a=b", {"a": "b"}),
        ('a="', {"a": '"'}),
        (r'a="\400\9"', {"a": "4009"}),
        ("a b", {"a b": ""}),
        ("a" + " " * 60000 + "b", {"a" + " " * 60000 + "b": ""}),
    ],
)
def test_parsed(value: str, cookies: dict[str, str]) -> None:
    """As browsers write them, and as Python's programs quote them."""
    assert parseCookies(value) == cookies


@given(st.text(st.characters(max_codepoint=255)))
def test_anyText(value: str) -> None:
    """Whatever a client sends is read somehow."""
    assert "" not in parseCookies(value)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_thereAndBack(value: str) -> None:
    """What is set is what comes back, whatever it is; the standard library reads it, too."""
    _, field = makeCookie("name", value)
    assert field.isascii()
    assert parseCookies(field) == {"name": value}
    assert SimpleCookie(field)["name"].value.encode("latin-1", "replace") == (
        value.encode("utf-8") if field.startswith('name="') else value.encode()
    )


@pytest.mark.parametrize("name", ["", "a b", "a=b", "a;b", "é", "a\r\nb"])
def test_noName(name: str) -> None:
    """What cannot be a name is refused."""
    with pytest.raises(HTTPError, match="no name for a cookie"):
        makeCookie(name, "x")


def test_set() -> None:
    """The query's first value of each name, for all paths, and the way to see them."""
    answer = ask(makeSite(), "/cookies/set?a=b&c=d;e&a=x")
    assert (answer.status, answer.get("Location")) == (302, "/cookies")
    set = [value for name, value in answer.fields if name == "Set-Cookie"]
    assert set == ["a=b; Path=/", r'c="d\073e"; Path=/']
    answer = ask(makeSite(), "/cookies/set/a/b%20c%3B")
    assert answer.get("Set-Cookie") == r'a="b c\073"; Path=/'
    assert ask(makeSite(), "/cookies/set?a%0d%0ab=c").status == 400


def test_deleted() -> None:
    """Long over, in both of the ways there are to say it."""
    answer = ask(makeSite(), "/cookies/delete?a")
    assert answer.get("Set-Cookie") == (
        "a=; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; Path=/"
    )


def test_shown() -> None:
    """Also where they come in several fields."""
    fields = [("Cookie", "a=b; __utmz=1"), ("Cookie", "c=d")]
    assert ask(makeSite(), "/cookies", "GET", fields).json == {"cookies": {"a": "b", "c": "d"}}
