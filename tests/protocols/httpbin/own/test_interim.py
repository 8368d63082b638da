"""Tests for L{loopbackd.protocols.httpbin.own.interim}."""

from __future__ import annotations

from visiting import Visit, request

from loopbackd.protocols.httpbin.site import makeSite

SITE = makeSite()
HINT = b"HTTP/1.1 103 Early Hints\r\nLink: </image/png>; rel=preload; as=image\r\n\r\n"
WAITS = [("Expect", "100-continue"), ("Content-Length", "5")]


def test_earlyHints() -> None:
    """The hints come at once, the page after its time."""
    visit = Visit(SITE)
    visit.say(request("/early-hints?count=2&delay=3"))
    assert visit.heard == HINT * 2
    visit.later(2.9)
    assert visit.heard == HINT * 2
    visit.later(0.2)
    (answer,) = visit.answers("GET")
    assert answer.status == 200
    assert answer.get("link") == "</image/png>; rel=preload; as=image"
    visit.end()


def test_earlyHintsOfOld() -> None:
    """HTTP/1.0 has none."""
    visit = Visit(SITE)
    visit.say(b"GET /early-hints HTTP/1.0\r\n\r\n")
    visit.later(0.1)
    assert visit.heard.startswith(b"HTTP/1.1 200 ")
    visit.end()


def test_expect() -> None:
    """The body is asked for when it is time, and not before."""
    visit = Visit(SITE)
    visit.say(request("/expect?delay=2", "POST", WAITS))
    visit.later(1.9)
    assert visit.heard == b""
    visit.later(0.2)
    assert visit.heard == b"HTTP/1.1 100 Continue\r\n\r\n"
    visit.say(b"hello")
    (answer,) = visit.answers("POST")
    assert answer.json == {
        "expected": True,
        "bytes": 5,
        "asked_after": 2.0,
        "first_byte_after": 2.1,
    }
    visit.end()


def test_expectNothing() -> None:
    """Who does not wait is not asked."""
    visit = Visit(SITE)
    visit.say(request("/expect", "POST", body=b"hello"))
    visit.later(0.1)
    assert b"100 Continue" not in visit.heard
    (answer,) = visit.answers("POST")
    assert (answer.json["expected"], answer.json["bytes"]) == (False, 5)
    visit.end()


def test_refuse() -> None:
    """The body is refused before it was sent, and the connection goes with it."""
    visit = Visit(SITE)
    visit.say(request("/expect/413", "PUT", WAITS))
    (answer,) = visit.answers("PUT")
    assert answer.status == 413
    assert b"100 Continue" not in visit.heard
    assert visit.hasEnded
    visit.end()
