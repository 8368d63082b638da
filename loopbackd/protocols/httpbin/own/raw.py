"""The request exactly as it came: order and case, spaces, chunks and trailers."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any, Final, Literal

from loopbackd.http.endpoints import Takes
from loopbackd.http.errors import HTTPError
from loopbackd.http.fields import Fields
from loopbackd.http.messages import Request, Response
from loopbackd.http.negotiation import chooseType
from loopbackd.http.routes import Routes
from loopbackd.protocols.httpbin.dialect import JSON, TEXT, answerJSON

Form = Literal["json", "text", "hex"]
_MESSAGE: Final = "message/http"
_OFFERED: Final = (JSON, "text/plain", _MESSAGE)
_AT_ONCE: Final = 512

routes = Routes("requests, byte by byte")


@routes.add(
    "/raw",
    methods=["*"],
    takes=Takes.EXACT,
    group="inspection",
    example="/raw?format=text",
    answers={406: "Accept names neither JSON nor text nor message/http"},
    produces=[JSON, TEXT, _MESSAGE],
    reads={"Accept": "which form the answer has, where the query names no format"},
    unruly="it takes any method at all",
)
def raw(request: Request, *, format: Form | None = None) -> Response:
    """
    The request exactly as it came, as JSON, text or a hexadecimal dump.

    As text it is the very bytes; a body in chunks is there with its chunk sizes.  In JSON, what is
    not UTF-8 stands as C{{"base64": …}}.
    """
    return _answer(request, format)


@routes.add(
    "/raw/{rest...}",
    methods=["*"],
    takes=Takes.EXACT,
    group="inspection",
    example="/raw/any/path",
    answers={406: "Accept names neither JSON nor text nor message/http"},
    produces=[JSON, TEXT, _MESSAGE],
    reads={"Accept": "which form the answer has, where the query names no format"},
    unruly="it takes any method at all",
)
def rawBelow(request: Request, rest: str, *, format: Form | None = None) -> Response:
    """The request exactly as it came, whatever its path."""
    return _answer(request, format)


def _answer(request: Request, format: Form | None) -> Response:
    type = JSON
    if format is None:
        accept = request.fields.get("accept")
        chosen = chooseType(accept, _OFFERED)
        if chosen is None:
            raise HTTPError(406, f"this can be had as {', '.join(_OFFERED)}", [("Vary", "Accept")])
        format, type = ("json" if chosen == JSON else "text"), chosen
    message = request.head.raw + request.rawBody
    if format == "json":
        answer = answerJSON(shownRequest(request))
    elif format == "hex":
        answer = Response(200, dumped(message), TEXT)
    else:
        answer = Response(200, message, _MESSAGE if type == _MESSAGE else TEXT)
    # What a client sent is not for browsers to guess at.
    answer.fields += [("Vary", "Accept"), ("X-Content-Type-Options", "nosniff")]
    return answer


def shownRequest(request: Request) -> dict[str, Any]:
    """All of a request as data from which its bytes can be had again."""
    head = request.head
    isChunked = head.length is None
    if isChunked:
        framing = "chunked"
    elif "content-length" in request.fields:
        framing = "content-length"
    else:
        framing = "none"
    return {
        "request_line": shown(head.raw.partition(b"\r\n")[0]),
        "headers": shownPairs(request.fields),
        "head": shown(head.raw),
        "framing": framing,
        "body": shown(request.body),
        "body_bytes": len(request.body),
        "body_as_it_came": shown(request.rawBody),
        "trailers": shownPairs(request.trailers) if request.trailers is not None else [],
    }


def shownPairs(fields: Fields) -> list[list[Any]]:
    """Fields in order and case."""
    return [[shown(name), shown(value)] for name, value in fields.pairs]


def shown(data: bytes) -> str | dict[str, str]:
    """Bytes as JSON can have them: as text, or else in base64; none of them is lost."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode("ascii")}


def dumped(data: bytes) -> Iterator[bytes]:
    """A hexadecimal dump, as C{hexdump -C} has it; some lines at a time."""
    lines = []
    for at in range(0, len(data), 16):
        part = data[at : at + 16]
        numbers = f"{part[:8].hex(' ')}  {part[8:].hex(' ')}".rstrip()
        text = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in part)
        lines.append(f"{at:08x}  {numbers:48}  |{text}|\n")
        if len(lines) == _AT_ONCE:
            yield "".join(lines).encode()
            lines.clear()
    yield "".join([*lines, f"{len(data):08x}\n"]).encode()
