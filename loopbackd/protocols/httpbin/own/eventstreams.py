"""Streams of server-sent events that are wrong on purpose, or right and often misread."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Literal

from loopbackd.http.badevents import BAD_STREAMS, BadStream
from loopbackd.http.events import EVENT_STREAM
from loopbackd.http.fields import FieldPairs
from loopbackd.http.messages import Request, Response, Surface
from loopbackd.http.routes import Routes
from loopbackd.protocols.httpbin.dialect import answerJSON

if TYPE_CHECKING:
    How = str
else:
    How = Literal[tuple(BAD_STREAMS)]

_APART = 0.02
"""Seconds between two pieces, so that the client gets one after the other."""

_GROUP = "server-sent events"

routes = Routes("streams of events that are wrong on purpose")


@routes.add(
    "/sse/bad/{how}",
    group=_GROUP,
    example="/sse/bad/no-blank-line",
    answers={400: "there is no such stream"},
    produces=[EVENT_STREAM],
    unruly="what is sent is wrong on purpose, or without end",
)
def bad(request: Request, how: How) -> Response:
    """A stream of events that is wrong in one way; /sse/bad lists the ways."""
    stream = BAD_STREAMS[how]
    fields: FieldPairs = [("Cache-Control", "no-store")]
    return Response(200, _pieces(request.on, stream), stream.type or None, fields)


async def _pieces(on: Surface, stream: BadStream) -> AsyncIterator[bytes]:
    first = True
    for piece in stream.pieces():
        if not first and not stream.isEndless:
            await on.sleep(_APART)
        first = False
        yield piece


@routes.add("/sse/bad", group=_GROUP, example="/sse/bad")
def listed(request: Request) -> Response:
    """The streams there are, and what a right client makes of each."""
    found = [
        {
            "name": one.name,
            "does": one.does,
            "client": one.rightly,
            "source": f"HTML standard, {one.source}",
            "endless": one.isEndless,
        }
        for one in BAD_STREAMS.values()
    ]
    return answerJSON({"streams": found})
