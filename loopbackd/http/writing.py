"""From answers to bytes (RFC 9112 sections 4 to 7)."""

from __future__ import annotations

from collections.abc import Callable
from email.utils import formatdate
from typing import Final

from loopbackd.http.fields import FieldPairs, encoded
from loopbackd.http.head import Head
from loopbackd.http.messages import Response, reasonFor

SERVER: Final = b"Server: loopbackd\r\n"
CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"

_statusLines: dict[tuple[int, str | None], bytes] = {}
_MOST_STATUS_LINES: Final = 4096
_LONGEST_KEPT: Final = 128


def statusLine(status: int, reason: str | None) -> bytes:
    """The first line of an answer; without a reason the one that goes with the status."""
    line = _statusLines.get((status, reason))
    if line is None:
        if not 100 <= status <= 999:
            raise ValueError(f"a status has three digits: {status}")
        phrase = encoded(reasonFor(status) if reason is None else reason)
        line = b"HTTP/1.1 %d %b\r\n" % (status, phrase)
        if line.count(b"\n") != 1 or line.count(b"\r") != 1:
            raise ValueError(f"a reason cannot have line ends: {reason!r}")
        if len(_statusLines) < _MOST_STATUS_LINES and len(line) <= _LONGEST_KEPT:
            _statusLines[status, reason] = line
    return line


_lines: dict[tuple[str | bytes, str | bytes], bytes] = {}
_MOST_LINES: Final = 1024
_LONGEST_LINE: Final = 128


def fieldLines(fields: FieldPairs) -> bytes:
    """
    Fields, a line each.

    @raise ValueError: one of them has a line end, and would be more than one.
    """
    lines = b""
    for field in fields:
        lines += _lines.get(field) or _fieldLine(field)
    return lines


def _fieldLine(field: tuple[str | bytes, str | bytes]) -> bytes:
    line = b"%b: %b\r\n" % (encoded(field[0]), encoded(field[1]))
    if line.count(b"\n") != 1 or line.count(b"\r") != 1 or b"\0" in line:
        raise ValueError(f"a field cannot have line ends: {field!r}")
    if len(line) <= _LONGEST_LINE and len(_lines) < _MOST_LINES:
        _lines[field] = line
    return line


class DateLine:
    """The C{Date} field, made anew each second (RFC 9110 section 6.6.1)."""

    __slots__ = ("_line", "_second", "_seconds")

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._second = -1
        self._line = b""

    def __call__(self) -> bytes:
        second = int(self._seconds())
        if second != self._second:
            self._second = second
            self._line = b"Date: %b\r\n" % formatdate(second, usegmt=True).encode()
        return self._line


def hasNoBody(status: int) -> bool:
    """Whether an answer with this status ends with its head (RFC 9110 section 6.4.1)."""
    return status < 200 or status in (204, 304)


def headOf(answer: Response, date: bytes, framing: bytes, connection: bytes) -> bytes:
    """
    The head of an answer.

    @param framing: the field that says how the body is delimited, or nothing.
    @param connection: the C{Connection} field, or nothing.
    @raise ValueError: it would be something else than one head.
    """
    server = SERVER
    if answer.isForeign:
        names = {encoded(name).lower() for name, _ in answer.fields}
        date = b"" if b"date" in names else date
        server = b"" if b"server" in names else server
    return b"".join(
        (
            statusLine(answer.status, answer.reason),
            date,
            server,
            fieldLines(answer.fields),
            framing,
            connection,
            b"\r\n",
        )
    )


def connectionField(head: Head, keep: bool) -> bytes:
    """What an answer says about the connection, if anything (RFC 9112 section 9.3)."""
    if not keep:
        return b"Connection: close\r\n"
    return b"" if head.minor else b"Connection: keep-alive\r\n"


def wholeAnswer(head: Head, answer: Response, date: bytes, keep: bool) -> bytes | None:
    """
    An answer that is there as a whole; L{None} where its body comes in pieces.

    @param head: of the request.
    @raise ValueError: see L{headOf}.
    """
    body = answer.body
    if not isinstance(body, bytes):
        return None
    framing = b""
    if hasNoBody(answer.status):
        body = b""
    else:
        framing = b"Content-Length: %d\r\n" % len(body)
        if head.method == "HEAD":
            body = b""
    return headOf(answer, date, framing, connectionField(head, keep)) + body
