"""Status lines that are none, and what should not stand before them."""

from __future__ import annotations

import random

from loopbackd.protocols.httpbin.broken.breakage import SEED, Family, Options, Span, Verdict
from loopbackd.protocols.httpbin.broken.right import BODY, OK, WHOLE, sized

_REFUSES, _TAKES, _EITHER = Verdict.REFUSES, Verdict.TAKES, Verdict.EITHER

lines = Family("status line")


@lines.made(
    "junk-before",
    _REFUSES,
    rightly="reports that this is no HTTP; does not search for a status line in it",
    source="RFC 9112 sections 2.2 and 4",
    bytes=Span(32, 1, 65536),
    seed=SEED,
)
def junkBefore(options: Options) -> bytes:
    """C{bytes} of any value before the status line; the same C{seed} gives the same."""
    return random.Random(options.seed).randbytes(options.bytes) + WHOLE


@lines.made(
    "empty-lines-before",
    _EITHER,
    rightly="may skip them as servers do before a request, or report them",
    source="RFC 9112 section 2.2",
    count=Span(1, 1, 1000),
)
def emptyLinesBefore(options: Options) -> bytes:
    """C{count} empty lines before the status line."""
    return b"\r\n" * options.count + WHOLE


@lines.made(
    "long-reason",
    _EITHER,
    rightly="ignores the reason, or refuses a line beyond its own limit",
    source="RFC 9112 section 4, RFC 9110 section 5.4",
    bytes=Span(100_000, 1, 1 << 20),
)
def longReason(options: Options) -> bytes:
    """A reason phrase of C{bytes}."""
    return sized(BODY, line=b"HTTP/1.1 200 " + b"O" * options.bytes)


lines.constant(
    "no-head",
    BODY,
    _REFUSES,
    does="A body without any head, as HTTP/0.9 had it.",
    rightly="refuses it unless it was told to take HTTP/0.9",
    source="RFC 9112 section 4",
)
lines.constant(
    "no-reason",
    WHOLE.replace(OK, b"HTTP/1.1 200 "),
    _TAKES,
    does="A status line without a reason, its space in place.",
    rightly="takes it: this is right, and reasons are to be ignored",
    source="RFC 9112 section 4",
)
lines.constant(
    "no-space-no-reason",
    WHOLE.replace(OK, b"HTTP/1.1 200"),
    _EITHER,
    does="A status line that ends behind the status, without the space.",
    rightly="takes it most often, as many servers send it; the grammar wants the space",
    source="RFC 9112 section 4",
)
lines.constant(
    "reason-of-any-bytes",
    WHOLE.replace(OK, b"HTTP/1.1 200 Tr\xe8s bien \xe2\x9c\x93"),
    _TAKES,
    does="A reason in ISO-8859-1 and UTF-8 at once.",
    rightly="takes it: a reason may have bytes above 127, and is to be ignored",
    source="RFC 9112 section 4",
)
lines.constant(
    "status-with-letters",
    WHOLE.replace(OK, b"HTTP/1.1 2OO OK"),
    _REFUSES,
    does="The status C{2OO}, written with two letters O.",
    rightly="reports that this is no status line",
    source="RFC 9112 section 4",
)
lines.constant(
    "status-two-digits",
    WHOLE.replace(OK, b"HTTP/1.1 20 OK"),
    _REFUSES,
    does="The status C{20}.",
    rightly="reports that this is no status line: a status has three digits",
    source="RFC 9112 section 4",
)
lines.constant(
    "status-four-digits",
    WHOLE.replace(OK, b"HTTP/1.1 2000 OK"),
    _REFUSES,
    does="The status C{2000}.",
    rightly="reports that this is no status line: a status has three digits",
    source="RFC 9112 section 4",
)
lines.constant(
    "status-unknown",
    WHOLE.replace(OK, b"HTTP/1.1 299 Fine So Far"),
    _TAKES,
    does="The status 299, which nobody has defined.",
    rightly="treats it as 200, the first of its class",
    source="RFC 9110 section 15",
)
lines.constant(
    "status-out-of-range",
    WHOLE.replace(OK, b"HTTP/1.1 799 Beyond"),
    _EITHER,
    does="The status 799, which is of no class.",
    rightly="treats it as an error of the server (5xx)",
    source="RFC 9110 section 15",
)
lines.constant(
    "wrong-version",
    WHOLE.replace(OK, b"HTTP/7.3 200 OK"),
    _REFUSES,
    does="The version C{HTTP/7.3}.",
    rightly="refuses a major version it does not speak",
    source="RFC 9110 sections 2.5 and 6.2",
)
lines.constant(
    "newer-minor-version",
    WHOLE.replace(OK, b"HTTP/1.9 200 OK"),
    _TAKES,
    does="The version C{HTTP/1.9}.",
    rightly="takes it as the highest minor version it knows",
    source="RFC 9110 section 2.5",
)
lines.constant(
    "version-in-lower-case",
    WHOLE.replace(OK, b"http/1.1 200 OK"),
    _REFUSES,
    does="The version C{http/1.1}.",
    rightly="reports that this is no status line: the name is case-sensitive",
    source="RFC 9112 section 2.3",
)
lines.constant(
    "other-protocol",
    b"ICY 200 OK\r\nContent-Type: text/plain\r\n\r\n" + BODY,
    _REFUSES,
    does="A status line that begins with C{ICY}, as old audio servers have it.",
    rightly="reports that this is no HTTP, unless it is made for such servers",
    source="RFC 9112 section 4",
)
lines.constant(
    "two-status-lines",
    WHOLE.replace(OK, OK + b"\r\n" + OK),
    _REFUSES,
    does="The status line comes twice.",
    rightly="refuses the second, which is a field line without a name",
    source="RFC 9112 section 5, RFC 9110 section 5.1",
)
lines.constant(
    "old-version",
    WHOLE.replace(OK, b"HTTP/1.0 200 OK"),
    _TAKES,
    does="The version HTTP/1.0.",
    rightly="takes it, and does not count on what came with HTTP/1.1",
    source="RFC 9110 section 2.5",
)
