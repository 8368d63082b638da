"""Samples, pictures, and the page that lists the table."""

from __future__ import annotations

import gzip
import json
import zlib

import pytest
from visiting import ask

from go.tables import HTML, JSON, PREFIXED, TEXT, errorOf, get


@pytest.mark.parametrize(
    ("path", "type", "text"),
    [
        ("/json", JSON, "Wake up to WonderWidgets!"),
        ("/xml", "application/xml", "<?xml version="),
        ("/html", HTML, "<h1>Herman Melville - Moby-Dick</h1>"),
        ("/encoding/utf8", HTML, "\u03ba\u03cc\u03c3\u03bc\u03b5"),
        ("/robots.txt", TEXT, "Disallow: /deny"),
        ("/deny", TEXT, "YOU SHOULDN'T BE HERE"),
        ("/forms/post", HTML, '<form method="post" action="/post">'),
    ],
)
def test_samples(path: str, type: str, text: str) -> None:
    """What clients' tests look for is in them."""
    found = get(path)
    assert found.get("Content-Type") == type and text in found.text


def test_the_form_is_sent_below_the_prefix() -> None:
    """To the route of the same table."""
    found = ask(PREFIXED, "/a-prefix/forms/post")
    assert '<form method="post" action="/a-prefix/post">' in found.text


def test_encodings() -> None:
    """Always, and always shorter."""
    for path, word, opened in (
        ("/gzip", "gzipped", gzip.decompress),
        ("/deflate", "deflated", zlib.decompress),
    ):
        found = get(path, Accept_Encoding="none")
        assert found.get("Content-Type") == JSON
        text = opened(found.body)
        assert json.loads(text)[word] is True and json.loads(text)["method"] == "GET"
        assert found.get("Content-Length") == str(len(found.body))
        assert len(text) > len(found.body)


def test_what_there_is_not() -> None:
    """In this dialect."""
    assert errorOf(get("/brotli")) == {"status_code": 501, "error": "Not Implemented"}


@pytest.mark.parametrize(
    ("accept", "type"),
    [
        (None, "image/png"),
        ("", "image/png"),
        ("image/*", "image/png"),
        ("*/*", "image/png"),
        ("image/png", "image/png"),
        ("image/jpeg", "image/jpeg"),
        ("image/webp", "image/webp"),
        ("image/svg+xml", "image/svg+xml"),
        ("image/webp, image/jpeg;q=0.5", "image/webp"),
        ("image/raw", None),
        ("image/jpg", None),
        ("image/svg", None),
    ],
)
def test_a_picture_by_choice(accept: str | None, type: str | None) -> None:
    """Or 415, if it is none of ours."""
    found = ask(PREFIXED, "/a-prefix/image", fields=[] if accept is None else [("Accept", accept)])
    assert found.get("Vary") == "Accept"
    if type is None:
        assert errorOf(found)["status_code"] == 415
    else:
        assert (found.status, found.get("Content-Type")) == (200, type)


@pytest.mark.parametrize(
    ("kind", "beginning"),
    [("png", b"\x89PNG"), ("jpeg", b"\xff\xd8"), ("webp", b"RIFF"), ("svg", b"<")],
)
def test_pictures(kind: str, beginning: bytes) -> None:
    """Are what they say."""
    assert get(f"/image/{kind}").body.startswith(beginning)


def test_no_such_picture() -> None:
    """A kind that is not there, and a path that is not."""
    assert errorOf(get("/image/raw"))["error"] == "Not Found"
    assert errorOf(get("/image/jpg"))["status_code"] == 404
    assert get("/image/png/foo").status == 404


def test_the_page() -> None:
    """Links below the prefix, no script."""
    found = ask(PREFIXED, "/a-prefix/")
    assert found.get("Content-Type") == HTML
    assert (found.get("Content-Security-Policy") or "").startswith("default-src 'self'; ")
    assert "go-httpbin" in found.text
    assert '<a href="/a-prefix/get?name=value">/a-prefix/get</a>' in found.text
