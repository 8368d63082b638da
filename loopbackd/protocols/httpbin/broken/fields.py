"""Header fields that are none, or too many, or say what cannot be."""

from __future__ import annotations

from loopbackd.protocols.httpbin.broken.breakage import Family, Options, Span, Verdict
from loopbackd.protocols.httpbin.broken.right import BODY, FIELDS, OK, WHOLE, sized

_REFUSES, _TAKES, _EITHER = Verdict.REFUSES, Verdict.TAKES, Verdict.EITHER

fields = Family("header fields")


@fields.made(
    "many-fields",
    _EITHER,
    rightly="takes them, or refuses more than its own limit; does not slow down",
    source="RFC 9110 section 5.4",
    count=Span(1000, 1, 100_000),
)
def manyFields(options: Options) -> bytes:
    """C{count} header lines."""
    return sized(BODY, *(b"X-Many-%d: %d" % (n, n) for n in range(options.count)))


@fields.made(
    "long-field",
    _EITHER,
    rightly="takes it, or refuses more than its own limit; never cuts it off in silence",
    source="RFC 9110 section 5.4",
    bytes=Span(100_000, 1, 1 << 20),
)
def longField(options: Options) -> bytes:
    """A field with a value of C{bytes}."""
    return sized(BODY, b"X-Long: " + b"l" * options.bytes)


fields.constant(
    "two-types",
    sized(BODY, b"Content-Type: application/json"),
    _EITHER,
    does="Two lines C{Content-Type}, which differ.",
    rightly="may report it; whichever it takes, it does not join them to a third",
    source="RFC 9110 sections 5.3 and 8.3",
)
fields.constant(
    "repeated-cookies",
    sized(BODY, b"Set-Cookie: one=1", b"Set-Cookie: two=2; Expires=Fri, 01 Jan 2100 00:00:00 GMT"),
    _TAKES,
    does="Two lines C{Set-Cookie}, the second with a comma in it.",
    rightly="has two cookies: these lines cannot be joined with a comma",
    source="RFC 9110 section 5.3, RFC 6265 section 3",
)
fields.constant(
    "folded-field",
    sized(BODY, b"X-Folded: one\r\n two\r\n\tthree"),
    _TAKES,
    does="A value over three lines (obs-fold).",
    rightly="replaces each fold with spaces, so that the value is C{one two three}",
    source="RFC 9112 section 5.2",
)
fields.constant(
    "no-colon",
    sized(BODY, b"X-Without-A-Colon"),
    _REFUSES,
    does="A header line without a colon.",
    rightly="reports it; many skip the line",
    source="RFC 9112 section 5",
)
fields.constant(
    "space-before-colon",
    sized(BODY, b"X-Spaced : value"),
    _EITHER,
    does="A space between a field's name and its colon.",
    rightly="does not make a name with a space of it; proxies take the space out",
    source="RFC 9112 section 5.1",
)
fields.constant(
    "space-in-name",
    sized(BODY, b"X Spaced: value"),
    _REFUSES,
    does="A space within a field's name.",
    rightly="reports it: a name is a token",
    source="RFC 9110 section 5.1",
)
fields.constant(
    "empty-name",
    sized(BODY, b": value"),
    _REFUSES,
    does="A field with an empty name.",
    rightly="reports it: a name is a token",
    source="RFC 9110 section 5.1",
)
fields.constant(
    "space-before-fields",
    OK + b"\r\n X-First: value\r\n" + WHOLE[len(OK) + 2 :],
    _EITHER,
    does="The first line behind the status line begins with a space.",
    rightly="refuses the answer, or leaves out every such line",
    source="RFC 9112 section 2.2",
)
fields.constant(
    "nul-in-field",
    sized(BODY, b"X-Nul: before\0after"),
    _EITHER,
    does="A value with a NUL in it.",
    rightly="refuses it or has a space for the NUL; never ends the value there",
    source="RFC 9110 section 5.5",
)
fields.constant(
    "bare-cr-in-field",
    sized(BODY, b"X-Return: before\rX-Smuggled: after"),
    _EITHER,
    does="A value with a lone CR in it, and what could be a field behind it.",
    rightly="refuses it or has a space for the CR; has no field C{X-Smuggled}",
    source="RFC 9110 section 5.5, RFC 9112 section 2.2",
)
fields.constant(
    "bare-lf",
    WHOLE.replace(b"\r\n", b"\n"),
    _EITHER,
    does="Lines that end with LF alone, all of them.",
    rightly="may take them as lines, or refuse them",
    source="RFC 9112 section 2.2",
)
fields.constant(
    "mixed-line-ends",
    (OK + b"\r\n" + FIELDS + b"X-Mixed: yes\nContent-Length: %d\r\n\r\n" % len(BODY)) + BODY,
    _EITHER,
    does="One line of the head ends with LF alone, the others with CR LF.",
    rightly="has both fields or refuses; never has the second as a part of the first",
    source="RFC 9112 section 2.2",
)
fields.constant(
    "bytes-in-field",
    sized(BODY, b"X-Bytes: gr\xfc\xdfe \xe2\x9c\x93"),
    _TAKES,
    does="A value in ISO-8859-1 and UTF-8 at once.",
    rightly="takes it as bytes of which it does not know the meaning",
    source="RFC 9110 section 5.5",
)
fields.constant(
    "bytes-in-name",
    sized(BODY, "X-Größe: value".encode()),
    _REFUSES,
    does="A field's name in UTF-8.",
    rightly="reports it: a name is a token, and a token is ASCII",
    source="RFC 9110 section 5.6.2",
)
fields.constant(
    "head-cut-at-line",
    OK + b"\r\n" + FIELDS,
    _REFUSES,
    does="A head without its empty line; the end (FIN) comes where a line ends.",
    rightly="reports it: a head that is not complete is no answer",
    source="RFC 9112 section 8",
)
