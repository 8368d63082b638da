"""What an answer says besides: warnings, for what was asked and is not done."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from twisted.logger import Logger

from loopbackd.http.fields import FieldPairs
from loopbackd.http.messages import Request
from loopbackd.loglines import escape

_log = Logger()

_MOST: Final = 10
_LONGEST: Final = 200
_UNSAFE: Final = re.compile(r"[^ !#-\[\]-~]")


def warn(request: Request, what: str) -> None:
    """Have the answer, and the log, say that something was not done."""
    if request.note is None:
        request.note = []
    request.note.append(what)


def warnOfUnknown(request: Request, what: str, names: Iterable[str]) -> None:
    """Say that these mean nothing, and were ignored as Toxiproxy does."""
    for name in names:
        warn(request, f"{what}: {name[:50]!r} is unknown and was ignored")


def warnings(request: Request) -> FieldPairs:
    """The fields of an answer for its warnings (RFC 7234 section 5.5), which are logged now."""
    said: list[str] = request.note or []
    for one in said[:_MOST]:
        _log.warn(
            "{method} {path}: {warning}.",
            method=request.method,
            path=escape(request.path[:_LONGEST]),
            warning=escape(one),
        )
    if len(said) > _MOST:
        _log.warn("... and {number} more warnings.", number=len(said) - _MOST)
    return [("Warning", f'299 - "{_UNSAFE.sub("?", one)[:_LONGEST]}"') for one in said[:_MOST]]
