"""Answers that take too long, or do not end."""

from __future__ import annotations

from typing import Final

from loopbackd.http.messages import Request, Wire
from loopbackd.protocols.httpbin.broken.breakage import Family, Options, Span, Verdict
from loopbackd.protocols.httpbin.broken.right import BODY, OK, WHOLE, head

_REFUSES, _TAKES, _EITHER = Verdict.REFUSES, Verdict.TAKES, Verdict.EITHER
_TIME: Final = Span(5, 0, 600)
_FOREVER: Final = Span(60, 0, 600)
_PIECE: Final = Span(4096, 16, 1 << 18)
_TICK: Final = 0.01
"""Seconds that lie at least between two pieces of what is slow."""

_BREATH: Final = 0.05
"""Seconds between two pieces of what does not end."""

slowness = Family("too slow, too much")


async def drip(wire: Wire, data: bytes, seconds: float) -> None:
    """Write byte by byte, or in as many pieces as that time has ticks; the last at its end."""
    steps = min(len(data) - 1, round(seconds / _TICK))
    written = 0
    for step in range(steps):
        upto = 1 + (len(data) - 1) * step // steps
        wire.write(data[written:upto])
        written = upto
        await wire.drained()
        await wire.sleep(seconds / steps)
    wire.write(data[written:])


async def forever(wire: Wire, request: Request, piece: bytes, seconds: float) -> None:
    """Write a piece again and again for so long, no faster than the client takes them."""
    end = request.on.seconds() + seconds
    while request.on.seconds() < end:
        wire.write(piece)
        await wire.drained()
        await wire.sleep(_BREATH)


@slowness.script(
    "late-answer",
    _EITHER,
    rightly="waits, or gives up when its own time limit is over",
    source="RFC 9112 section 9.5",
    seconds=_TIME,
)
async def lateAnswer(wire: Wire, request: Request, options: Options) -> None:
    """Nothing for C{seconds}, then a right answer."""
    await wire.sleep(options.seconds)
    wire.write(WHOLE)


@slowness.script(
    "slow-head",
    _EITHER,
    rightly="waits; a limit for the whole answer ends it, one for silence does not",
    source="RFC 9112 section 9.5",
    seconds=_TIME,
)
async def slowHead(wire: Wire, request: Request, options: Options) -> None:
    """A head that comes bit by bit in C{seconds}, then its body."""
    await drip(wire, WHOLE[: -len(BODY)], options.seconds)
    wire.write(BODY)


@slowness.script(
    "slow-body",
    _EITHER,
    rightly="waits; a limit for the whole answer ends it, one for silence does not",
    source="RFC 9112 section 9.5",
    seconds=_TIME,
    bytes=Span(100, 1, 65536),
)
async def slowBody(wire: Wire, request: Request, options: Options) -> None:
    """A body of C{bytes} that comes bit by bit in C{seconds}."""
    wire.write(head(b"Content-Length: %d" % options.bytes))
    await drip(wire, b"s" * options.bytes, options.seconds)


@slowness.script(
    "endless-head",
    _REFUSES,
    rightly="gives up at its own limit for a head; does not fill its memory",
    source="RFC 9110 section 5.4",
    seconds=_FOREVER,
    bytes=_PIECE,
)
async def endlessHead(wire: Wire, request: Request, options: Options) -> None:
    """Fields of C{bytes} twenty times a second; after C{seconds} the end (FIN) without a body."""
    wire.write(OK + b"\r\n")
    line = b"X-Endless: " + b"e" * (options.bytes - 13) + b"\r\n"
    await forever(wire, request, line, options.seconds)


@slowness.script(
    "endless-line",
    _REFUSES,
    rightly="gives up at its own limit for a line; does not fill its memory",
    source="RFC 9110 section 5.4",
    seconds=_FOREVER,
    bytes=_PIECE,
)
async def endlessLine(wire: Wire, request: Request, options: Options) -> None:
    """One field that goes on by C{bytes} twenty times a second; the end (FIN) after C{seconds}."""
    wire.write(OK + b"\r\nX-Endless: ")
    await forever(wire, request, b"e" * options.bytes, options.seconds)


@slowness.script(
    "endless-body",
    _EITHER,
    rightly="hands it out as it comes, or gives up at its own limit for size or time",
    source="RFC 9112 sections 6.3 and 9.5",
    seconds=_FOREVER,
    bytes=_PIECE,
)
async def endlessBody(wire: Wire, request: Request, options: Options) -> None:
    """A body without a length, C{bytes} twenty times a second for C{seconds}."""
    wire.write(head())
    await forever(wire, request, b"e" * options.bytes, options.seconds)


@slowness.script(
    "endless-chunks",
    _REFUSES,
    rightly="hands them out as they come, and reports that the last one is missing",
    source="RFC 9112 section 8",
    seconds=_FOREVER,
    bytes=_PIECE,
)
async def endlessChunks(wire: Wire, request: Request, options: Options) -> None:
    """Chunks of C{bytes} twenty times a second; after C{seconds} the end (FIN) without a last."""
    wire.write(head(b"Transfer-Encoding: chunked"))
    chunk = b"%x\r\n%b\r\n" % (options.bytes, b"e" * options.bytes)
    await forever(wire, request, chunk, options.seconds)
