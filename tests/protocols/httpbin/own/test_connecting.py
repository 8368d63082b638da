"""Tests for L{loopbackd.protocols.httpbin.own.connecting}."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest
import pytest_twisted
from programs import Program, run, urlOf
from twisted.internet import reactor as realReactor
from visiting import Visit, ask, request

from loopbackd.http.guarding import SHIELD
from loopbackd.protocols.httpbin.site import makeSite
from loopbackd.testing import serving

reactor: Any = realReactor


@pytest_twisted.ensureDeferred
async def test_connection(program: Program) -> None:
    """Who asked, how often on this connection, and what the kernel counted."""
    curl = program("curl")
    async with serving(reactor, "auto") as loopback:
        url = urlOf(loopback, "/connection")
        ran = await run(curl, "-qsS", "--noproxy", "*", url, url)
        decoder = json.JSONDecoder()
        first, end = decoder.raw_decode(ran.out.decode())
        second = json.loads(ran.out.decode()[end:])
    assert (first["requests"], second["requests"]) == (1, 2)
    assert first["id"] == second["id"]
    assert (second["service"], second["tls"]) == ("test", False)
    assert second["peer"]["uid"] == os.geteuid()
    assert f"{curl} -qsS" in second["peer"]["command"]
    assert second["peer"]["pid"] > 0
    assert second["tcp"]["state"] == "ESTABLISHED"
    assert second["bytes_received"] == second["tcp"]["received"] > first["bytes_received"]
    assert second["bytes_sent"] > 0
    assert second["remote"].startswith("127.0.0.1:")


@pytest_twisted.ensureDeferred
async def test_unix(program: Program, tmp_path: Any) -> None:
    """On a unix socket the peer is known as well, and there is no TCP."""
    curl = program("curl")
    path = str(tmp_path / "s")
    async with serving(reactor, "http", endpoint=f"unix:{path}"):
        ran = await run(curl, "-qsS", "--unix-socket", path, "http://localhost/connection")
    found = json.loads(ran.out)
    assert found["tcp"] is None
    assert "curl" in found["peer"]["command"]


@pytest.mark.parametrize("target", ["/connection", "/tls"])
def test_notForPages(target: str) -> None:
    """Pages of other origins learn nothing of the user whose browser has them."""
    answer = ask(makeSite(), target, fields=[("Origin", "http://page.test")])
    assert answer.status == 200
    assert answer.get("access-control-allow-origin") is None


def test_noTLS() -> None:
    """In the clear there is nothing to tell but how to ask."""
    found = ask(makeSite(), "/tls").json
    assert found["tls"] is None
    assert "https" in found["hint"]


@pytest_twisted.ensureDeferred
async def test_tls(program: Program) -> None:
    """The facts of TLS, where there is some."""
    curl = program("curl")
    async with serving(reactor, "auto") as loopback:
        url = urlOf(loopback, "/tls").replace("http://127.0.0.1", "https://localhost")
        connection = url.replace("/tls", "/connection")
        ran = await run(curl, "-qsSk", "--noproxy", "*", url)
        also = await run(curl, "-qsSk", "--noproxy", "*", connection)
    assert ran.code == 0, ran.err
    found = json.loads(ran.out)["tls"]
    assert found["version"] == "TLSv1.3"
    assert found["server_name"] == "localhost"
    assert "http/1.1" in found["offered"]
    known = json.loads(also.out)
    assert known["tls"] is True
    assert known["tcp"]["state"] == "ESTABLISHED"


def test_close() -> None:
    """The answer says that the connection ends, and so it does."""
    visit = Visit(makeSite())
    visit.say(request("/close") + request("/get"))
    (answer,) = visit.answers("GET", "GET")
    assert answer.get("connection") == "close"
    assert visit.hasEnded
    visit.end()


def test_withoutThreads() -> None:
    """Where there is a clock and no threads, what would be done in one is done at once."""
    visit = Visit(makeSite())
    found: list[int] = []
    visit.http.inThread(divmod, 7, 2).addCallback(found.extend)  # type: ignore[attr-defined]
    assert found == [3, 1]
    visit.http.inThread(divmod, 7, 0).addErrback(  # type: ignore[attr-defined]
        lambda failure: found.append(failure.check(ZeroDivisionError) is not None)
    )
    assert found == [3, 1, True]
    visit.end()


@pytest.mark.parametrize("target", ["/connection", "/tls"])
@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("page.example:62893", 421),
        ("127.0.0.1.page.example", 421),
        ("localhost:62893", 200),
        ("app.localhost", 200),
        ("app.test", 200),
        ("127.0.0.1:62893", 200),
        ("[::1]:62893", 200),
        ("192.0.2.1", 200),
    ],
)
def test_not_under_the_name_of_a_page(target: str, host: str, status: int) -> None:
    """Nor does a page whose own name was made to lead here."""
    answer = ask(makeSite(), target, fields=[("Host", host)])
    assert answer.status == status
    if status == 200:
        assert {*SHIELD} <= {*answer.fields}
