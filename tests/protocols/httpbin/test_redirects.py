"""Where redirects lead."""

from __future__ import annotations

import pytest
from twisted.internet.address import IPv6Address
from visiting import Visit, ask

from loopbackd.protocols.httpbin.redirects import asReference
from loopbackd.protocols.httpbin.site import makeSite

HERE = "http://127.0.0.1:62893"


@pytest.mark.parametrize(
    ("target", "location"),
    [
        ("/redirect/1", "/get"),
        ("/redirect/5", "/relative-redirect/4"),
        ("/redirect/5?absolute=true", f"{HERE}/absolute-redirect/4"),
        ("/redirect/1?absolute=TRUE", f"{HERE}/get"),
        ("/relative-redirect/1", "/get"),
        ("/relative-redirect/7", "/relative-redirect/6"),
        ("/absolute-redirect/1", f"{HERE}/get"),
        ("/absolute-redirect/5", f"{HERE}/absolute-redirect/4"),
        ("/redirect/100000000000000000000", "/relative-redirect/99999999999999999999"),
        ("/redirect-to?url=/a%3Fb=c", "/a?b=c"),
        ("/redirect-to?URL=x&url=y", "y"),
        ("/redirect-to?url=", ""),
    ],
)
def test_location(target: str, location: str) -> None:
    """One fewer each time, and in the end to what the request was."""
    answer = ask(makeSite(), target)
    assert (answer.status, answer.get("Location")) == (302, location)


@pytest.mark.parametrize(
    ("target", "word"),
    [
        ("/redirect/0", "n = "),
        ("/relative-redirect/0", "n = "),
        ("/absolute-redirect/0", "n = "),
        ("/redirect-to", "lacks url"),
        ("/redirect-to?url=/&status_code=x", "status_code"),
        ("/redirect-to?url=/%0d%0aX:y", "control characters"),
    ],
)
def test_refused(target: str, word: str) -> None:
    """Where there is nowhere to lead to."""
    answer = ask(makeSite(), target)
    assert (answer.status, word in answer.text) == (400, True)


@pytest.mark.parametrize(("code", "status"), [(301, 301), (307, 307), (399, 399), (200, 302)])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_status(method: str, code: int, status: int) -> None:
    """Any method, and any status that is one of a redirect."""
    answer = ask(makeSite(), f"/redirect-to?url=/x&status_code={code}", method)
    assert answer.status == status


def test_proxied() -> None:
    """Absolute addresses are what the client would write: with its scheme and its name for us."""
    fields = [("X-Forwarded-Proto", "https")]
    answer = ask(makeSite(), "/absolute-redirect/1", "GET", fields)
    assert answer.get("Location") == "https://127.0.0.1:62893/get"
    fields = [("X-Forwarded-Proto", "javascript")]
    answer = ask(makeSite(), "/absolute-redirect/1", "GET", fields)
    assert answer.get("Location") == f"{HERE}/get"


def test_nameless() -> None:
    """A client of HTTP/1.0 need not call us anything; then it is our address."""
    visit = Visit(makeSite())
    visit.say(b"GET /absolute-redirect/1 HTTP/1.0\r\n\r\n")
    assert b"\r\nLocation: http://127.0.0.1:62893/get\r\n" in visit.heard
    visit.end()


def test_namelessIPv6() -> None:
    """An address of IPv6 has its brackets, as in any URL."""
    visit = Visit(makeSite())
    visit.transport.hostAddr = IPv6Address("TCP", "::1", 62893)
    visit.say(b"GET /absolute-redirect/1 HTTP/1.0\r\n\r\n")
    assert b"\r\nLocation: http://[::1]:62893/get\r\n" in visit.heard
    visit.end()


def test_pageWithoutMarkup() -> None:
    """What is in an address is not taken for markup."""
    answer = ask(makeSite(), "/absolute-redirect/1", "GET", [("X-Forwarded-Proto", "https")])
    assert '<a href="https://127.0.0.1:62893/get">' in answer.text


@pytest.mark.parametrize(
    ("address", "reference"),
    [
        ("http://a.test/b?c=%41#d", "http://a.test/b?c=%41#d"),
        ("http://a.test/é b", "http://a.test/%C3%A9%20b"),
        ("/☃", "/%E2%98%83"),
    ],
)
def test_reference(address: str, reference: str) -> None:
    """Addresses are ASCII when they are sent."""
    assert asReference(address) == reference
