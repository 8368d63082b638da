"""
The server's half of a WebSocket's opening handshake (RFC 6455 sections 4.2 and 9, RFC 7692).

L{negotiate} looks at a request and says how to answer it; it writes nothing.
"""

from __future__ import annotations

import base64
import hashlib
import re
from binascii import Error
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from loopbackd.websocket.deflate import Deflating

Headers = Sequence[tuple[bytes, bytes]]

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_TOKEN: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_IS_TOKEN: Final = re.compile(_TOKEN)
_PARAMETER: Final = re.compile(
    rb"[ \t]*;[ \t]*(" + _TOKEN + rb")(?:[ \t]*=[ \t]*(?:(" + _TOKEN + rb')|"((?:[^"\\]|\\.)*)"))?'
)
_NAME: Final = re.compile(rb"[ \t]*(" + _TOKEN + rb")")
_SEPARATOR: Final = re.compile(rb"[ \t]*(?:,|\Z)")
_BITS: Final = re.compile(rb"8|9|1[0-5]")

Offer = tuple[bytes, list[tuple[bytes, bytes | None]]]


@dataclass(frozen=True)
class Accepted:
    """
    The request becomes a WebSocket.

    @ivar headers: of the answer, whose status is 101.
    @ivar subprotocol: what both speak, if anything was agreed on.
    @ivar deflating: how messages are compressed, if they may be.
    """

    headers: tuple[tuple[bytes, bytes], ...]
    subprotocol: str | None
    deflating: Deflating | None


@dataclass(frozen=True)
class Refused:
    """
    The request does not become a WebSocket.

    @ivar status: of the answer: 400, 405 or 426.
    @ivar reason: one sentence for whoever sent the request.
    @ivar headers: of the answer, beside what the body needs.
    """

    status: int
    reason: str
    headers: tuple[tuple[bytes, bytes], ...] = ()


def negotiate(
    method: bytes,
    version: tuple[int, int],
    headers: Headers,
    *,
    subprotocols: Sequence[str] | None = (),
    compress: bool = True,
) -> Accepted | Refused:
    """
    Decide on a request.

    @param version: of HTTP.
    @param subprotocols: those spoken here, L{None} for any; of those, the one the client names
        first is taken.
    @param compress: whether permessage-deflate is accepted where it is offered.
    """
    wrong = _wrong(method, version, headers)
    if wrong is not None:
        return wrong
    key = _values(headers, b"sec-websocket-key")[0]
    answer = [
        (b"Upgrade", b"websocket"),
        (b"Connection", b"Upgrade"),
        (b"Sec-WebSocket-Accept", acceptKey(key)),
    ]
    try:
        offered = _subprotocols(headers)
        offers = extensionsOffered(headers)
    except ValueError as problem:
        return Refused(400, str(problem))
    chosen = next((name for name in offered if subprotocols is None or name in subprotocols), None)
    if chosen is not None:
        answer.append((b"Sec-WebSocket-Protocol", chosen.encode()))
    deflating = None
    if compress:
        taken = (agreed for offer in offers if (agreed := _agree(offer)) is not None)
        deflating, parameters = next(taken, (None, b""))
        if deflating is not None:
            answer.append((b"Sec-WebSocket-Extensions", parameters))
    return Accepted(tuple(answer), chosen, deflating)


def _wrong(method: bytes, version: tuple[int, int], headers: Headers) -> Refused | None:
    """What a request lacks that is to become a WebSocket (section 4.2.1)."""
    if method != b"GET":
        return Refused(405, "A WebSocket is opened with GET.", ((b"Allow", b"GET"),))
    if version < (1, 1):
        return Refused(400, "A WebSocket is opened with HTTP/1.1.")
    if len(_values(headers, b"host")) != 1:
        return Refused(400, "The request must have one Host header.")
    if b"websocket" not in _listed(headers, b"upgrade"):
        return Refused(400, 'The request must have the header "Upgrade: websocket".')
    if b"upgrade" not in _listed(headers, b"connection"):
        return Refused(400, 'The request must have the header "Connection: Upgrade".')
    if _values(headers, b"transfer-encoding") or _values(headers, b"content-length") not in (
        [],
        [b"0"],
    ):
        return Refused(400, "A request that opens a WebSocket has no body.")
    keys = _values(headers, b"sec-websocket-key")
    if len(keys) != 1 or not _isKey(keys[0]):
        return Refused(400, "Sec-WebSocket-Key must be there once: 16 bytes in base64.")
    versions = _values(headers, b"sec-websocket-version")
    if len(versions) != 1:
        return Refused(400, "The request must have one Sec-WebSocket-Version header.")
    if versions[0] != b"13":
        return Refused(
            426,
            "The only version of WebSocket spoken here is 13.",
            (
                (b"Sec-WebSocket-Version", b"13"),
                (b"Upgrade", b"websocket"),
                (b"Connection", b"Upgrade"),
            ),
        )
    return None


def acceptKey(key: bytes) -> bytes:
    """What the server answers to a client's key (section 4.2.2)."""
    return base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest())


def _isKey(value: bytes) -> bool:
    try:
        return len(value) == 24 and len(base64.b64decode(value, validate=True)) == 16
    except Error:
        return False


def _values(headers: Headers, name: bytes) -> list[bytes]:
    return [value.strip(b" \t") for header, value in headers if header.lower() == name]


def _listed(headers: Headers, name: bytes) -> list[bytes]:
    """The elements of a list in one or more headers, in lower case."""
    values = b",".join(_values(headers, name))
    return [one.strip(b" \t").lower() for one in values.split(b",")]


def _subprotocols(headers: Headers) -> list[str]:
    """
    What the client would speak, its favourite first.

    @raise ValueError: one is not a token, or is there twice (section 4.1).
    """
    values = b",".join(_values(headers, b"sec-websocket-protocol"))
    # An empty element is nothing (RFC 9110 section 5.6.1).
    named = [one for part in values.split(b",") if (one := part.strip(b" \t"))]
    for name in named:
        if not _IS_TOKEN.fullmatch(name):
            raise ValueError(f"A subprotocol is a token, not {name.decode('ascii', 'replace')!r}.")
    if len(set(named)) != len(named):
        raise ValueError("The subprotocols offered must be different ones.")
    return [name.decode("ascii") for name in named]


def extensionsOffered(headers: Headers) -> list[Offer]:
    """
    The extensions a client offers, with their parameters, in order.

    @raise ValueError: the header does not follow the grammar (section 9.1).
    """
    found: list[Offer] = []
    for value in _values(headers, b"sec-websocket-extensions"):
        at = 0
        while at < len(value):
            name = _NAME.match(value, at)
            parameters: list[tuple[bytes, bytes | None]] = []
            at = name.end() if name else at
            while name and (parameter := _PARAMETER.match(value, at)):
                key, plain, quoted = parameter.groups()
                if quoted is not None:
                    plain = re.sub(rb"\\(.)", rb"\1", quoted)
                    if not _IS_TOKEN.fullmatch(plain):
                        raise _bad(value)
                parameters.append((key, plain))
                at = parameter.end()
            separator = _SEPARATOR.match(value, at)
            if separator is None:
                raise _bad(value)
            at = separator.end()
            if name:
                found.append((name[1], parameters))
    return found


def _bad(value: bytes) -> ValueError:
    shown = value[:100].decode("ascii", "replace")
    return ValueError(f"Sec-WebSocket-Extensions does not follow the grammar: {shown!r}.")


def _agree(offer: Offer) -> tuple[Deflating, bytes] | None:
    """
    What to make of one offer of permessage-deflate; L{None} where it must be declined.

    That is when it has a parameter that is unknown, there twice, or has a value it must not have
    (RFC 7692 section 7.1), or asks for a window of 256 bytes, which zlib cannot make.
    """
    name, parameters = offer
    given = dict(parameters)
    if name != b"permessage-deflate" or len(given) != len(parameters):
        return None
    answer = [name]
    bits = 15
    for key, value in given.items():
        if key in (b"server_no_context_takeover", b"client_no_context_takeover"):
            if value is not None:
                return None
            answer.append(key)
        elif key == b"server_max_window_bits":
            if value is None or value == b"8" or not _BITS.fullmatch(value):
                return None
            bits = int(value)
            answer.append(b"%b=%b" % (key, value))
        elif key == b"client_max_window_bits":
            # Whatever window the client has, ours is large enough: nothing to ask for.
            if value is not None and not _BITS.fullmatch(value):
                return None
        else:
            return None
    deflating = Deflating(
        bits=bits,
        forget=b"server_no_context_takeover" in given,
        clientForgets=b"client_no_context_takeover" in given,
    )
    return deflating, b"; ".join(answer)
