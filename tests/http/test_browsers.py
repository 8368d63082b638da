"""Tests for L{loopbackd.http.browsers}: what a request says of where it comes from."""

from __future__ import annotations

import pytest
from visiting import Visit, request

from loopbackd.http.browsers import changesSomething, isBrowser, isOwnPage
from loopbackd.http.head import Limits, parseHead
from loopbackd.http.messages import Request

OWN = ("Origin", "http://127.0.0.1:62893")
FIREFOX = ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")


def asked(method: str = "GET", *fields: tuple[str, str]) -> Request:
    """A request to 127.0.0.1:62893."""
    head = parseHead(request("/", method, [*fields]), Limits())
    visit = Visit(None)  # type: ignore[arg-type]
    return Request(head, visit.http)


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ([], False),
        ([("User-Agent", "curl/8.14.1")], False),
        ([("User-Agent", "mozilla/5.0")], False),
        ([("User-Agent", "node"), ("Sec-Fetch-Mode", "cors")], False),
        ([FIREFOX], True),
        ([("Origin", "null")], True),
        ([("Sec-Fetch-Site", "none")], True),
    ],
)
def test_browsers(fields: list[tuple[str, str]], found: bool) -> None:
    """By what browsers alone say."""
    assert isBrowser(asked("GET", *fields)) == found


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ([], False),
        ([FIREFOX], False),
        ([OWN], True),
        ([("Sec-Fetch-Site", "same-origin")], True),
        ([("Sec-Fetch-Site", "same-site")], False),
        ([("Sec-Fetch-Site", "none"), OWN], False),
        ([("Sec-Fetch-Site", "same-origin, none")], False),
        ([("Origin", "https://127.0.0.1:62893")], False),
        ([("Origin", "http://127.0.0.1")], False),
        ([("Origin", "http://localhost:62893")], False),
        ([OWN, OWN], False),
    ],
)
def test_own_pages(fields: list[tuple[str, str]], found: bool) -> None:
    """What the browser says of the site counts more than the origin."""
    assert isOwnPage(asked("GET", *fields)) == found


@pytest.mark.parametrize(
    ("method", "fields", "found"),
    [
        ("GET", [], False),
        ("HEAD", [], False),
        ("OPTIONS", [], False),
        ("POST", [], True),
        ("DELETE", [], True),
        ("X", [], True),
        ("get", [], True),
        ("GET", [("Upgrade", "websocket")], True),
        ("GET", [("Accept", "Text/Event-Stream")], True),
        ("GET", [("Accept", "text/html, text/event-stream;q=0.1")], True),
        ("GET", [("Accept", "text/html")], False),
    ],
)
def test_changes(method: str, fields: list[tuple[str, str]], found: bool) -> None:
    """Anything but what only reads, and every stream."""
    assert changesSomething(asked(method, *fields)) == found
