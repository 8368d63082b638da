"""
C{multipart/form-data} (RFC 7578) taken apart, once all of it is there.

More is understood than is allowed, for clients write more: lines may end with LF alone, and
names of files be written in any of the three ways there have been.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote_to_bytes

_PARAMETER: Final = re.compile(
    r';[ \t]*([^\s=;"]+)[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^;]*))', re.S
)
_FIELD: Final = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]++)[ \t]*+:([^\r\n]*)(?:\r\n?|\n)")
_EMPTY: Final = re.compile(rb"\r\n?|\n")
_DELIMITER: Final = re.compile(rb"(--)?[ \t]*(?:\r\n|\n|\r|\Z)")
_EXTENDED: Final = re.compile(r"([^']*)'[^']*'(.*)", re.S)
_LONGEST_BOUNDARY: Final = 70
_MOST_MISSES: Final = 100
_MOST_FIELDS: Final = 16
_LONGEST_FIELD: Final = 8192


class MultipartError(ValueError):
    """That is no such body; the text says why."""


@dataclass(frozen=True, slots=True)
class Part:
    """
    One part.

    @ivar filename: L{None} for what is no file.
    @ivar type: its C{Content-Type}; empty without one.
    """

    name: str
    filename: str | None
    type: str
    content: bytes


def parseParameters(value: str) -> tuple[str, dict[str, str]]:
    """
    A value with parameters, C{text/plain; charset=x} for one: in lower case, and they by name.

    Escapes of quoted values are left as they are.
    """
    word, semicolon, _ = value.partition(";")
    found: dict[str, str] = {}
    if semicolon:
        for match in _PARAMETER.finditer(value, len(word)):
            held = match[3].strip() if match[2] is None else match[2]
            found.setdefault(match[1].lower(), held)
    return word.strip().lower(), found


def parseMultipart(boundary: bytes, body: bytes) -> Iterator[Part]:
    """
    The parts, in order.

    @raise MultipartError: it is malformed, or not whole.
    """
    if len(boundary) > _LONGEST_BOUNDARY:
        # RFC 2046 section 5.1.1.  It is compared at many places.
        raise MultipartError(f"its boundary has more than {_LONGEST_BOUNDARY} characters")
    at, isLast = _delimiter(boundary, body, 0)[1:]
    while not isLast:
        fields, at = _fields(body, at)
        end, after, isLast = _delimiter(boundary, body, at)
        yield _part(fields, body[at:end])
        at = after


def _delimiter(boundary: bytes, body: bytes, at: int) -> tuple[int, int, bool]:
    """
    The next delimiter: where the content before it ends, where that behind it begins, and whether
    it is the last.
    """
    line = b"--" + boundary
    start, misses = at, 0
    while (found := body.find(line, at)) >= 0:
        at = found + 1
        match = _DELIMITER.match(body, found + len(line))
        if match is None or (found and body[found - 1] not in b"\r\n"):
            misses += 1
            if misses > _MOST_MISSES:
                raise MultipartError("its boundary is all over what it bounds")
            continue
        end = found
        if end > start:
            end -= 2 if body.endswith(b"\r\n", start, end) else 1
        return end, match.end(), match[1] is not None
    raise MultipartError("its last boundary is missing" if start else "its boundary is not in it")


def _fields(body: bytes, at: int) -> tuple[dict[bytes, bytes], int]:
    """The fields at the beginning of a part, and where they end."""
    found: dict[bytes, bytes] = {}
    count = 0
    while (empty := _EMPTY.match(body, at)) is None:
        match = _FIELD.match(body, at)
        if match is None:
            raise MultipartError(f"no field begins with {body[at : at + 20]!r}")
        count += 1
        if count > _MOST_FIELDS:
            raise MultipartError(f"a part has more than {_MOST_FIELDS} fields")
        if len(match[2]) > _LONGEST_FIELD:
            raise MultipartError(f"a field has more than {_LONGEST_FIELD} bytes")
        found[match[1].lower()] = match[2].strip(b" \t")
        at = match.end()
    return found, empty.end()


def _part(fields: dict[bytes, bytes], content: bytes) -> Part:
    disposition = fields.get(b"content-disposition", b"").decode("utf-8", "replace")
    word, parameters = parseParameters(disposition)
    if word != "form-data" or "name" not in parameters:
        raise MultipartError('a part lacks Content-Disposition: form-data; name="…"')
    filename = parameters.get("filename")
    if filename is None:
        filename = _extended(parameters.get("filename*", ""))
    else:
        filename = _unescaped(filename)
    type = fields.get(b"content-type", b"").decode("utf-8", "replace")
    return Part(_unescaped(parameters["name"]), filename, type, content)


def _unescaped(text: str) -> str:
    """As browsers escape (HTML standard, "multipart/form-data"), or as mail does."""
    if '\\"' in text:
        text = re.sub(r'\\(["\\])', r"\1", text)
    for escape, meant in (("%22", '"'), ("%0D", "\r"), ("%0A", "\n")):
        text = text.replace(escape, meant)
    return text


def _extended(text: str) -> str | None:
    """C{filename*} (RFC 8187), which some clients send although RFC 7578 says they must not."""
    match = _EXTENDED.fullmatch(text)
    if match is None or match[1].lower() not in ("utf-8", "iso-8859-1"):
        return None
    return unquote_to_bytes(match[2]).decode(match[1], "replace")
