"""Whether what a client has is still what there is: entity tags and dates (RFC 9110 section 13)."""

from __future__ import annotations

import re
from email.utils import formatdate, parsedate_to_datetime

from loopbackd.http.messages import Request

_TAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')


def entityTags(value: str) -> list[str]:
    """
    The entity tags of a list, quotes and C{W/} included (section 8.8.3).

    What cannot be read, and all behind it, is left out; C{*} is one where it stands alone.
    """
    value = value.strip(" \t")
    if value == "*":
        return ["*"]
    tags: list[str] = []
    at = 0
    while True:
        while at < len(value) and value[at] in " \t,":
            at += 1
        found = _TAG.match(value, at)
        if found is None:
            return tags
        tags.append(found[0])
        at = found.end()


def matchesWeakly(value: str, tag: str) -> bool:
    """Whether a list has that tag, strong or weak (section 8.8.3.2); for C{If-None-Match}."""
    mine = tag.removeprefix("W/")
    return any(one == "*" or one.removeprefix("W/") == mine for one in entityTags(value))


def matchesStrongly(value: str, tag: str) -> bool:
    """Whether a list has that tag, and both are strong; for C{If-Match} and C{If-Range}."""
    tags = entityTags(value)
    return tags == ["*"] or (tag.startswith('"') and tag in tags)


def httpDate(seconds: float) -> str:
    """A time as fields have it (section 5.6.7)."""
    return formatdate(int(seconds), usegmt=True)


def parseDate(value: str) -> int | None:
    """The seconds of a date in a field; L{None} where it is none."""
    try:
        return int(parsedate_to_datetime(value).timestamp())
    except (ValueError, TypeError, OverflowError):
        return None


def precondition(request: Request, tag: str, modified: float | None) -> int | None:
    """
    What becomes of a request with conditions (section 13.2.2).

    @param tag: the entity tag of what there is, as in C{ETag}.
    @param modified: when it last changed, in seconds since 1970.
    @return: 304 or 412 in place of the answer; L{None} where it is to be answered.
    """
    fields = request.fields
    isRead = request.method in ("GET", "HEAD")
    must = fields.get("if-match")
    if must is not None:
        if not matchesStrongly(must, tag):
            return 412
    elif modified is not None and _isBefore(fields.get("if-unmodified-since"), modified):
        return 412
    mustNot = fields.get("if-none-match")
    if mustNot is not None:
        if matchesWeakly(mustNot, tag):
            return 304 if isRead else 412
    elif isRead and modified is not None:
        known = parseDate(fields.get("if-modified-since") or "")
        if known is not None and int(modified) <= known:
            return 304
    return None


def wantsPart(request: Request, tag: str, modified: float | None) -> bool:
    """Whether C{Range} counts: there is no C{If-Range}, or it fits (section 13.1.5)."""
    value = request.fields.get("if-range")
    if value is None:
        return True
    if value.startswith(('"', "W/")):
        return matchesStrongly(value, tag)
    return modified is not None and parseDate(value) == int(modified)


def _isBefore(value: str | None, modified: float) -> bool:
    known = parseDate(value or "")
    return known is not None and known < int(modified)
