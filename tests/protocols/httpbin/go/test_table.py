"""The table as a whole."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from visiting import Visit, ask, request

from go.tables import PREFIXED, SITE, TEXT, get, small
from loopbackd.http.endpoints import Endpoint
from loopbackd.http.openapi import describe
from loopbackd.protocols.httpbin.site import makeSite

ENDPOINTS = small().endpoints


@pytest.mark.parametrize("path", ["/get", "/anything", "/status/500", "/nowhere", "/", "/delay/1"])
def test_options_for_every_path(path: str) -> None:
    """Also for those that are not there, or that take anything."""
    found = get(path, "OPTIONS")
    assert (found.status, found.body) == (200, b"")
    assert found.get("Access-Control-Allow-Origin") == "*"
    assert found.get("Access-Control-Allow-Credentials") == "true"
    assert found.get("Access-Control-Allow-Methods") == (
        "GET, POST, HEAD, PUT, DELETE, PATCH, OPTIONS"
    )
    assert found.get("Access-Control-Max-Age") == "3600"
    assert found.get("Access-Control-Allow-Headers") is None


def test_options_names_the_methods() -> None:
    """Where they are not all."""
    assert get("/get", "OPTIONS").get("Allow") == "GET, HEAD, OPTIONS"


def test_options_allows_what_is_asked_for() -> None:
    """Fields by their names."""
    found = get("/get", "OPTIONS", Access_Control_Request_Headers="X-Test-Header")
    assert found.get("Access-Control-Allow-Headers") == "X-Test-Header"


@pytest.mark.parametrize("path", ["/get", "/nowhere", "/status/500", "/bytes/foo"])
def test_pages_of_other_origins_may_read_everything(path: str) -> None:
    """Errors included."""
    assert get(path).get("Access-Control-Allow-Origin") == "*"
    assert get(path, Origin="http://a.test").get("Access-Control-Allow-Origin") == "http://a.test"


def test_what_is_not_there() -> None:
    """Is told in text."""
    found = ask(PREFIXED, "/a-prefix/foo")
    assert (found.status, found.get("Content-Type")) == (404, TEXT)
    assert found.text == "404 page not found\n"


def test_it_is_served_below_go() -> None:
    """By the test service."""
    site = makeSite()
    assert ask(site, "/go/get?a=1").json["args"] == {"a": ["1"]}
    assert ask(site, "/get?a=1").json["args"] == {"a": "1"}
    assert ask(site, "/go/redirect/1").get("Location") == "/go/get"
    assert "paths" in describe(site, title="t", version="1")
    assert "/go/sse" in describe(site, title="t", version="1")["paths"]


def test_every_route_says_what_it_is_for() -> None:
    """In one sentence; its example is answered as it says."""
    for endpoint in ENDPOINTS:
        assert endpoint.summary.endswith("."), endpoint
        assert endpoint.group, endpoint
        if endpoint.example is not None:
            found = get(endpoint.example, seconds=2.5)
            if endpoint.template not in (
                "/delay/{duration}",
                "/drip",
                "/sse",
                "/jsonl",
                "/stream-bytes/{n}",
            ):
                usual = {endpoint.usual} if endpoint.usual else {found.status}
                assert found.status in usual | set(endpoint.answers), endpoint


def expected(endpoint: Endpoint, status: int) -> bool:
    """Whether an answer may have that status."""
    return status < 500 or not endpoint.usual or status in endpoint.answers


WORDS = st.text(max_size=12) | st.sampled_from(
    [
        "0",
        "1",
        "-1",
        "200",
        "1e9",
        "1ms",
        "10ns",
        "nan",
        "200,500",
        "auth",
        "MD5",
        "decode",
        "/",
        ".",
    ]
)


@settings(max_examples=400)
@given(st.data(), st.sampled_from(ENDPOINTS), st.sampled_from(["GET", "POST", "HEAD", "PUT"]))
def test_no_query_breaks_anything(data: Any, endpoint: Endpoint, method: str) -> None:
    """Whatever stands in path and query: an answer that was meant, in the time there is."""
    path = endpoint.template
    for variable in endpoint.variables:
        word = quote(data.draw(WORDS).encode("utf-8", "replace"), safe="")
        path = path.replace(f"{{{variable.name}}}", word).replace(f"{{{variable.name}...}}", word)
    names = [one.name for one in endpoint.options] + ["content-type", "attr[Path]", "x"]
    query = data.draw(st.dictionaries(st.sampled_from(names), WORDS, max_size=3))
    target = f"{path}?{urlencode(query, errors='replace')}"
    visit = Visit(SITE)
    visit.say(request(target, method, body=b"" if method in ("GET", "HEAD") else b"body"))
    visit.later(1.2)
    found = visit.answers(method)
    if not found:
        assert visit.heard.startswith(b"HTTP/1.1 101 ")
    for one in found:
        assert expected(endpoint, one.status), target
        assert one.get("Access-Control-Allow-Origin") == "*"
    visit.end()
