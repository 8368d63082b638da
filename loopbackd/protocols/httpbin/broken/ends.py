"""Answers that end too early, and connections that do not end as they should."""

from __future__ import annotations

from typing import Final

from loopbackd.http.messages import Request, Wire
from loopbackd.protocols.httpbin.broken.breakage import Family, Options, Span, Verdict
from loopbackd.protocols.httpbin.broken.right import BODY, HALF, WHOLE, head, lengthy, sized

_REFUSES, _TAKES, _EITHER = Verdict.REFUSES, Verdict.TAKES, Verdict.EITHER
_SIZE: Final = Span(1024, 0, 65536)
_PAUSE: Final = Span(0.1, 0, 60)
_WAIT: Final = Span(10, 0, 600)
_HOLD: Final = Span(2, 0, 600)

ends = Family("how it ends")


@ends.script(
    "empty-reply",
    _REFUSES,
    rightly="reports that there was no answer; may try again what is idempotent",
    source="RFC 9112 section 9.3.1, RFC 9110 section 9.2.2",
)
async def emptyReply(wire: Wire, request: Request, options: Options) -> None:
    """The connection is closed without a byte (FIN)."""
    wire.finish()


@ends.script(
    "reset",
    _REFUSES,
    rightly="reports that the connection was reset; may try again what is idempotent",
    source="RFC 9112 section 9.5, RFC 9110 section 9.2.2",
)
async def reset(wire: Wire, request: Request, options: Options) -> None:
    """The connection is reset without a byte (RST)."""
    wire.reset()


@ends.script(
    "reset-after",
    _REFUSES,
    rightly="reports an incomplete answer; does not hand out the part as if it were all",
    source="RFC 9112 sections 8 and 9.5",
    bytes=_SIZE,
    seconds=_PAUSE,
)
async def resetAfter(wire: Wire, request: Request, options: Options) -> None:
    """The first C{bytes} of an answer, head included; after C{seconds} a reset (RST)."""
    wire.write(lengthy(options.bytes))
    await wire.drained()
    # A client that has not read them yet may never see them: some systems drop them at a reset.
    await wire.sleep(options.seconds)
    wire.reset()


@ends.made(
    "half-answer",
    _REFUSES,
    rightly="reports an incomplete answer, also where the end comes within the head",
    source="RFC 9112 section 8",
    bytes=_SIZE,
)
def halfAnswer(options: Options) -> bytes:
    """The first C{bytes} of an answer, head included; then it ends (FIN)."""
    return lengthy(options.bytes)


@ends.script(
    "silence",
    _REFUSES,
    rightly="gives up when its own time limit is over",
    source="RFC 9112 section 9.5",
    seconds=_WAIT,
)
async def silence(wire: Wire, request: Request, options: Options) -> None:
    """Nothing for C{seconds}, then the end (FIN)."""
    await wire.sleep(options.seconds)


@ends.script(
    "stalled-body",
    _EITHER,
    rightly="waits, or gives up when its limit for silence is over; then reports it",
    source="RFC 9112 section 9.5",
    seconds=_WAIT,
)
async def stalledBody(wire: Wire, request: Request, options: Options) -> None:
    """Half a body, C{seconds} of silence, and the other half."""
    wire.write(sized(BODY)[: -len(BODY) + len(HALF)])
    await wire.sleep(options.seconds)
    wire.write(BODY[len(HALF) :])


@ends.script(
    "held-open",
    _TAKES,
    rightly="has the answer at once: its length says where it ends, not the connection",
    source="RFC 9112 section 6.3",
    seconds=_HOLD,
)
async def heldOpen(wire: Wire, request: Request, options: Options) -> None:
    """A right answer with C{Connection: close}; the close comes C{seconds} later."""
    wire.write(WHOLE)
    await wire.sleep(options.seconds)


@ends.script(
    "unannounced-close",
    _TAKES,
    rightly="takes the answer, and opens another connection for its next request",
    source="RFC 9112 section 9.3.1",
)
async def unannouncedClose(wire: Wire, request: Request, options: Options) -> None:
    """A right answer after which the connection could go on, and is closed (FIN)."""
    wire.write(WHOLE.replace(b"Connection: close\r\n", b""))


@ends.script(
    "surplus-answer",
    _TAKES,
    rightly="takes the first alone; never has the second for an answer to its next request",
    source="RFC 9112 section 6.3",
    seconds=_HOLD,
)
async def surplusAnswer(wire: Wire, request: Request, options: Options) -> None:
    """Two answers to one request on a connection that stays open for C{seconds}."""
    surplus = sized(b"Nobody asked for this answer.\n")
    wire.write((WHOLE + surplus).replace(b"Connection: close\r\n", b""))
    await wire.sleep(options.seconds)


@ends.script(
    "junk-after",
    _TAKES,
    rightly="takes the answer, and does not use the connection again",
    source="RFC 9112 section 6.3",
    bytes=Span(64, 1, 65536),
    seconds=_HOLD,
)
async def junkAfter(wire: Wire, request: Request, options: Options) -> None:
    """A right answer, C{bytes} of C{?} behind it, and C{seconds} until the end."""
    wire.write(WHOLE.replace(b"Connection: close\r\n", b"") + b"?" * options.bytes)
    await wire.sleep(options.seconds)


ends.constant(
    "until-close",
    head() + BODY,
    _TAKES,
    does="A body without a length, which ends with the connection (FIN).",
    rightly="takes it: this is right, though nobody can tell whether it is complete",
    source="RFC 9112 sections 6.3 and 8",
)


@ends.script(
    "until-reset",
    _REFUSES,
    rightly="reports an error: only an orderly end says that the body is complete",
    source="RFC 9112 section 9.5, RFC 9293 section 3.10.7",
    seconds=_PAUSE,
)
async def untilReset(wire: Wire, request: Request, options: Options) -> None:
    """A body without a length; after C{seconds} a reset (RST) instead of an end."""
    wire.write(head() + BODY)
    await wire.sleep(options.seconds)
    wire.reset()
