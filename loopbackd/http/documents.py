"""Answers that are ready before anybody asks: a page's own files, a description of the routes."""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from importlib.resources import files

from loopbackd.http.fields import FieldPairs
from loopbackd.http.messages import Request, Response
from loopbackd.http.validators import matchesWeakly

_TYPES = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}


class Document:
    """
    Bytes under an entity tag: a client that has them already gets 304 (RFC 9110 section 13).

    @param type: their media type.
    """

    def __init__(self, body: bytes, type: str) -> None:
        self.body = body
        self.type = type
        self.tag = f'"{sha256(body).hexdigest()[:24]}"'

    def answer(self, request: Request) -> Response:
        """The bytes, or that they are as they were."""
        fields: FieldPairs = [
            ("ETag", self.tag),
            ("Cache-Control", "no-cache"),
            ("X-Content-Type-Options", "nosniff"),
        ]
        if matchesWeakly(request.fields.get("if-none-match") or "", self.tag):
            return Response(304, fields=fields)
        return Response(200, self.body, self.type, fields)


@cache
def packaged(package: str, directory: str) -> dict[str, Document]:
    """
    The files for browsers (C{.css}, C{.js}, C{.svg}) in a directory of a package, by name.

    Read once: a daemon that became another user may not be able to, at a reload.
    """
    return {
        one.name: Document(one.read_bytes(), _TYPES[ending])
        for one in (files(package) / directory).iterdir()
        if (ending := one.name.rpartition(".")[2]) in _TYPES
    }
