"""
A right answer and its parts, for others to break.

It has no C{Date}: its bytes are the same every time.  Pages of any origin may read it.
"""

from __future__ import annotations

from typing import Final

OK: Final = b"HTTP/1.1 200 OK"

FIELDS: Final = (
    b"Content-Type: text/plain; charset=utf-8\r\n"
    b"Access-Control-Allow-Origin: *\r\n"
    b"Connection: close\r\n"
)

BODY: Final = b"This is the whole answer.\n"
HALF: Final = BODY[: len(BODY) // 2]


def head(*fields: bytes, line: bytes = OK) -> bytes:
    """A head with these field lines behind the usual ones."""
    return line + b"\r\n" + FIELDS + b"".join(field + b"\r\n" for field in fields) + b"\r\n"


def sized(body: bytes, *fields: bytes, line: bytes = OK) -> bytes:
    """An answer whose length is said."""
    return head(b"Content-Length: %d" % len(body), *fields, line=line) + body


def chunked(*parts: bytes) -> bytes:
    """An answer in chunks; they are sent as they are given."""
    return head(b"Transfer-Encoding: chunked") + b"".join(parts)


def chunk(data: bytes) -> bytes:
    """A right chunk."""
    return b"%x\r\n%b\r\n" % (len(data), data)


LAST: Final = b"0\r\n\r\n"
WHOLE: Final = sized(BODY)


def lengthy(size: int) -> bytes:
    """The beginning of an answer of 64 KiB."""
    body = (b"0123456789abcde\n" * 4096)[: max(0, size)]
    return (head(b"Content-Length: 65536") + body)[:size]
