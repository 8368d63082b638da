"""Answers before the answer (1xx) that nobody asked for."""

from __future__ import annotations

from typing import Final

from loopbackd.http.messages import Request, Wire
from loopbackd.protocols.httpbin.broken.breakage import Family, Options, Span, Verdict
from loopbackd.protocols.httpbin.broken.right import WHOLE

_REFUSES, _TAKES, _EITHER = Verdict.REFUSES, Verdict.TAKES, Verdict.EITHER
_HINT: Final = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n"
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_AT_ONCE: Final = 256

interim = Family("1xx before the answer")


@interim.script(
    "interim-flood",
    _EITHER,
    rightly="ignores them and has the answer, or reports more than its own limit",
    source="RFC 9110 section 15.2",
    count=Span(100, 1, 100_000),
)
async def interimFlood(wire: Wire, request: Request, options: Options) -> None:
    """C{count} answers C{103 Early Hints} before the answer."""
    for first in range(0, options.count, _AT_ONCE):
        wire.write(_HINT * min(_AT_ONCE, options.count - first))
        await wire.drained()
    wire.write(WHOLE)


interim.constant(
    "continue-unasked",
    _CONTINUE + WHOLE,
    _TAKES,
    does="C{100 Continue} before the answer, which nobody asked for.",
    rightly="ignores it, and has the answer",
    source="RFC 9110 section 15.2",
)
interim.constant(
    "interim-unknown",
    b"HTTP/1.1 142 Still Thinking\r\n\r\n" + WHOLE,
    _TAKES,
    does="A status 142, which nobody has defined, before the answer.",
    rightly="treats it as 100: ignores it, and has the answer",
    source="RFC 9110 sections 15 and 15.2",
)
interim.constant(
    "interim-with-body",
    b"HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\nearly" + WHOLE,
    _EITHER,
    does="C{103 Early Hints} with a length and a body, before the answer.",
    rightly="has no body for 1xx, so that the next status line is broken: reports that",
    source="RFC 9112 section 6.3",
)
interim.constant(
    "interim-only",
    _HINT,
    _REFUSES,
    does="C{103 Early Hints}, and the end (FIN) instead of an answer.",
    rightly="reports that there was no answer: this was none",
    source="RFC 9110 section 15.2, RFC 9112 section 8",
)
interim.constant(
    "switch-unasked",
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: snafu/1\r\n\r\n" + WHOLE,
    _REFUSES,
    does="C{101 Switching Protocols} to a protocol that nobody asked for.",
    rightly="reports it: a server may only switch to what it was offered",
    source="RFC 9110 sections 7.8 and 15.2.2",
)
interim.constant(
    "switch-without-upgrade",
    b"HTTP/1.1 101 Switching Protocols\r\n\r\n" + WHOLE,
    _REFUSES,
    does="C{101 Switching Protocols} that does not say to which.",
    rightly="reports it: the field C{Upgrade} must name the protocol",
    source="RFC 9110 sections 7.8 and 15.2.2",
)
