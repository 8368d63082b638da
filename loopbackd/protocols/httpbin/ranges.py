"""Part of an answer (RFC 9110 section 14)."""

from __future__ import annotations

import re
from functools import partial
from typing import Final

from loopbackd.http.fields import FieldPairs
from loopbackd.http.messages import Request, Response
from loopbackd.http.routes import Routes
from loopbackd.protocols.httpbin.dialect import TEXT
from loopbackd.protocols.httpbin.forms import OCTETS
from loopbackd.protocols.httpbin.timing import Seconds, paced

_MOST: Final = 100 << 10
_CHUNK: Final = 10 << 10
_RANGE: Final = re.compile(r"bytes[ \t]*=[ \t]*([0-9]{0,18})-([0-9]{0,18})[ \t]*", re.I)
_LETTERS: Final = b"abcdefghijklmnopqrstuvwxyz"

routes = Routes("ranges")


def parseRange(value: str | None, size: int) -> tuple[int, int] | None:
    """
    The first and the last place that are asked for.

    @param value: of C{Range}; several ranges, or what is none, ask for all.
    @param size: how many places there are.
    @return: L{None} if there are no such places.  As in httpbin, and unlike RFC 9110, an end that
        is too far is such a case.
    """
    match = _RANGE.fullmatch(value or "")
    if match is None or not (match[1] or match[2]):
        return 0, size - 1
    if not match[1]:
        first, last = max(0, size - int(match[2])), size - 1
    else:
        first, last = int(match[1]), int(match[2]) if match[2] else size - 1
    return (first, last) if first <= last < size else None


def letters(start: int, end: int) -> bytes:
    """The alphabet over and over, from one place up to another."""
    offset = start % 26
    count = end - start
    return (_LETTERS * ((offset + count) // 26 + 1))[offset : offset + count]


@routes.add(
    "/range/{n}",
    group="dynamic data",
    example="/range/26",
    answers={
        206: "the range that was asked for",
        400: "a number that is none, or out of bounds",
        404: "n is not from 1 to 102400",
        416: "there is no such range",
    },
    produces=[OCTETS],
    reads={"Range": "bytes=a-b, bytes=a- or bytes=-k", "If-Range": "the tag that a range is of"},
    anyCase=True,
    slow=True,
)
def ranges(
    request: Request, n: int, *, chunk_size: int = _CHUNK, duration: Seconds = 0.0
) -> Response:
    """The alphabet over and over, n letters, or a range of them, over C{duration} seconds."""
    # Without quotes, and with the range of all, as clients of httpbin expect them.
    tag = f"range{n}"
    fields: FieldPairs = [("ETag", tag), ("Accept-Ranges", "bytes")]
    if not 0 < n <= _MOST:
        detail = f"number of bytes must be in the range (0, {_MOST}]"
        return Response(404, detail.encode(), TEXT, fields)
    condition = request.fields.get("if-range")
    isCurrent = condition is None or condition.strip('" \t') == tag
    found = parseRange(request.fields.get("range") if isCurrent else None, n)
    if found is None:
        return Response(416, b"", TEXT, [*fields, ("Content-Range", f"bytes */{n}")])
    first, last = found
    fields.append(("Content-Range", f"bytes {first}-{last}/{n}"))
    size, step = last + 1 - first, max(1, chunk_size)
    status = 200 if size == n else 206
    if not duration:
        return Response(status, letters(first, last + 1), OCTETS, fields)
    pause = duration / n * step
    body = paced(request, size, step, pause, partial(_lettersFrom, first))
    return Response(status, body, OCTETS, fields, length=size)


def _lettersFrom(first: int, start: int, end: int) -> bytes:
    return letters(first + start, first + end)
