"""
What a body means: forms in their two encodings, and JSON; no I/O.

L{parseForm} is for every dialect; how fields and files are shown is the dialect's.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from loopbackd.http.errors import HTTPError
from loopbackd.http.messages import parseQuery
from loopbackd.protocols.httpbin.multipart import (
    MultipartError,
    Part,
    parseMultipart,
    parseParameters,
)

URLENCODED: Final = "application/x-www-form-urlencoded"
MULTIPART: Final = "multipart/form-data"
OCTETS: Final = "application/octet-stream"

Reader = Callable[[bytes], list[tuple[str, str]]]

_MOST_PARTS: Final = 1000
_MOST_FIELDS: Final = 10_000
_LONGEST_URLENCODED: Final = 1 << 20
_CHARSETS: Final = frozenset(["ascii", "us-ascii", "utf-8", "utf8", "iso-8859-1", "latin-1"])


@dataclass(frozen=True, slots=True)
class File:
    """
    A file in a form.

    @ivar filename: what the client calls it.
    @ivar type: its media type, as the client has it; empty where it says nothing.
    """

    filename: str
    type: str
    content: bytes


@dataclass(slots=True)
class Form:
    """
    What was in a form, in order.

    @ivar isForm: whether the body was a form at all.
    """

    isForm: bool = False
    fields: list[tuple[str, str]] = field(default_factory=list)
    files: list[tuple[str, File]] = field(default_factory=list)


def parseForm(type: str | None, body: bytes, read: Reader = parseQuery) -> Form:
    """
    The form in a body.

    @param type: the value of C{Content-Type}.
    @param read: takes an urlencoded body apart.
    @return: a form without anything where there is no body, or its type is none of a form.
    @raise HTTPError: 400 for what only looks like a form, 413 for too many parts.
    """
    if not type or not body:
        return Form()
    mediaType, options = parseParameters(type)
    if mediaType == URLENCODED:
        if len(body) > _LONGEST_URLENCODED:
            # Each escape takes eighty times its three bytes while it is decoded.
            raise HTTPError(413, f"such a form may have {_LONGEST_URLENCODED} bytes here")
        if body.count(b"&") >= _MOST_FIELDS:
            raise HTTPError(413, f"a form may have {_MOST_FIELDS} fields here")
        return Form(True, read(body))
    if mediaType == MULTIPART:
        boundary = options.get("boundary")
        if not boundary:
            raise HTTPError(400, f"Content-Type: {MULTIPART} lacks its boundary")
        return _parseMultipart(boundary.encode("latin-1"), body)
    return Form()


def _parseMultipart(boundary: bytes, body: bytes) -> Form:
    form = Form(True)
    try:
        for count, part in enumerate(parseMultipart(boundary, body)):
            if count == _MOST_PARTS:
                raise HTTPError(413, f"a form may have {_MOST_PARTS} parts here")
            _enter(form, part)
    except MultipartError as error:
        raise HTTPError(400, f"the {MULTIPART} body cannot be read: {error}") from None
    return form


def _enter(form: Form, part: Part) -> None:
    if part.filename is not None:
        form.files.append((part.name, File(part.filename, part.type, part.content)))
        return
    charset = parseParameters(part.type)[1].get("charset", "").lower()
    text = part.content.decode(charset if charset in _CHARSETS else "utf-8", "replace")
    form.fields.append((part.name, text))


def parseJSON(body: bytes) -> Any:
    """
    The JSON value in a body.

    @return: L{None} for what is none; infinity, NaN and a nesting nobody can follow are none.
    """
    if not body:
        return None
    try:
        return json.loads(body.decode("utf-8"), parse_constant=_refuse, parse_float=finite)
    except (ValueError, RecursionError):
        return None


def _refuse(word: str) -> Any:
    raise ValueError(f"{word} is no JSON (RFC 8259 section 6)")


def finite(digits: str) -> float:
    """
    The number, where there is one.

    @raise ValueError: it is larger than numbers are here; as infinity it would be no JSON.
    """
    number = float(digits)
    if number - number != 0:
        raise ValueError(f"{digits} is too large")
    return number


def shownBytes(content: bytes, type: str = OCTETS) -> str:
    """Text as it is; what is not UTF-8 as a C{data:} URL (RFC 2397) of that media type."""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return f"data:{type};base64,{base64.b64encode(content).decode('ascii')}"
