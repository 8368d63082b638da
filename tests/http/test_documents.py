"""Tests for L{loopbackd.http.documents}."""

from __future__ import annotations

import pytest
from visiting import Answered, ask

from loopbackd.http.documents import Document, packaged
from loopbackd.http.messages import Request, Response
from loopbackd.http.routes import Routes


def asked(document: Document, known: str | None = None) -> Answered:
    """The answer to a client that has something already."""
    routes = Routes("test")

    @routes.add("/")
    def it(request: Request) -> Response:
        return document.answer(request)

    return ask(routes, "/", fields=[] if known is None else [("If-None-Match", known)])


def test_whole() -> None:
    """Who has nothing gets everything, and a tag for the next time."""
    document = Document(b"some", "text/plain")
    answered = asked(document)
    assert (answered.status, answered.body) == (200, b"some")
    assert answered.get("etag") == document.tag
    assert answered.get("x-content-type-options") == "nosniff"


@pytest.mark.parametrize("known", ["{}", "W/{}", '"other", {}', "*"])
def test_known(known: str) -> None:
    """Who has it gets 304, however the tag is written."""
    document = Document(b"some", "text/plain")
    answered = asked(document, known.format(document.tag))
    assert (answered.status, answered.body) == (304, b"")
    assert answered.get("etag") == document.tag


def test_changed() -> None:
    """Other bytes have another tag."""
    assert asked(Document(b"some", "text/plain"), Document(b"any", "text/plain").tag).status == 200


def test_packaged() -> None:
    """Files of a package come with their media types; templates stay at home."""
    found = packaged("loopbackd.protocols.httpbin", "static")
    assert found["index.css"].type == "text/css; charset=utf-8"
    assert "index.html" not in found
