"""Tests for L{loopbackd.protocols.httpbin.index}, and for the contract of the whole site."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl

import pytest
from openapi_spec_validator import validate
from twisted.internet.address import UNIXAddress
from visiting import Visit, ask, request

from loopbackd.protocols.httpbin.site import makeSite

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
SITE = makeSite()


@pytest.mark.parametrize(
    ("agent", "accept", "isHTML"),
    [
        ("curl/8.14.1", "*/*", False),
        ("Wget/1.21.3", "*/*", False),
        ("HTTPie/3.2.4", "*/*", False),
        ("curl/8.14.1", "text/html", True),
        ("python-requests/2.34.2", "*/*", True),
        ("Mozilla/5.0", None, True),
        ("python-requests/2.34.2", "text/plain", False),
    ],
)
def test_agent(agent: str, accept: str | None, isHTML: bool) -> None:
    """Programs that print what they get are given a text, those that read it a page."""
    fields = [("User-Agent", agent)] + ([] if accept is None else [("Accept", accept)])
    answered = ask(SITE, "/", fields=fields)
    assert (answered.get("content-type") == "text/html; charset=utf-8") == isHTML


@pytest.mark.parametrize(
    ("accept", "isHTML"),
    [
        (BROWSER, True),
        ("text/html", True),
        ("Text/HTML;q=0.5", True),
        ("text/html;q=0, */*", False),
        ("*/*", False),
        ("text/plain", False),
        ("application/json, text/*", False),
        (None, False),
    ],
)
def test_accept(accept: str | None, isHTML: bool) -> None:
    """Who names HTML gets a page, who says nothing of itself a text; both are greeted."""
    answered = ask(SITE, "/", fields=[] if accept is None else [("Accept", accept)])
    assert answered.status == 200
    assert (answered.get("content-type") == "text/html; charset=utf-8") == isHTML
    assert answered.all("vary")[0] == "Accept, User-Agent"
    assert answered.get("x-content-type-options") == "nosniff"
    assert (answered.get("content-security-policy") is not None) == isHTML
    if isHTML:
        assert "<h1>Hello from <span>127.0.0.1:62893</span>!</h1>" in answered.text
    else:
        assert answered.text.startswith("Hello from 127.0.0.1:62893!\n")


@pytest.mark.parametrize("host", ["localhost:8080", "it.test", "[::1]:1"])
def test_ownWords(host: str) -> None:
    """Examples have the address that the client used, whatever it is here."""
    visit = Visit(SITE)
    visit.say(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    assert f"http://{host}/get?name=value" in visit.answers("GET")[0].text
    visit.end()


def test_noHost() -> None:
    """Who names no host, as in HTTP/1.0, gets examples with our address."""
    visit = Visit(SITE)
    visit.say(b"GET / HTTP/1.0\r\n\r\n")
    assert "http://127.0.0.1:62893/get?name=value" in visit.answers("GET")[0].text
    visit.end()


def test_unixSocket() -> None:
    """At a unix socket the examples lead there."""
    visit = Visit(SITE)
    visit.transport.hostAddr = UNIXAddress(b"/run/it.sock")  # type: ignore[assignment]
    visit.say(request("/"))
    text = visit.answers("GET")[0].text
    assert text.startswith("Hello from /run/it.sock!\n")
    assert "curl --unix-socket /run/it.sock " in text
    visit.end()


@pytest.mark.parametrize("name", ["index.css", "dom.js", "try.js", "console.js", "icon.svg"])
def test_static(name: str) -> None:
    """What the page is made of is there, and is asked for in vain the second time."""
    first = ask(SITE, f"/static/{name}")
    assert first.status == 200
    again = ask(SITE, f"/static/{name}", fields=[("If-None-Match", first.get("etag") or "")])
    assert again.status == 304


@pytest.mark.parametrize("name", ["index.html", "none", "..%2Findex.py", "%2e%2e%2findex.py"])
def test_nothingElse(name: str) -> None:
    """No other file can be had."""
    assert ask(SITE, f"/static/{name}").status == 404


def test_openapi() -> None:
    """The description is valid, has every route, and is one under both its names."""
    answered = ask(SITE, "/openapi.json")
    document = answered.json
    validate(document)
    assert document == ask(SITE, "/spec.json").json
    known = answered.get("etag") or ""
    assert ask(SITE, "/openapi.json", fields=[("If-None-Match", known)]).status == 304
    tables: list[tuple[str, Any]] = [("", SITE.root), *SITE.mounted.items()]
    for prefix, table in tables:
        for endpoint in table.endpoints:
            assert (prefix + endpoint.template).replace("...}", "}") in document["paths"]


def endpoints() -> list[Any]:
    """Those of all tables, under readable names."""
    tables = [("", SITE.root), *SITE.mounted.items()]
    return [
        pytest.param(prefix, table, one, id=f"{one.methods[0]} {prefix}{one.template}")
        for prefix, table in tables
        for one in table.endpoints
    ]


@pytest.mark.parametrize(("prefix", "table", "endpoint"), endpoints())
def test_contract(prefix: str, table: Any, endpoint: Any) -> None:
    """Every route says in a sentence what it is for, and its example is one."""
    assert endpoint.summary, "there is no docstring"
    assert endpoint.summary[-1] in ".!?", endpoint.summary
    if endpoint.example is None:
        return
    path, _, query = endpoint.example.partition("?")
    method = "GET" if endpoint.methods[0] == "*" else endpoint.methods[0]
    found = table.findPath(SimpleNamespace(method=method), path.encode())
    assert found.endpoint is endpoint, f"{endpoint.example} leads to {found.endpoint.template}"
    words = [*zip(endpoint.variables, found.words, strict=True)]
    given = dict(parse_qsl(query))
    words += [(one, given[one.name]) for one in endpoint.options if one.name in given]
    for parameter, word in words:
        parameter.convert(word)
