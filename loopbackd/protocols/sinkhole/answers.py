"""What somebody gets who asks by HTTP for a name that is led here."""

from __future__ import annotations

from html import escape
from typing import Final

from loopbackd.http.fields import FieldPairs
from loopbackd.http.messages import Answer, ByHand, Response, Wire
from loopbackd.protocols.sinkhole.rules import Decision

ALWAYS: Final[FieldPairs] = [
    ("X-Content-Type-Options", "nosniff"),
    ("Cache-Control", "no-store"),
    ("Content-Security-Policy", "default-src 'none'"),
    ("Referrer-Policy", "no-referrer"),
]
"""What every answer has: nobody keeps it, and nothing in it runs or is loaded."""

_ALLOWED: Final[FieldPairs] = [("Allow", "GET, HEAD, OPTIONS")]
_PAGE: Final = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Blocked: {host}</title>
<h1>Blocked</h1>
<p><b>{host}</b> is led to this machine, and answered by loopbackd: nothing was sent to it.
<p>The service is called {service}; its log says which program asked.
</html>
"""


def answerFor(decision: Decision, method: str, host: str, service: str) -> Answer:
    """
    What a request gets.

    @param host: what was asked for, as the client wrote it.
    @param service: the name of ours.
    """
    if decision.answer == "close":
        return ByHand(_close)
    if decision.answer == "reset":
        return ByHand(_reset)
    if decision.answer == "204":
        return Response(204, fields=[*ALWAYS])
    if method == "OPTIONS":
        return Response(204, fields=[*ALWAYS, *_ALLOWED])
    if method not in ("GET", "HEAD"):
        said = f"{method} is not for what is blocked\n".encode()
        return Response(405, said, "text/plain; charset=utf-8", [*ALWAYS, *_ALLOWED])
    text = _PAGE.format(host=escape(host or "This name"), service=escape(service))
    return Response(decision.status, text.encode(), "text/html; charset=utf-8", [*ALWAYS])


async def _close(wire: Wire) -> None:
    """The end of the connection is all there is."""


async def _reset(wire: Wire) -> None:
    wire.reset()
