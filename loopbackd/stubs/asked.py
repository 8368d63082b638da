"""A request as stubs and the journal look at it: values, and no connection."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import unquote_to_bytes

import msgspec

from loopbackd.http.errors import HTTPError
from loopbackd.http.fields import Fields
from loopbackd.http.messages import Request, parseQuery

Pairs = list[tuple[str, str]]

NOT_JSON: Final = object()
"""What L{Asked.json} is where the body is none."""

MOST_FIELDS: Final = 10_000
"""Fields of a form that are taken apart, which keeps everybody else waiting."""

MOST_VALUES: Final = 200_000
"""Objects and lists in JSON that are taken apart, five times as many other values."""


class Asked:
    """
    What was asked.

    What is taken apart is taken apart once, however many stubs look at it.

    @ivar rawPath: the path as it came, with its percent-escapes.
    @ivar body: what is known of the body; none before it was read.
    """

    __slots__ = (
        "_body",
        "_cookies",
        "_form",
        "_json",
        "_query",
        "fields",
        "method",
        "rawPath",
        "rawQuery",
    )

    def __init__(
        self, method: str, rawPath: bytes, rawQuery: bytes, fields: Fields, body: bytes = b""
    ) -> None:
        self.method = method
        self.rawPath = rawPath
        self.rawQuery = rawQuery
        self.fields = fields
        self._query: Pairs | None = None
        self._cookies: Pairs | None = None
        self.body = body

    @classmethod
    def of(cls, request: Request) -> Asked:
        """A request's head; its body may come later."""
        return cls(request.method, request.rawPath, request.rawQuery, request.fields, request.body)

    @property
    def body(self) -> bytes:
        """What is known of the body; none before it was read."""
        return self._body

    @body.setter
    def body(self, body: bytes) -> None:
        self._body = body
        self._json: Any = msgspec.UNSET
        self._form: Pairs | None = None

    @property
    def path(self) -> str:
        """The path, its percent-escapes decoded."""
        return unquote_to_bytes(self.rawPath).decode("utf-8", "replace")

    @property
    def query(self) -> Pairs:
        """Names and values of the query, in order."""
        if self._query is None:
            self._query = parseQuery(self.rawQuery)
        return self._query

    @property
    def cookies(self) -> Pairs:
        """Names and values of the cookies (RFC 6265 section 5.4), in order."""
        if self._cookies is None:
            self._cookies = []
            for line in self.fields.getAll("cookie"):
                for part in line.split(";"):
                    name, equals, value = part.strip(" \t").partition("=")
                    if equals:
                        self._cookies.append((name, value))
        return self._cookies

    @property
    def form(self) -> Pairs:
        """
        The fields of the body, where it is C{application/x-www-form-urlencoded}.

        @raise HTTPError: 413; they are too many.
        """
        if self._form is None:
            kind = (self.fields.get("content-type") or "").partition(";")[0].strip().lower()
            isForm = kind == "application/x-www-form-urlencoded"
            if isForm and self._body.count(b"&") >= MOST_FIELDS:
                raise HTTPError(413, f"a form may have {MOST_FIELDS} fields here")
            self._form = parseQuery(self._body) if isForm else []
        return self._form

    @property
    def text(self) -> str:
        """The body as UTF-8; what is not is replaced."""
        return self._body.decode("utf-8", "replace")

    @property
    def json(self) -> Any:
        """
        The body as JSON, or L{NOT_JSON}; whatever its type is said to be.

        @raise HTTPError: 413; it has too many values.
        """
        if self._json is msgspec.UNSET:
            body = self._body
            # No more than this many: a bracket or comma in a text counts, too.
            values = 5 * (body.count(b"{") + body.count(b"[")) + body.count(b",")
            if values > 5 * MOST_VALUES and body.lstrip()[:1] in (b"{", b"["):
                raise HTTPError(413, f"JSON may have {MOST_VALUES} objects and lists here")
            try:
                self._json = msgspec.json.decode(self._body)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                self._json = NOT_JSON
        return self._json
