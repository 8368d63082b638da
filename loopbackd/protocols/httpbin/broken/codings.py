"""Bodies that are not encoded as they say, or whose content is not what its type says."""

from __future__ import annotations

import zlib

from loopbackd.protocols.httpbin.broken.breakage import Family, Options, Span, Verdict
from loopbackd.protocols.httpbin.broken.right import BODY, FIELDS, OK, sized

_REFUSES, _TAKES, _EITHER = Verdict.REFUSES, Verdict.TAKES, Verdict.EITHER
_GZIP = 31  # zlib: a window of 32 KiB, and the gzip format
_RAW = -15

codings = Family("coding and content")


def compressed(data: bytes, window: int = _GZIP) -> bytes:
    """The same bytes each time: no name and no time in it."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, window)
    return compressor.compress(data) + compressor.flush()


def zeros(size: int) -> bytes:
    """So many zeros, compressed; they are never there in one piece."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, _GZIP)
    piece = bytes(1 << 16)
    parts = [compressor.compress(piece) for _ in range(size >> 16)]
    parts.append(compressor.compress(bytes(size & 0xFFFF)))
    return b"".join(parts) + compressor.flush()


def encoded(coding: str, body: bytes) -> bytes:
    """An answer that says it is encoded so."""
    return sized(body, b"Content-Encoding: " + coding.encode())


def typed(type: str, body: bytes) -> bytes:
    """An answer that says it is of that type."""
    line = b"Content-Type: " + type.encode() + b"\r\n"
    fields = line + FIELDS.partition(b"\r\n")[2]
    return OK + b"\r\n" + fields + b"Content-Length: %d\r\n\r\n" % len(body) + body


_WHOLE = compressed(BODY)


@codings.made(
    "gzip-bomb",
    _EITHER,
    rightly="decodes it piece by piece, and stops at its own limit",
    source="RFC 9110 section 17.6",
    bytes=Span(10_000_000, 1, 1 << 27),
)
def gzipBomb(options: Options) -> bytes:
    """C{bytes} zeros in gzip, which are a thousandth of that on the wire."""
    return encoded("gzip", zeros(options.bytes))


codings.constant(
    "gzip-cut",
    encoded("gzip", _WHOLE[: len(_WHOLE) // 2]),
    _REFUSES,
    does="Half of a body in gzip; its length is that of the half.",
    rightly="reports that the coding ends too early",
    source="RFC 1952 section 2.3, RFC 9110 section 8.4.1.3",
)
codings.constant(
    "gzip-without-trailer",
    encoded("gzip", _WHOLE[:-8]),
    _REFUSES,
    does="A body in gzip that lacks its last eight bytes: checksum and size.",
    rightly="reports that the coding ends too early",
    source="RFC 1952 section 2.3.1",
)
codings.constant(
    "gzip-wrong-checksum",
    encoded("gzip", _WHOLE[:-8] + bytes(byte ^ 0xFF for byte in _WHOLE[-8:-4]) + _WHOLE[-4:]),
    _REFUSES,
    does="A body in gzip with a wrong checksum.",
    rightly="reports it",
    source="RFC 1952 section 2.3.1",
)
codings.constant(
    "gzip-wrong-size",
    encoded("gzip", _WHOLE[:-4] + b"\xff\xff\xff\x7f"),
    _REFUSES,
    does="A body in gzip with a wrong size behind its checksum.",
    rightly="reports it",
    source="RFC 1952 section 2.3.1",
)
codings.constant(
    "gzip-two-members",
    encoded("gzip", compressed(BODY[:10]) + compressed(BODY[10:])),
    _TAKES,
    does="A body in gzip that has two members.",
    rightly="has both, one behind the other: this is right",
    source="RFC 1952 section 2.2",
)
codings.constant(
    "gzip-then-junk",
    encoded("gzip", _WHOLE + b"This is no second member.\n"),
    _EITHER,
    does="A body in gzip with something else behind it.",
    rightly="reports it, or leaves the rest out",
    source="RFC 1952 section 2.2",
)
codings.constant(
    "gzip-that-is-none",
    encoded("gzip", BODY),
    _REFUSES,
    does="C{Content-Encoding: gzip}, and the body is plain.",
    rightly="reports it; does not hand out the bytes as if decoded",
    source="RFC 9110 section 8.4",
)
codings.constant(
    "gzip-that-is-deflate",
    encoded("gzip", compressed(BODY, 15)),
    _REFUSES,
    does="C{Content-Encoding: gzip}, and the body is in C{deflate}.",
    rightly="reports it",
    source="RFC 9110 section 8.4",
)
codings.constant(
    "deflate-raw",
    encoded("deflate", compressed(BODY, _RAW)),
    _EITHER,
    does="C{Content-Encoding: deflate} without the zlib format around it.",
    rightly="may report it; most try this as well, since servers often get it wrong",
    source="RFC 9110 section 8.4.1.2",
)
codings.constant(
    "unknown-coding",
    encoded("snafu", BODY),
    _EITHER,
    does="C{Content-Encoding: snafu}.",
    rightly="reports it, or hands out the bytes as encoded in a way it does not know",
    source="RFC 9110 section 8.4",
)
codings.constant(
    "empty-gzip",
    encoded("gzip", b""),
    _EITHER,
    does="C{Content-Encoding: gzip}, and the body has no bytes at all.",
    rightly="reports it, or has an empty body, as most do",
    source="RFC 1952 section 2.2",
)
codings.constant(
    "text-not-utf-8",
    typed("text/plain; charset=utf-8", b"gr\xfc\xdfe\n"),
    _EITHER,
    does="A text that says it is UTF-8 and is ISO-8859-1.",
    rightly="replaces what is wrong, or reports it when asked for text; keeps the bytes",
    source="RFC 3629 section 3",
)
codings.constant(
    "json-cut",
    typed("application/json", b'{"is this all?": "no, the'),
    _TAKES,
    does="Half of a JSON document, with its right length.",
    rightly="takes the answer, and reports it when asked for JSON",
    source="RFC 8259 section 2",
)
