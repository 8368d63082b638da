"""
The head of a request: what it asks for, and where its body ends (RFC 9112 sections 3 to 7).

L{parseHead} refuses whatever two recipients could read in two ways.  The fields are taken apart by
llhttp; what it does not check is checked here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

import httptools

from loopbackd.http.errors import HTTPError
from loopbackd.http.fields import Fields, Pair

_LINE: Final = re.compile(
    rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([\x21-\x7e\x80-\xff]+) HTTP/([0-9])\.([0-9])\r\n"
)
_HOST: Final = re.compile(rb"(?:[A-Za-z0-9\-._~!$&'()*+,;=%]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?")
_ABSOLUTE: Final = re.compile(rb"[Hh][Tt][Tt][Pp][Ss]?://([^/?#@]*)([/?].*)?")
_LENGTH: Final = re.compile(rb"[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class Limits:
    """
    How much of a request is taken.

    @ivar head: bytes of a head, its empty line included, and of all trailers.
    @ivar line: bytes of a request line, and of the line before a chunk.
    @ivar fields: how many field lines.
    """

    head: int = 65536
    line: int = 16384
    fields: int = 256


class Head:
    """
    A request's head.

    @ivar raw: exactly as it came, the empty line included.
    @ivar target: as it came.
    @ivar minor: the second number of the version: 0 or 1.
    @ivar host: what the client calls us; empty where it does not say.
    @ivar path: of the target, still with its percent-escapes; C{b"*"} for the server as a whole.
    @ivar query: what is behind the question mark.
    @ivar length: bytes of the body; L{None} where it comes in chunks.
    @ivar keepAlive: whether the connection may go on after the answer.
    @ivar expectsContinue: the client waits for C{100 Continue} before it sends the body.
    """

    __slots__ = (
        "expectsContinue",
        "fields",
        "host",
        "keepAlive",
        "length",
        "method",
        "minor",
        "path",
        "query",
        "raw",
        "target",
    )

    fields: Fields
    host: bytes
    keepAlive: bool
    length: int | None
    path: bytes
    query: bytes

    def __init__(self, raw: bytes, method: str, target: bytes, minor: int) -> None:
        self.raw = raw
        self.method = method
        self.target = target
        self.minor = minor
        self.expectsContinue = False

    @property
    def hasBody(self) -> bool:
        """Whether anything comes behind the head."""
        return self.length != 0


class _Collector:
    """What llhttp tells us."""

    __slots__ = ("pairs",)

    def __init__(self) -> None:
        self.pairs: list[Pair] = []

    def on_header(self, name: bytes, value: bytes) -> None:
        self.pairs.append((name, value.rstrip(b" \t")))


def parseHead(raw: bytes, limits: Limits) -> Head:
    """
    Take a head apart.

    @param raw: from the method to the empty line.
    @raise HTTPError: 400, 414, 417, 431, 501 or 505; where the next request begins is unknown then.
    """
    line = _LINE.match(raw)
    if line is None:
        raise HTTPError(400, _whyNoLine(raw))
    if line.end() > limits.line:
        raise HTTPError(414, f"a request line may have {limits.line} bytes here")
    method, target, major, minor = line.groups()
    if major != b"1":
        raise HTTPError(505, f"HTTP/{major.decode()}.{minor.decode()}; write HTTP/1.1")
    head = Head(raw, method.decode("ascii"), target, 0 if minor == b"0" else 1)
    pairs = _fields(raw, line.end(), method)
    if len(pairs) > limits.fields:
        raise HTTPError(431, f"a request may have {limits.fields} header lines here")
    head.fields = Fields(pairs)
    _locate(head)
    _frame(head)
    return head


def _whyNoLine(raw: bytes) -> str:
    line = raw.partition(b"\r\n")[0]
    if b"\n" in line or b"\r" in line:
        return "lines of a head end with CR LF, and neither stands alone"
    words = line.split(b" ")
    if len(words) != 3 or b"" in words:
        return "a request line is: method, one space, target, one space, HTTP/1.1"
    if not words[2].startswith(b"HTTP/"):
        return "a request line ends with HTTP/1.1"
    return "the request line has characters that may not stand there"


def _fields(raw: bytes, at: int, method: bytes) -> list[Pair]:
    """The field lines of a head whose request line ends at C{at}."""
    collector = _Collector()
    # llhttp knows a list of methods and versions; ours is any token, and any HTTP/1.
    data = b"GET / HTTP/1.1\r\n" + raw[at:]
    try:
        httptools.HttpRequestParser(collector).feed_data(data)
    except httptools.HttpParserUpgrade:
        pass
    except httptools.HttpParserError as error:
        fields = Fields(collector.pairs)
        if "transfer-encoding" in fields and "content-length" not in fields:
            _refuseCoding(fields.combined[b"transfer-encoding"])
        raise HTTPError(400, f"the head cannot be read: {error}") from None
    return collector.pairs


def _locate(head: Head) -> None:
    """Who is asked for what (RFC 9112 section 3.2)."""
    fields, target = head.fields, head.target
    host = fields.combined.get(b"host")
    if host is None:
        if head.minor:
            raise HTTPError(400, "there is no Host field (RFC 9112 section 3.2)")
        host = b""
    elif fields.hasRepeats and len(fields.getAll("host")) > 1:
        raise HTTPError(400, "there is more than one Host field")
    elif _HOST.fullmatch(host) is None:
        raise HTTPError(400, "Host is a name or an address, and perhaps a port")
    if target[0] == 0x2F:
        path = target
    elif target == b"*":
        if head.method != "OPTIONS":
            raise HTTPError(400, "the target * goes with OPTIONS only")
        path = target
    elif head.method == "CONNECT":
        raise HTTPError(501, "this is no proxy: it does not CONNECT")
    else:
        absolute = _ABSOLUTE.fullmatch(target)
        if absolute is None or _HOST.fullmatch(absolute[1]) is None or not absolute[1]:
            raise HTTPError(400, "a target begins with / or with http://host")
        host, path = absolute[1], absolute[2] or b"/"
        if path[0] != 0x2F:
            path = b"/" + path
    if b"#" in path or not path.isascii():
        raise HTTPError(400, "a target is ASCII without #; percent-encode the rest")
    head.host = host
    head.path, _, head.query = path.partition(b"?")


def _frame(head: Head) -> None:
    """Where the body ends, and what comes after it (RFC 9112 sections 6.3 and 9.3)."""
    combined = head.fields.combined
    coding, length = combined.get(b"transfer-encoding"), combined.get(b"content-length")
    if coding is not None:
        if length is not None:
            raise HTTPError(400, "Content-Length and Transfer-Encoding contradict each other")
        if not head.minor:
            raise HTTPError(400, "HTTP/1.0 has no Transfer-Encoding")
        _refuseCoding(coding)
        head.length = None
    elif length is not None:
        if _LENGTH.fullmatch(length) is None:
            raise HTTPError(400, "Content-Length is one number")
        head.length = int(length)
    else:
        head.length = 0
    options = combined.get(b"connection")
    if options is None:
        head.keepAlive = head.minor == 1
    else:
        named = [option.strip(b" \t") for option in options.lower().split(b",")]
        head.keepAlive = b"close" not in named and (head.minor == 1 or b"keep-alive" in named)
    expected = combined.get(b"expect")
    if expected is not None and head.minor:
        if expected.lower() != b"100-continue":
            raise HTTPError(417, "the only expectation there is, is 100-continue")
        head.expectsContinue = head.hasBody


def _refuseCoding(coding: bytes) -> None:
    if coding.lower() != b"chunked":
        shown = coding[:60].decode("latin-1")
        raise HTTPError(501, f"Transfer-Encoding: {shown!r} is not taken; send chunked alone")
