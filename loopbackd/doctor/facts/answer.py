"""
What is answered to one request of HTTP, as far as it is needed to see whether it is answered.

The request is a C{HEAD}: nobody has to make a body for it, and what it does to a server is at most
what the C{GET} does that somebody is about to make. A C{GET} follows where nothing came, for some
servers know no C{HEAD}, and where an error came, for its words; then the same with C{Host:
localhost}, where the name may be what is refused. A C{Range} would change the answer (206, 416).
Of a WebSocket the opening handshake is made.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import Final
from urllib.parse import quote

from OpenSSL import SSL

from loopbackd.doctor.asked import Asked
from loopbackd.doctor.facts.talk import PATIENCE, Talk, TLSTalk, talkTo
from loopbackd.hostport import bracketed, joined
from loopbackd.loglines import reasonOf
from loopbackd.tls.certificates import addressIn

MOST: Final = 16384
"""Bytes of an answer that are looked at."""

_AGENT: Final = "loopbackd-doctor"
_STATUS: Final = re.compile(rb"HTTP/1\.[0-9] ([1-5][0-9][0-9])(?: ([^\r\n]*))?\r?\n")
_HEAD_END: Final = re.compile(rb"\r?\n\r?\n")
_DEFAULTS: Final = {"http": 80, "ws": 80, "https": 443, "wss": 443}
_SOCKETS: Final = frozenset({"ws", "wss"})
_UPGRADE: Final = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "bG9vcGJhY2tkLWRvY3Rvcg==",
}
_REFUSALS: Final = frozenset({400, 403, 404, 421})
"""How a server may refuse a name that it is asked by."""

_FOR_HEAD: Final = 0.35
"""Of the time: after that a server may be one that answers no C{HEAD}."""

_SAYS_ONLY: Final = b"Invalid Host header"
"""All of a body by which webpack's server refuses a name, with status 200 in some versions."""


class Heard(Enum):
    """What came of a request."""

    ANSWER = auto()
    """The head of an answer."""
    OTHER = auto()
    """Something that is no HTTP/1."""
    PART = auto()
    """The beginning of a head, and no more in time."""
    NOTHING = auto()
    """Nothing, in time."""
    CLOSED = auto()
    RESET = auto()
    UNREACHED = auto()
    """There was no connection, or no TLS on it."""


_WORDLESS: Final = frozenset({Heard.NOTHING, Heard.CLOSED, Heard.RESET})


@dataclass(frozen=True, slots=True)
class Answer:
    """
    What one server said to one request.

    @ivar heard: what it was.
    @ivar method: of the request.
    @ivar first: the first of what was said.
    @ivar why: where there was no connection: why.
    @ivar status: of the answer; 0 where there is none.
    @ivar fields: of the answer, their names in lower case; of several the last.
    @ivar body: the beginning of it.
    @ivar asLocalhost: the status where the same is asked with C{Host: localhost}; 0 where it was
        not asked.
    """

    heard: Heard
    method: str = ""
    first: bytes = b""
    why: str = ""
    status: int = 0
    reason: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    seconds: float = 0.0
    asLocalhost: int = 0


def answer(asked: Asked, host: str, seconds: float = PATIENCE) -> Answer:
    """
    Ask, once or twice, and hang up; never raises for what goes wrong.

    @param asked: a URL of HTTP, or of a WebSocket.
    @param host: the IP address to ask.
    @param seconds: how long all of it may take.
    """
    until = time.monotonic() + seconds
    if asked.scheme in _SOCKETS:
        return _ask(asked, host, "GET", hostField(asked), until)
    name = hostField(asked)
    found = _ask(asked, host, "HEAD", name, until - seconds * (1 - _FOR_HEAD))
    isSmall = found.fields.get("content-length") == str(len(_SAYS_ONLY))
    if found.status >= 400 or found.heard in _WORDLESS or isSmall:
        words = _ask(asked, host, "GET", name, until)
        both = found.seconds + words.seconds
        found = words if words.first else replace(found, seconds=both)
    if found.status in _REFUSALS and asked.isName and asked.host != "localhost":
        local = _ask(asked, host, "HEAD", joined("localhost", asked.port), until)
        found = replace(found, asLocalhost=local.status)
    return found


def _ask(asked: Asked, host: str, method: str, name: str, until: float) -> Answer:
    more = _UPGRADE if asked.scheme in _SOCKETS else {"Connection": "close"}
    request = requestBytes(method, asked.path, name, more)
    left = until - time.monotonic()
    if left <= 0:
        return Answer(Heard.NOTHING, method)
    try:
        with talkTo(host, asked.port, left) as talk:
            if not asked.isTLS:
                return exchange(talk, method, request)
            tls = TLSTalk(talk, asked.host, (b"http/1.1",))
            tls.shake()
            return exchange(tls, method, request)
    except SSL.Error as error:
        return Answer(Heard.UNREACHED, method, why=f"no TLS: {error!r:.100}")
    except EOFError:
        return Answer(Heard.UNREACHED, method, why="it closed the connection")
    except (OSError, ValueError) as error:
        return Answer(Heard.UNREACHED, method, why=reasonOf(error))


def requestBytes(method: str, path: str, host: str, fields: Mapping[str, str]) -> bytes:
    """A request without a body; what may not stand in its target is escaped."""
    target = quote(path, safe="/?[]@!$&'()*+,;=:%~")
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", f"User-Agent: {_AGENT}", "Accept: */*"]
    lines += [f"{name}: {value}" for name, value in fields.items()]
    return "".join(f"{line}\r\n" for line in [*lines, ""]).encode("latin-1", "replace")


def hostField(asked: Asked) -> str:
    """What a client of that URL says in C{Host}."""
    host = asked.host
    if addressIn(host) is None and not host.isascii():
        with suppress(UnicodeError):
            host = host.encode("idna").decode("ascii")
    if asked.port == _DEFAULTS.get(asked.scheme):
        return bracketed(host)
    return joined(host, asked.port)


def exchange(talk: Talk | TLSTalk, method: str, request: bytes, most: int = MOST) -> Answer:
    """
    Say a request, and hear the answer to its end, or to C{most} bytes of it.

    Never raises for what the other end does.
    """
    began = time.monotonic()
    said = bytearray()
    heard = Heard.CLOSED
    try:
        talk.say(request)
        while len(said) < most and not _isWhole(bytes(said), method):
            piece = talk.hear()
            if not piece:
                break
            said += piece
    except TimeoutError:
        heard = Heard.NOTHING
    except (OSError, EOFError, SSL.Error):
        heard = Heard.RESET
    return _understood(bytes(said), method, heard, time.monotonic() - began)


def _understood(said: bytes, method: str, heard: Heard, seconds: float) -> Answer:
    head, body = _apart(said)
    first = _STATUS.match(head)
    if first is not None and (body is not None or heard is Heard.CLOSED):
        return Answer(
            Heard.ANSWER,
            method,
            said[:256],
            status=int(first[1]),
            reason=(first[2] or b"").decode("latin-1"),
            fields=_fields(head),
            body=body or b"",
            seconds=seconds,
        )
    if said:
        heard = Heard.PART if b"HTTP/1.".startswith(said[:7]) else Heard.OTHER
    return Answer(heard, method, said[:256], seconds=seconds)


def _apart(said: bytes) -> tuple[bytes, bytes | None]:
    """The head of the final answer, and its body so far; L{None} where the head has no end yet."""
    while True:
        end = _HEAD_END.search(said)
        if end is None:
            return said, None
        head, body = said[: end.end()], said[end.end() :]
        status = _STATUS.match(head)
        if status is None or not 100 <= int(status[1]) < 200 or status[1] == b"101":
            return head, body
        said = body


def _isWhole(said: bytes, method: str) -> bool:
    """Whether nothing more needs to be heard."""
    if len(said) >= 7 and not said.startswith(b"HTTP/1."):
        return True
    head, body = _apart(said)
    if body is None:
        return False
    status = _STATUS.match(head)
    if method == "HEAD" or status is None or status[1] in (b"101", b"204", b"304"):
        return True
    length = _fields(head).get("content-length", "")
    return length.isascii() and length.isdigit() and len(body) >= int(length[:18])


def _fields(head: bytes) -> dict[str, str]:
    found = {}
    for line in head.split(b"\n")[1:]:
        name, colon, value = line.partition(b":")
        if colon:
            found[name.strip().lower().decode("latin-1")] = value.strip().decode("latin-1")
    return found
