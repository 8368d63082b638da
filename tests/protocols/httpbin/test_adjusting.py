"""Tests for L{loopbackd.protocols.httpbin.adjusting}, by way of C{/status}."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from visiting import Visit, ask, request

from loopbackd.protocols.httpbin.site import makeSite

SITE = makeSite()


def test_allOfIt() -> None:
    """Body, type, reason and header fields are those that were asked for."""
    answer = ask(
        SITE,
        "/status/503?body=wait+%C3%BC&type=text/x&reason=Not%20Now"
        "&header=X-One:+1&header=x-one:2&header=Retry-After:7",
    )
    assert (answer.status, answer.reason, answer.text) == (503, "Not Now", "wait ü")
    assert answer.get("content-type") == "text/x"
    assert answer.get("retry-after") == "7"
    assert [one for one in answer.fields if one[0].lower() == "x-one"] == [
        ("X-One", "1"),
        ("x-one", "2"),
    ]


def test_takesThePlace() -> None:
    """What an answer has by that name already gives way; everything else stays."""
    answer = ask(SITE, "/status/302?header=location:/get")
    assert answer.get("location") == "/get"
    answer = ask(SITE, "/status/418?header=X-Tea:+Earl")
    assert "teapot" in answer.text
    assert answer.get("x-more-info")


def test_typeOfABody() -> None:
    """A body is text unless something else is said."""
    assert ask(SITE, "/status/406?body=no").get("content-type") == "text/plain; charset=utf-8"
    for more in ("type=a/b", "header=Content-Type:a/b"):
        assert ask(SITE, f"/status/406?body=no&{more}").get("content-type") == "a/b"


@pytest.mark.parametrize("path", ["/status/504/any/sub/path", "/status/504/", "/status/504/a%2Fb"])
def test_below(path: str) -> None:
    """Whatever stands behind the status does not matter."""
    assert ask(SITE, path).status == 504


def test_seed() -> None:
    """The same seed chooses the same, and among seeds each status has its share."""
    target = "/status/200:0.7,500:0.3?seed="
    found = [ask(SITE, f"{target}{seed}").status for seed in range(200)]
    assert found == [ask(SITE, f"{target}{seed}").status for seed in range(200)]
    assert 100 < found.count(200) < 180


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("204?body=x", "has no body"),
        ("200?type=plain", "type = 'plain'"),
        ("200?type=a/b%0d%0aX:y", "media type"),
        ("200?reason=a%0d%0aX:y", "reason"),
        ("200?header=nothing", "write Name: value"),
        ("200?header=a%20b:c", "write Name: value"),
        ("200?header=a:b%0d%0ac:d", "write Name: value"),
        ("200?header=content-length:5", "content-length is the server's to say"),
        ("200?header=Transfer-Encoding:x", "Transfer-Encoding is the server's to say"),
        ("200?" + "&".join(["header=a:b"] * 101), "no more than 100"),
    ],
)
def test_whatCannotBe(query: str, why: str) -> None:
    """What would break the answer is refused by one that is whole."""
    answer = ask(SITE, f"/status/{query}")
    assert answer.status == 400
    assert why in answer.text


@given(st.text(), st.text(), st.text())
def test_neverBroken(body: str, reason: str, header: str) -> None:
    """Whatever is asked for, there is one answer and nothing behind it."""
    visit = Visit(SITE)
    words = {"body": body, "reason": reason, "header": header}
    query = "&".join(
        f"{name}={quote(value.encode('utf-8', 'replace'), safe='')}"
        for name, value in words.items()
    )
    visit.say(request(f"/status/200?{query}") + request("/status/201"))
    first, second = visit.answers("GET", "GET")
    assert first.status in (200, 400)
    assert second.status == 201
    visit.end()


@pytest.mark.parametrize(
    "query",
    [
        "type=text/html",
        "header=Content-Type:image/svg%2Bxml",
        "header=Content-Type:text/plain&header=Content-Type:text/html",
        "type=text/plain;x,text/html",
        "type=text/html&header=Content-Security-Policy:x",
    ],
)
def test_a_page_of_the_clients(query: str) -> None:
    """A page that whoever made the address wrote runs no scripts in our name."""
    answer = ask(SITE, f"/status/200?body=%3Cscript%3E&{query}")
    policies = [value for name, value in answer.fields if name == "Content-Security-Policy"]
    assert policies[-1] == "sandbox"


@pytest.mark.parametrize("type", ["text/plain", "application/json;charset=utf-8"])
def test_what_is_no_page(type: str) -> None:
    """Where no browser would run anything, nothing is added."""
    answer = ask(SITE, f"/status/200?body=1&type={type}")
    assert answer.get("Content-Security-Policy") is None
