"""Tests for L{loopbackd.protocols.httpbin.own.badredirects}."""

from __future__ import annotations

import json
from typing import Any

import pytest
import pytest_twisted
from programs import Program, run, urlOf
from twisted.internet import reactor as realReactor
from visiting import ask

from loopbackd.protocols.httpbin.own.badredirects import routes
from loopbackd.protocols.httpbin.site import makeSite
from loopbackd.testing import serving

reactor: Any = realReactor
SITE = makeSite()


@pytest.mark.parametrize("endpoint", routes.endpoints, ids=lambda one: one.template)
def test_each(endpoint: Any) -> None:
    """Each has the status it is listed with, and no body."""
    answer = ask(SITE, endpoint.example)
    assert (answer.status, answer.body) == (endpoint.usual, b"")


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("loop", "/redirect/loop"),
        ("ping", "/redirect/pong"),
        ("pong", "/redirect/ping"),
        ("no-location", None),
        ("empty", ""),
        ("unencoded", "/anything/a b/\xc3\xbc"),
        ("endless/41", "/redirect/endless/42"),
    ],
)
def test_locations(path: str, location: str | None) -> None:
    """They lead where they say."""
    assert ask(SITE, f"/redirect/{path}").get("Location") == location


def test_numbersStillCount() -> None:
    """httpbin's own redirects are where they were."""
    assert ask(SITE, "/redirect/2").get("Location") == "/relative-redirect/1"


@pytest.mark.parametrize(
    ("path", "code", "last"),
    [
        ("loop", 47, None),
        ("ping", 47, None),
        ("endless/0", 47, None),
        ("relative", 0, b"/get"),
        ("keep", 0, b'"data"'),
        ("to-file", 1, None),
        ("no-location", 0, b""),
        ("created", 0, b""),
    ],
)
@pytest_twisted.ensureDeferred
async def test_curl(program: Program, path: str, code: int, last: bytes | None) -> None:
    """curl follows what it should, gives up where there is no end, and leaves HTTP for nobody."""
    curl = program("curl")
    async with serving(reactor, "http") as loopback:
        url = urlOf(loopback, f"/redirect/{path}")
        ran = await run(curl, "-qsSL", "--noproxy", "*", "--max-redirs", "5", url)
        assert ran.code == code, ran.err
        if last is not None:
            assert last in ran.out


@pytest.mark.parametrize(
    ("path", "method", "data"), [("keep", "POST", "mine"), ("see-other", "GET", "")]
)
@pytest_twisted.ensureDeferred
async def test_whatIsSentAgain(program: Program, path: str, method: str, data: str) -> None:
    """After 307 method and body come again, after 303 neither."""
    curl = program("curl")
    words = ["-qsSL", "--noproxy", "*", "-H", "Content-Type: text/plain", "-d", "mine"]
    async with serving(reactor, "http") as loopback:
        ran = await run(curl, *words, urlOf(loopback, f"/redirect/{path}"))
        found = json.loads(ran.out)
        assert (found["method"], found["data"]) == (method, data)
