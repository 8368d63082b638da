"""
Answers with a chosen status.

L{answerStatus} is how each looks; L{parseCodes} and L{choose} are how one of several is chosen.
"""

from __future__ import annotations

import json
import random
from functools import partial
from typing import Final

from loopbackd.http.errors import HTTPError
from loopbackd.http.fields import FieldPairs
from loopbackd.http.messages import Request, Response
from loopbackd.http.routes import Routes
from loopbackd.http.writing import hasNoBody
from loopbackd.protocols.httpbin.adjusting import adjusted
from loopbackd.protocols.httpbin.dialect import HTML, JSON, METHODS, TEXT

REALM: Final = "Fake Realm"
BASIC: Final = f'Basic realm="{REALM}"'

ACCEPTED: Final = ("image/webp", "image/svg+xml", "image/jpeg", "image/png", "image/*")
"""The media types of C{/image}, the ones that are preferred first."""

_MOST_CODES: Final = 100

# What a status must say to be true (RFC 9110), or what httpbin says with it.
_FIELDS: Final[dict[int, FieldPairs]] = {
    **{code: [("Location", "/redirect/1")] for code in (301, 302, 303, 305, 307)},
    401: [("WWW-Authenticate", BASIC)],
    402: [("x-more-info", "https://www.rfc-editor.org/rfc/rfc9110#section-15.5.3")],
    405: [("Allow", ", ".join(METHODS))],
    407: [("Proxy-Authenticate", BASIC)],
    418: [("x-more-info", "http://tools.ietf.org/html/rfc2324")],
    426: [("Upgrade", "websocket")],
}

_TEAPOT: Final = r"""
              _
         ____(_)____
     __ /           \___
    /  |             |  \   short and stout,
    \  |   teapot    | / )  and no coffee
     \ |             |/_/
       |             |
        \___________/
"""

_NOT_ACCEPTABLE: Final = json.dumps(
    {"message": "Client did not request a supported media type.", "accept": ACCEPTED}
)

_BODIES: Final = {
    402: (TEXT, "Payment required: insert coin.\n"),
    406: (JSON, _NOT_ACCEPTABLE),
    418: (TEXT, _TEAPOT),
}

routes = Routes("answers by status")


def answerStatus(status: int) -> Response:
    """
    The answer with a status, as httpbin gives it; empty for most.

    @param status: 200 to 999.
    """
    fields = list(_FIELDS.get(status, ()))
    type, text = _BODIES.get(status, (None if hasNoBody(status) else HTML, ""))
    return Response(status, text.encode(), type, fields)


def parseCodes(text: str) -> list[tuple[int, float]]:
    """
    Statuses and their weights: C{404}, C{200,500} or C{200:0.9,500:0.1}.

    @raise HTTPError: 400; it is something else.
    """
    parts = text.split(",")
    if len(parts) > _MOST_CODES:
        raise HTTPError(400, f"Invalid status code: no more than {_MOST_CODES} at a time")
    return [_parseCode(part) for part in parts]


def _parseCode(part: str) -> tuple[int, float]:
    code, colon, weight = part.partition(":")
    if len(code) != 3 or not (code.isascii() and code.isdigit()) or code[0] == "0":
        raise HTTPError(400, f"Invalid status code {code[:20]!r}: write 100 to 999")
    if code == "101":
        raise HTTPError(400, "Invalid status code 101: nobody asked to switch protocols")
    if not colon:
        return int(code), 1.0
    try:
        number = float(weight)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1e9:
        raise HTTPError(400, f"Invalid weight {weight[:20]!r} of {code}: write a number like 0.5")
    return int(code), number


def choose(choices: list[tuple[int, float]], point: float) -> int:
    """
    One of them.

    @param choices: statuses and their weights.
    @param point: from 0 up to 1, at random.
    @raise HTTPError: 400; all weights are zero.
    """
    total = sum(weight for _, weight in choices)
    if not total:
        raise HTTPError(400, "Invalid weights: one at least must not be 0")
    left = point * total
    for status, weight in choices:
        left -= weight
        if left < 0:
            return status
    return next(status for status, weight in reversed(choices) if weight)


def settle(request: Request, codes: str, seed: int | None = None) -> int:
    """
    The status to answer with, where a request names C{codes} (see L{parseCodes}).

    One below 200 is sent at once and 200 is left to be said: it comes before an answer
    (RFC 9110 section 15.2).

    @param seed: the same one chooses the same; without one it is chance.
    """
    point = random.random() if seed is None else random.Random(seed).random()
    status = choose(parseCodes(codes), point)
    if status < 200:
        request.on.interim(status, [])
        return 200
    return status


_status = partial(
    routes.add,
    methods=METHODS,
    group="status",
    usual=0,
    answers={0: "any status, as asked for", 400: "no status, or none that can be sent"},
    produces=[HTML, TEXT, JSON],
)


@_status("/status/{codes}", example="/status/418")
def status(
    request: Request,
    codes: str,
    *,
    body: str | None = None,
    type: str | None = None,
    reason: str | None = None,
    header: str | None = None,
    seed: int | None = None,
) -> Response:
    """
    An answer with that status; of several (C{200,500} or C{200:0.9,500:0.1}) one at random.

    C{body}, C{type} and C{reason} are what it has instead of what is usual; C{header} is a line
    like C{Name: value}, and may be there more than once.  The same C{seed} chooses the same status.
    """
    return _answer(request, codes, body, type, reason, seed)


@_status("/status/{codes}/{rest...}", example="/status/503/any/path?body=later")
def statusBelow(
    request: Request,
    codes: str,
    rest: str,
    *,
    body: str | None = None,
    type: str | None = None,
    reason: str | None = None,
    header: str | None = None,
    seed: int | None = None,
) -> Response:
    """The same at any path below, for clients that put one behind an address they are given."""
    return _answer(request, codes, body, type, reason, seed)


def _answer(
    request: Request,
    codes: str,
    body: str | None,
    type: str | None,
    reason: str | None,
    seed: int | None,
) -> Response:
    answer = answerStatus(settle(request, codes, seed))
    if not request.rawQuery:
        return answer
    headers = request.arguments("header")
    return adjusted(answer, body=body, type=type, reason=reason, headers=headers)
