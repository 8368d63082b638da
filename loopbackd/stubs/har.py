"""The journal as an HTTP Archive (HAR 1.2), which browsers and proxies read."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from loopbackd.http.fields import Pair
from loopbackd.stubs.asked import Pairs
from loopbackd.stubs.journal import Entry, Kept


def archive(entries: Iterable[Entry], version: str) -> dict[str, Any]:
    """
    An archive of these.

    @param version: ours.
    """
    return {
        "log": {
            "version": "1.2",
            "creator": {"name": "loopbackd", "version": version},
            "entries": [harEntry(entry) for entry in entries],
        }
    }


def isoTime(seconds: float) -> str:
    """A time as ISO 8601 has it, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def harEntry(entry: Entry) -> dict[str, Any]:
    """A request and its answer."""
    started = entry.started
    answered = started if entry.answered is None else entry.answered
    ended = answered if entry.ended is None else entry.ended
    wait, receive = _milliseconds(answered - started), _milliseconds(ended - answered)
    found = {
        "startedDateTime": isoTime(started),
        "time": wait + receive,
        "request": _request(entry),
        "response": _response(entry),
        "cache": {},
        "timings": {"send": 0, "wait": wait, "receive": receive},
    }
    server = getattr(entry.here, "host", None)
    if server is not None:
        found["serverIPAddress"] = server
    if entry.connection is not None:
        found["connection"] = str(entry.connection)
    remark = _remark(entry)
    if remark:
        found["comment"] = remark
    return found


def _milliseconds(seconds: float) -> float:
    return round(max(0.0, seconds) * 1000, 3)


def _remark(entry: Entry) -> str:
    words = []
    if entry.stub is not None:
        words.append(f"answered by stub {entry.stub}")
    if entry.closest is not None:
        words.append(entry.closest)
    if entry.body.isCut:
        words.append(f"{len(entry.body.data)} of {entry.body.size} bytes of the body kept")
    return "; ".join(words)


def _request(entry: Entry) -> dict[str, Any]:
    head, asked = entry.head, entry.asked
    found: dict[str, Any] = {
        "method": head.method,
        "url": entry.url,
        "httpVersion": f"HTTP/1.{head.minor}",
        "cookies": _named(asked.cookies),
        "headers": _headers(head.fields.pairs),
        "queryString": _named(asked.query),
        "headersSize": len(head.raw),
        "bodySize": entry.body.size,
    }
    if entry.body.size:
        text, encoding = _text(entry.body)
        found["postData"] = {
            "mimeType": head.fields.get("content-type") or "",
            "params": [],
            "text": text,
        }
        if encoding:
            # The format has no word for it here, as it has for answers.
            found["postData"]["_encoding"] = encoding
    return found


def _response(entry: Entry) -> dict[str, Any]:
    fields = {name.lower(): value.decode("latin-1") for name, value in entry.fields}
    text, encoding = _text(entry.sent)
    content: dict[str, Any] = {
        "size": entry.sent.size,
        "mimeType": fields.get(b"content-type", ""),
        "text": text,
    }
    if encoding:
        content["encoding"] = encoding
    if entry.sent.isCut:
        content["comment"] = f"{len(entry.sent.data)} bytes of it kept"
    return {
        "status": entry.status,
        "statusText": entry.reason,
        "httpVersion": "HTTP/1.1",
        "cookies": [
            {"name": name.strip(), "value": value}
            for key, line in entry.fields
            if key.lower() == b"set-cookie"
            for name, _, value in [line.decode("latin-1").partition(";")[0].partition("=")]
        ],
        "headers": _headers(entry.fields),
        "content": content,
        "redirectURL": fields.get(b"location", ""),
        "headersSize": -1,
        "bodySize": entry.sent.size,
    }


def _named(pairs: Pairs) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in pairs]


def _headers(pairs: list[Pair]) -> list[dict[str, str]]:
    return [
        {"name": name.decode("latin-1"), "value": value.decode("latin-1")} for name, value in pairs
    ]


def _text(kept: Kept) -> tuple[str, str]:
    """A body as text, and how it was made one where it is none."""
    try:
        return kept.data.decode(), ""
    except UnicodeDecodeError:
        return b64encode(kept.data).decode(), "base64"
