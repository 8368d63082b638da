"""What a body means to go-httpbin, by its media type alone; no I/O."""

from __future__ import annotations

import base64
import json
import re
from typing import Any, Final

from loopbackd.http.errors import HTTPError
from loopbackd.http.messages import parseQuery
from loopbackd.protocols.httpbin.forms import MULTIPART, OCTETS, URLENCODED, finite, parseForm
from loopbackd.protocols.httpbin.go.dialect import listed

_TEXTS: Final = frozenset(["text/html", "text/plain"])
_BROKEN: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})|;")
_SPACE: Final = " \t\r\n"


def shownBody(type: str | None, body: bytes) -> dict[str, Any]:
    """
    What is shown of a body: C{data}, C{files}, C{form} and C{json}, in this order.

    @param type: the value of C{Content-Type}.
    @raise HTTPError: 400; it is not what its type says.
    """
    shown: dict[str, Any] = {"data": "", "files": {}, "form": {}, "json": None}
    if not body:
        return shown
    shown["data"] = body.decode("utf-8", "replace")
    mediaType = (type or "").partition(";")[0].strip()
    match mediaType.lower():
        case "application/json":
            shown["json"] = parseJSON(shown["data"])
        case kind if kind in (URLENCODED, MULTIPART):
            form = parseForm(type, body, _readStrictly)
            shown["form"] = listed(form.fields)
            shown["files"] = listed(
                [(name, file.content.decode("utf-8", "replace")) for name, file in form.files]
            )
        case kind if kind not in _TEXTS:
            encoded = base64.urlsafe_b64encode(body).decode("ascii")
            shown["data"] = f"data:{mediaType or OCTETS};base64,{encoded}"
    return shown


def parseJSON(text: str) -> Any:
    """
    The JSON value that a text begins with; what is behind it is not looked at.

    @raise HTTPError: 400; there is none.
    """
    decoder = json.JSONDecoder(parse_constant=_refuse, parse_float=finite)
    try:
        return decoder.raw_decode(text.lstrip(_SPACE))[0]
    except (ValueError, RecursionError) as error:
        why = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise HTTPError(400, f"error parsing request body: no JSON: {why[:200]}") from None


def _refuse(word: str) -> Any:
    raise ValueError(f"{word} is no number")


def _readStrictly(text: bytes) -> list[tuple[str, str]]:
    """An urlencoded form, of which every escape must be one, and without semicolons."""
    broken = _BROKEN.search(text)
    if broken is not None:
        shown = text[broken.start() : broken.start() + 3].decode("latin-1")
        raise HTTPError(400, f"error parsing request body: {shown!r} cannot stand in a form")
    return parseQuery(text)
