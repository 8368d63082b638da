"""Samples, encodings and pictures: each is what it says it is."""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

import pytest
from visiting import ask

from loopbackd.protocols.httpbin.images import chooseImage
from loopbackd.protocols.httpbin.site import makeSite


def test_slides() -> None:
    """The same in JSON and in XML."""
    slides = ask(makeSite(), "/json").json["slideshow"]
    answer = ask(makeSite(), "/xml")
    assert answer.get("Content-Type") == "application/xml"
    tree = ElementTree.fromstring(answer.body)
    assert tree.get("title") == slides["title"] == "Sample Slide Show"
    assert [one.findtext("title") for one in tree] == [one["title"] for one in slides["slides"]]


@pytest.mark.parametrize(
    ("target", "type", "word"),
    [
        ("/html", "text/html; charset=utf-8", "<h1>Herman Melville - Moby-Dick</h1>"),
        ("/encoding/utf8", "text/html; charset=utf-8", "∮ E⋅da = Q"),
        ("/robots.txt", "text/plain", "User-agent: *\nDisallow: /deny\n"),
        ("/deny", "text/plain", "YOU SHOULDN'T BE HERE"),
        ("/image/svg", "image/svg+xml", "<svg "),
    ],
)
def test_texts(target: str, type: str, word: str) -> None:
    """What clients look for is in them."""
    answer = ask(makeSite(), target)
    assert answer.get("Content-Type") == type
    assert word in answer.text


class Form(HTMLParser):
    """The form of a page: where it goes and what it has."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.action: tuple[str | None, str | None] = (None, None)
        self.names: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """See HTMLParser."""
        found = dict(attrs)
        if tag == "form":
            self.action = found.get("method"), found.get("action")
        elif tag in ("input", "textarea"):
            self.names.add(found.get("name") or "")


def test_form() -> None:
    """It has the fields that clients fill in."""
    form = Form(ask(makeSite(), "/forms/post").text)
    assert form.action == ("post", "/post")
    assert form.names == {
        *("custname", "custtel", "custemail", "size", "topping", "delivery", "comments"),
    }


def test_encodings(module: Callable[[str], Any]) -> None:
    """Encoded whether the client accepts it or not."""
    brotli = module("brotli")
    decoders = {
        "gzip": ("gzipped", "gzip", gzip.decompress),
        "deflate": ("deflated", "deflate", zlib.decompress),
        "brotli": ("brotli", "br", brotli.decompress),
    }
    for path, (word, coding, decode) in decoders.items():
        answer = ask(makeSite(), f"/{path}", "GET", [("Accept-Encoding", "identity")])
        assert answer.get("Content-Encoding") == coding
        shown = json.loads(decode(answer.body))
        assert shown.pop("headers")["Accept-Encoding"] == "identity"
        assert shown == {word: True, "method": "GET", "origin": "127.0.0.1"}


@pytest.mark.parametrize(
    ("accept", "type"),
    [
        (None, "image/png"),
        ("image/jpeg, image/webp", "image/webp"),
        ("IMAGE/JPEG", "image/jpeg"),
        ("image/*", "image/png"),
        ("*/*", "image/png"),
        ("text/html", None),
        ("", None),
    ],
)
def test_choice(accept: str | None, type: str | None) -> None:
    """The client's choice."""
    assert chooseImage(accept) == type


def test_noImage() -> None:
    """Who accepts none is told what there is, and that it depends."""
    answer = ask(makeSite(), "/image", "GET", [("Accept", "text/html")])
    assert (answer.status, answer.all("Vary")) == (406, ["Accept", "Origin"])
    assert "image/webp" in answer.json["accept"]


def test_pictures(module: Callable[[str], Any]) -> None:
    """Each can be read, and is what it says."""
    Image = module("PIL.Image")
    for format in ("png", "jpeg", "webp"):
        answer = ask(makeSite(), f"/image/{format}")
        assert answer.get("Content-Type") == f"image/{format}"
        with Image.open(io.BytesIO(answer.body)) as picture:
            picture.load()
            assert (picture.format, picture.size) == (format.upper(), (128, 128))
    assert ElementTree.fromstring(ask(makeSite(), "/image/svg").body).get("width") == "128"
