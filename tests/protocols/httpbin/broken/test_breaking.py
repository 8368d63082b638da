"""Tests for L{loopbackd.protocols.httpbin.broken.breaking}."""

from __future__ import annotations

import re
import runpy
from html import unescape
from pathlib import Path

import pytest
from visiting import ask

from loopbackd.http.endpoints import withoutMarks
from loopbackd.protocols.httpbin.broken.breakages import BREAKAGES
from loopbackd.protocols.httpbin.site import makeSite

ROOT = Path(__file__).parents[4]


def test_list() -> None:
    """Every breakage is told as data, with its bounds."""
    answer = ask(makeSite(), "/broken")
    assert answer.get("content-type") == "application/json"
    found = {one["name"]: one for one in answer.json["breakages"]}
    assert list(found) == list(BREAKAGES)
    assert found["reset-after"]["parameters"]["bytes"] == {
        "default": 1024,
        "least": 0,
        "most": 65536,
    }
    assert found["two-lengths"]["client"] == "refuses"


def test_page() -> None:
    """Browsers get a page, with a link to each."""
    answer = ask(makeSite(), "/broken", fields=[("Accept", "text/html,*/*;q=0.1")])
    assert answer.get("content-type") == "text/html; charset=utf-8"
    assert answer.all("vary") == ["Accept", "Origin"]
    assert re.findall(r"<a href=/broken/([^>]+)>", answer.text) == list(BREAKAGES)
    assert withoutMarks(BREAKAGES["two-lengths"].does) in unescape(answer.text)


@pytest.mark.parametrize(
    ("target", "status", "why"),
    [
        ("/broken/nothing", 400, "how = 'nothing'"),
        ("/broken/empty-reply?bytes=5", 400, "empty-reply does not take bytes; it takes nothing"),
        ("/broken/reset-after?bytes=65537", 400, "bytes = 65537 is not within 0 and 65536"),
        ("/broken/reset-after?bytes=-1", 400, "bytes = '-1'"),
        ("/broken/silence?seconds=nan", 400, "seconds"),
        ("/broken/silence?seconds=1e9", 400, "seconds = 1e+09 is not within 0 and 600"),
    ],
)
def test_whatCannotBe(target: str, status: int, why: str) -> None:
    """The client's mistakes are told to it, by an answer that is not broken."""
    answer = ask(makeSite(), target)
    assert answer.status == status
    assert why in answer.text


def test_preflight() -> None:
    """A page of another origin may ask for broken answers, whatever it sends."""
    answer = ask(makeSite(), "/broken/two-lengths", "OPTIONS", [("Origin", "http://a.test")])
    assert answer.status == 200
    assert "DELETE" in (answer.get("allow") or "")


def test_document() -> None:
    """docs/broken-http.md is what .ci/broken.py prints."""
    page = runpy.run_path(str(ROOT / ".ci" / "broken.py"))["page"]()
    assert (ROOT / "docs" / "broken-http.md").read_text() == page


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("/broken/reset-after?byte=100", "reset-after does not take 'byte'; did you mean bytes?"),
        ("/broken/reset-after?bytes=1&xyz=1", "does not take 'xyz'; it takes bytes"),
        ("/broken/empty-reply?bites=1", "empty-reply does not take 'bites'; it takes nothing"),
        ("/broken/any?sed=1", "any does not take 'sed'; did you mean seed?"),
        (f"/broken/any?{'x' * 1000}=1", f"'{'x' * 60}'; it takes seed"),
    ],
)
def test_whatItDoesNotTake(target: str, said: str) -> None:
    """A parameter that is misspelt is not passed over: what was meant is named."""
    answer = ask(makeSite(), target)
    assert answer.status == 400
    assert said in answer.text.replace("&#x27;", "'")
