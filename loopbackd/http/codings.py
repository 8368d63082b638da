"""
Content codings: bytes to fewer bytes (RFC 9110 section 8.4.1).

Two of them need packages that are not installed with loopbackd unless asked for
(C{loopbackd[encodings]}).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from typing import Final


def gzip(data: bytes) -> bytes:
    """RFC 1952, without a name and a time: the same bytes each time."""
    return _zlib(data, 31)


def deflate(data: bytes) -> bytes:
    """C{deflate} is the zlib format of RFC 1950, whatever its name says."""
    return _zlib(data, 15)


def br(data: bytes) -> bytes:
    """Brotli (RFC 7932)."""
    import brotli

    encoded: bytes = brotli.compress(data, quality=5)
    return encoded


def zstd(data: bytes) -> bytes:
    """Zstandard with a window of at most 8 MiB (RFC 8878, RFC 9659)."""
    import zstandard

    return zstandard.ZstdCompressor(level=3, write_content_size=True).compress(data)


def _zlib(data: bytes, window: int) -> bytes:
    compressor = zlib.compressobj(6, zlib.DEFLATED, window)
    return compressor.compress(data) + compressor.flush()


CODINGS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "zstd": zstd,
    "br": br,
    "gzip": gzip,
    "deflate": deflate,
}
"""By their names in C{Content-Encoding}, the ones that pack tightest and fastest first."""

_PACKAGES: Final = {"br": "brotli", "zstd": "zstandard"}


@cache
def lacks(coding: str) -> str | None:
    """The package that a coding needs and that is not installed."""
    package = _PACKAGES.get(coding)
    return package if package is not None and find_spec(package) is None else None
