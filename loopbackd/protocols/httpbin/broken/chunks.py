"""Bodies in chunks that are not what they say."""

from __future__ import annotations

from loopbackd.protocols.httpbin.broken.breakage import Family, Options, Span, Verdict
from loopbackd.protocols.httpbin.broken.right import BODY, HALF, LAST, chunk, chunked

_REFUSES, _TAKES, _EITHER = Verdict.REFUSES, Verdict.TAKES, Verdict.EITHER

chunks = Family("body in chunks")


@chunks.made(
    "chunk-extension",
    _EITHER,
    rightly="ignores it, or refuses more than its own limit",
    source="RFC 9112 section 7.1.1",
    bytes=Span(16, 1, 1 << 20),
)
def chunkExtension(options: Options) -> bytes:
    """A chunk with an extension of C{bytes}."""
    line = b"%x;%b\r\n" % (len(BODY), b"e" * options.bytes)
    return chunked(line, BODY, b"\r\n", LAST)


@chunks.made(
    "tiny-chunks",
    _TAKES,
    rightly="has the body in one; does not take a chunk for a line or a message",
    source="RFC 9112 section 7.1",
    count=Span(1000, 1, 100_000),
)
def tinyChunks(options: Options) -> bytes:
    """C{count} chunks of one byte each."""
    return chunked(b"1\r\n.\r\n" * options.count, LAST)


chunks.constant(
    "chunk-size-no-number",
    chunked(chunk(HALF), b"xyz\r\n", BODY[len(HALF) :], b"\r\n", LAST),
    _REFUSES,
    does="The second chunk has C{xyz} for its size.",
    rightly="reports it; does not hand out the part as if it were all",
    source="RFC 9112 sections 7.1 and 8",
)
chunks.constant(
    "chunk-size-negative",
    chunked(b"-%x\r\n" % len(BODY), BODY, b"\r\n", LAST),
    _REFUSES,
    does="A chunk with a negative size.",
    rightly="reports it",
    source="RFC 9112 section 7.1",
)
chunks.constant(
    "chunk-size-with-prefix",
    chunked(b"0x%x\r\n" % len(BODY), BODY, b"\r\n", LAST),
    _REFUSES,
    does="A chunk's size written C{0x1a}.",
    rightly="reports it; a recipient that reads 0 ends the body here",
    source="RFC 9112 section 7.1",
)
chunks.constant(
    "chunk-size-beyond-64-bits",
    chunked(b"1%016x\r\n" % len(BODY), BODY, b"\r\n", LAST),
    _REFUSES,
    does="A chunk's size that is right but for 2 to the 64th.",
    rightly="reports it or waits for more; does not let the number overflow",
    source="RFC 9112 section 7.1",
)
chunks.constant(
    "chunk-size-empty",
    chunked(b"\r\n", BODY, b"\r\n", LAST),
    _REFUSES,
    does="An empty line where a chunk's size belongs.",
    rightly="reports it",
    source="RFC 9112 section 7.1",
)
chunks.constant(
    "chunk-too-long",
    chunked(b"%x\r\n" % (len(BODY) - 10), BODY, b"\r\n", LAST),
    _REFUSES,
    does="A chunk is ten bytes longer than it says.",
    rightly="reports that no line end is where the chunk should end",
    source="RFC 9112 section 7.1",
)
chunks.constant(
    "chunk-too-short",
    chunked(b"%x\r\n" % (len(BODY) + 10), BODY, b"\r\n", LAST),
    _REFUSES,
    does="A chunk is ten bytes shorter than it says.",
    rightly="reports an incomplete answer: the end of the body is within the chunk",
    source="RFC 9112 sections 7.1 and 8",
)
chunks.constant(
    "chunk-without-line-end",
    chunked(b"%x\r\n" % len(BODY), BODY, LAST),
    _REFUSES,
    does="No line end between a chunk and the next.",
    rightly="reports it",
    source="RFC 9112 section 7.1",
)
chunks.constant(
    "chunk-with-bare-lf",
    chunked(b"%x\n" % len(BODY), BODY, b"\n0\n\n"),
    _EITHER,
    does="Lines around chunks end with LF alone.",
    rightly="refuses them; many take them",
    source="RFC 9112 sections 2.2 and 7.1",
)
chunks.constant(
    "chunk-cut",
    chunked(chunk(HALF), b"%x\r\n" % len(BODY), BODY[:5]),
    _REFUSES,
    does="The end (FIN) comes within a chunk.",
    rightly="reports an incomplete answer",
    source="RFC 9112 section 8",
)
chunks.constant(
    "no-last-chunk",
    chunked(chunk(BODY)),
    _REFUSES,
    does="The end (FIN) comes instead of the last chunk.",
    rightly="reports an incomplete answer: nothing says that this was all",
    source="RFC 9112 section 8",
)
chunks.constant(
    "last-chunk-cut",
    chunked(chunk(BODY), b"0\r\n"),
    _EITHER,
    does="The empty line behind the last chunk is missing.",
    rightly="may take it, for the body is complete; trailers may be missing",
    source="RFC 9112 sections 7.1 and 8",
)
chunks.constant(
    "trailer-without-colon",
    chunked(chunk(BODY), b"0\r\nX-Without-A-Colon\r\n\r\n"),
    _EITHER,
    does="A trailer without a colon.",
    rightly="reports it, or leaves the trailers out",
    source="RFC 9112 section 7.1.2",
)
chunks.constant(
    "trailer-with-length",
    chunked(chunk(BODY), b"0\r\nContent-Length: 5\r\nSet-Cookie: late=1\r\n\r\n"),
    _TAKES,
    does="Trailers that say how long the body is, and set a cookie.",
    rightly="takes the answer, and does not let trailers change what the head said",
    source="RFC 9110 section 6.5.1",
)
chunks.constant(
    "trailer-unannounced",
    chunked(chunk(BODY), b"0\r\nX-Checksum: 4711\r\n\r\n"),
    _TAKES,
    does="A trailer that no field C{Trailer} announced.",
    rightly="takes the answer: announcing trailers is only good manners",
    source="RFC 9110 section 6.6.2",
)
