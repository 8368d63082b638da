"""Answers to which the client says what is in them: body, type, reason, header fields."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from loopbackd.http.errors import HTTPError
from loopbackd.http.fields import VALUE, encoded, isField
from loopbackd.http.messages import Response
from loopbackd.http.writing import hasNoBody
from loopbackd.protocols.httpbin.dialect import SANDBOX, TEXT, isHarmless

MOST_FIELDS: Final = 100

_OURS: Final = frozenset({"content-length", "transfer-encoding", "connection", "date", "server"})
_TYPE: Final = re.compile(r"[^/\s;]+/[^/\s;]+(\s*;.*)?")


def adjusted(
    answer: Response,
    *,
    body: str | None = None,
    type: str | None = None,
    reason: str | None = None,
    headers: Iterable[str] = (),
) -> Response:
    """
    Change an answer as the client wants it; what it does not speak of stays.

    A page that the client wrote gets L{SANDBOX}: its scripts could read here what the page of
    another origin that had a browser ask for it must not see.

    @param headers: lines like C{Name: value}; one takes the place of what the answer has by that
        name, and the same name again is added.
    @raise HTTPError: 400; that cannot be sent, or would be a broken answer.
    """
    pairs = [_pair(line) for line in headers]
    if len(pairs) > MOST_FIELDS:
        raise HTTPError(400, f"no more than {MOST_FIELDS} header fields at a time")
    if body is not None:
        if hasNoBody(answer.status):
            detail = f"an answer with {answer.status} has no body; see /broken for those that do"
            raise HTTPError(400, detail)
        answer.body = body.encode("utf-8", "surrogatepass")
        pairs = [("Content-Type", TEXT), *pairs] if not _names(pairs, "content-type") else pairs
    if type is not None:
        if not _TYPE.fullmatch(type) or not isField("Content-Type", type):
            raise HTTPError(400, f"type = {type[:60]!r}: write a media type like text/plain")
        pairs = [pair for pair in pairs if pair[0].lower() != "content-type"]
        pairs.append(("Content-Type", type))
    if reason is not None:
        if not VALUE.fullmatch(encoded(reason)):
            raise HTTPError(400, "reason has what no reason can have: line ends, for one")
        answer.reason = reason
    chosen = {name.lower() for name, _ in pairs}
    kept = [pair for pair in answer.fields if _name(pair[0]) not in chosen]
    answer.fields = [*kept, *pairs]
    if not isHarmless(value for name, value in pairs if name.lower() == "content-type"):
        answer.fields.append(SANDBOX)
    return answer


def _pair(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    value = value.strip(" \t")
    if not colon or not isField(name, value):
        raise HTTPError(400, f"header = {line[:60]!r}: write Name: value")
    if name.lower() in _OURS:
        raise HTTPError(
            400, f"{name} is the server's to say; /broken has answers that say it wrong"
        )
    return name, value


def _names(pairs: Iterable[tuple[str, str]], name: str) -> bool:
    return any(one.lower() == name for one, _ in pairs)


def _name(name: str | bytes) -> str:
    return encoded(name).decode("latin-1").lower()
