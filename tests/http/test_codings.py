"""Tests for L{loopbackd.http.codings}."""

from __future__ import annotations

import gzip
import zlib

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from loopbackd.http import codings

DECODED = {
    "gzip": gzip.decompress,
    "deflate": zlib.decompress,
    "br": brotli.decompress,
    "zstd": lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data),
}


@given(st.sampled_from(sorted(codings.CODINGS)), st.binary())
def test_thereAndBack(coding: str, data: bytes) -> None:
    """Decoders that others wrote find what was encoded; the same bytes come each time."""
    encoded = codings.CODINGS[coding](data)
    assert DECODED[coding](encoded) == data
    assert codings.CODINGS[coding](data) == encoded


def test_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that is not installed is named."""
    monkeypatch.setattr(codings, "find_spec", lambda name: None)
    codings.lacks.cache_clear()
    try:
        assert [codings.lacks(one) for one in ("br", "zstd", "gzip", "snafu")] == [
            "brotli",
            "zstandard",
            None,
            None,
        ]
    finally:
        codings.lacks.cache_clear()
