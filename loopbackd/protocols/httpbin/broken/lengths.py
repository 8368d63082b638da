"""Bodies that do not end where the head says, or where it says two things."""

from __future__ import annotations

from typing import Final

from loopbackd.protocols.httpbin.broken.breakage import Family, Options, Span, Verdict
from loopbackd.protocols.httpbin.broken.right import (
    BODY,
    LAST,
    OK,
    WHOLE,
    chunk,
    chunked,
    head,
    sized,
)

_REFUSES, _TAKES, _EITHER = Verdict.REFUSES, Verdict.TAKES, Verdict.EITHER
_BY: Final = Span(10, 1, 1 << 40)
_SAID: Final = b"Content-Length: %d" % len(BODY)
_IS_CHUNKED: Final = b"Transfer-Encoding: chunked"

lengths = Family("length of the body")


@lengths.made(
    "length-too-long",
    _REFUSES,
    rightly="reports an incomplete answer",
    source="RFC 9112 sections 6.3 and 8",
    bytes=_BY,
)
def lengthTooLong(options: Options) -> bytes:
    """C{Content-Length} says C{bytes} more than there are."""
    return head(b"Content-Length: %d" % (len(BODY) + options.bytes)) + BODY


@lengths.made(
    "length-too-short",
    _TAKES,
    rightly="takes as much as was said, and throws away the rest and the connection",
    source="RFC 9112 section 6.3",
    bytes=Span(10, 1, len(BODY)),
)
def lengthTooShort(options: Options) -> bytes:
    """C{Content-Length} says C{bytes} less than there are."""
    return head(b"Content-Length: %d" % (len(BODY) - options.bytes)) + BODY


lengths.constant(
    "two-lengths",
    sized(BODY, b"Content-Length: %d" % (len(BODY) - 10)),
    _REFUSES,
    does="Two lines C{Content-Length}, which differ.",
    rightly="closes the connection and throws the answer away",
    source="RFC 9112 section 6.3",
)
lengths.constant(
    "length-list",
    head(b"Content-Length: %d, %d" % (len(BODY), len(BODY) - 10)) + BODY,
    _REFUSES,
    does="One C{Content-Length} with two numbers, which differ.",
    rightly="closes the connection and throws the answer away",
    source="RFC 9112 section 6.3",
)
lengths.constant(
    "same-length-twice",
    sized(BODY, _SAID),
    _EITHER,
    does="The same C{Content-Length} twice.",
    rightly="may take it once, or refuse it",
    source="RFC 9112 section 6.3, RFC 9110 section 8.6",
)
lengths.constant(
    "length-and-chunked",
    head(_SAID, _IS_CHUNKED) + chunk(BODY[:5]) + chunk(BODY[5:]) + LAST,
    _EITHER,
    does="C{Content-Length} and C{Transfer-Encoding}, and a body in chunks.",
    rightly="goes by the chunks, or reports it; never goes by the length",
    source="RFC 9112 section 6.3",
)
for _name, _value, _what in (
    ("length-negative", b"-5", "negative"),
    ("length-with-plus", b"+26", "a number with a plus sign"),
    ("length-in-letters", b"twenty-six", "a number in words"),
    ("length-hexadecimal", b"0x1a", "a hexadecimal number"),
    ("length-empty", b"", "empty"),
    ("length-beyond-64-bits", b"18446744073709551642", "2 to the 64th too large"),
):
    lengths.constant(
        _name,
        head(b"Content-Length: " + _value) + BODY,
        _REFUSES,
        does=f"C{{Content-Length}} is {_what}.",
        rightly="closes the connection and throws the answer away",
        source="RFC 9112 section 6.3, RFC 9110 section 8.6",
    )
lengths.constant(
    "unknown-transfer-coding",
    head(b"Transfer-Encoding: snafu") + BODY,
    _EITHER,
    does="C{Transfer-Encoding: snafu}, and the body ends with the connection.",
    rightly="reports a coding it does not know; never hands the body out as decoded",
    source="RFC 9112 sections 6.1 and 7",
)
lengths.constant(
    "chunked-not-last",
    head(b"Transfer-Encoding: chunked, identity") + chunk(BODY) + LAST,
    _EITHER,
    does="C{chunked} is not the last transfer coding, so the body ends with the connection.",
    rightly="reports it, or has chunk sizes within the body",
    source="RFC 9112 section 6.3",
)
lengths.constant(
    "chunked-twice",
    head(_IS_CHUNKED, _IS_CHUNKED) + chunk(BODY) + LAST,
    _EITHER,
    does="C{Transfer-Encoding: chunked} twice, and a body in chunks once.",
    rightly="reports it; a body is chunked at most once",
    source="RFC 9112 section 7.1",
)
lengths.constant(
    "chunked-in-old-version",
    chunked(chunk(BODY), LAST).replace(OK, b"HTTP/1.0 200 OK"),
    _EITHER,
    does="A body in chunks with HTTP/1.0, which has none.",
    rightly="treats the framing as faulty and closes the connection afterwards",
    source="RFC 9112 section 6.1",
)
lengths.constant(
    "body-for-204",
    WHOLE.replace(OK, b"HTTP/1.1 204 No Content"),
    _TAKES,
    does="The status 204 with a body and its length.",
    rightly="has no body; what comes behind the head is thrown away with the connection",
    source="RFC 9112 section 6.3, RFC 9110 section 15.3.5",
)
lengths.constant(
    "body-for-205",
    WHOLE.replace(OK, b"HTTP/1.1 205 Reset Content"),
    _EITHER,
    does="The status 205 with a body and its length.",
    rightly="has no use for the body, and reads it so far as the length says",
    source="RFC 9110 section 15.3.6",
)
lengths.constant(
    "body-for-304",
    WHOLE.replace(OK, b"HTTP/1.1 304 Not Modified"),
    _TAKES,
    does="The status 304 with a body and its length.",
    rightly="has no body; what comes behind the head is thrown away with the connection",
    source="RFC 9112 section 6.3, RFC 9110 section 15.4.5",
)
lengths.constant(
    "body-for-head",
    WHOLE,
    _TAKES,
    does="An answer with its body, also where the method is HEAD, which has none.",
    rightly="has no body for HEAD; what comes is thrown away with the connection",
    source="RFC 9112 section 6.3, RFC 9110 section 9.3.2",
)
