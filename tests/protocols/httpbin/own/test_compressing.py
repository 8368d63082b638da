"""Tests for L{loopbackd.protocols.httpbin.own.compressing}."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable
from typing import Any

import brotli
import pytest
import zstandard
from visiting import ask

from loopbackd.protocols.httpbin.site import makeSite

SITE = makeSite()
DECODED: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.decompress,
    "deflate": zlib.decompress,
    "br": brotli.decompress,
    "zstd": zstandard.ZstdDecompressor().decompress,
    "identity": bytes,
}


def asked(path: str, accept: str | None) -> tuple[int, str | None, Any]:
    """Status, coding and content of the answer; every one says that it could be another."""
    fields = [] if accept is None else [("Accept-Encoding", accept)]
    answer = ask(SITE, path, fields=fields)
    assert answer.all("vary") == ["Accept-Encoding", "Origin"]
    if answer.status != 200:
        return answer.status, None, None
    coding = answer.get("content-encoding")
    return 200, coding, json.loads(DECODED[coding or "identity"](answer.body))


@pytest.mark.parametrize(
    ("accept", "coding"),
    [
        (None, "zstd"),
        ("gzip, deflate", "gzip"),
        ("deflate, gzip;q=0.5", "deflate"),
        ("gzip, br", "br"),
        ("snafu", None),
        ("identity", None),
    ],
)
def test_byPreference(accept: str | None, coding: str | None) -> None:
    """The coding the client likes best, and its name where there is one."""
    status, found, content = asked("/compress", accept)
    assert (status, found) == (200, coding)
    assert content["coding"] == (coding or "identity")


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
def test_chosen(coding: str) -> None:
    """A coding that the path names is used where the client takes it, and else none."""
    path = f"/compress/{coding}"
    assert asked(path, None)[1] == coding
    assert asked(path, f"identity, {coding};q=0.1")[1] is None
    assert asked(path, f"{coding}, identity;q=0.5")[1] == coding
    assert asked(path, "snafu")[:2] == (200, None)
    assert asked(path, "snafu, identity;q=0")[0] == 406


def test_identity() -> None:
    """No coding can be had by name, and be refused."""
    assert asked("/compress/identity", None)[:2] == (200, None)
    assert asked("/compress/identity", "gzip, identity;q=0")[0] == 406


def test_filler() -> None:
    """As much more as was asked for, which packs well."""
    answer = ask(SITE, "/compress/gzip?filler=100000")
    assert len(json.loads(gzip.decompress(answer.body))["filler"]) == 100_000
    assert len(answer.body) < 5000
    assert ask(SITE, "/compress/gzip?filler=2000000").status == 400


def test_unknown() -> None:
    """A coding that nobody knows is the client's mistake."""
    assert ask(SITE, "/compress/snafu").status == 400


def test_head() -> None:
    """HEAD says the same as GET, without the body."""
    whole, head = ask(SITE, "/compress/br"), ask(SITE, "/compress/br", "HEAD")
    assert head.get("content-encoding") == "br"
    assert whole.status == head.status
    assert head.body == b""


def test_notInstalled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a package is missing, its coding is not offered, and by name is 501."""
    from loopbackd.protocols.httpbin.own import compressing

    monkeypatch.setattr(
        compressing, "lacks", lambda coding: "some-package" if coding in ("br", "zstd") else None
    )
    assert asked("/compress", "br, gzip;q=0.1")[1] == "gzip"
    answer = ask(SITE, "/compress/br")
    assert answer.status == 501
    assert "some-package" in answer.text
