"""Answers that are wrong on purpose, for tests of what a client makes of them."""

from __future__ import annotations

from difflib import get_close_matches
from html import escape
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from msgspec import Meta

from loopbackd.http.endpoints import withoutMarks
from loopbackd.http.errors import HTTPError
from loopbackd.http.messages import ByHand, Request, Response
from loopbackd.http.negotiation import wantsPage
from loopbackd.http.routes import Routes
from loopbackd.protocols.httpbin.broken.breakage import Breakage
from loopbackd.protocols.httpbin.broken.breakages import BREAKAGES, byHand
from loopbackd.protocols.httpbin.dialect import HTML, JSON, answerJSON

routes = Routes("answers that are wrong on purpose")

if TYPE_CHECKING:
    How = str
else:
    How = Literal[tuple(BREAKAGES)]

Amount = Annotated[int, Meta(ge=0)]
Time = Annotated[float, Meta(ge=0)]

_PARAMETERS: Final = ("bytes", "seconds", "count", "seed")
_LONGEST_NAME: Final = 60
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD")


@routes.add(
    "/broken/{how}",
    methods=_METHODS,
    group="broken on purpose",
    example="/broken/empty-reply",
    answers={400: "there is no such breakage, or it takes no such parameter"},
    produces=["text/plain"],
    usual=0,
    unruly="the answer is wrong on purpose",
)
def broken(
    request: Request,
    how: How,
    *,
    bytes: Amount | None = None,
    seconds: Time | None = None,
    count: Amount | None = None,
    seed: Amount | None = None,
) -> ByHand:
    """
    An answer that is wrong in one way; /broken lists the ways.

    C{HEAD} is answered as C{GET} is, body included.
    """
    for name, _ in request.query:
        if name not in _PARAMETERS:
            raise HTTPError(400, unknown(BREAKAGES[how], name))
    asked = {"bytes": bytes, "seconds": seconds, "count": count, "seed": seed}
    given = {name: value for name, value in asked.items() if value is not None}
    try:
        return byHand(how, request, given)
    except ValueError as error:
        raise HTTPError(400, str(error)) from None


def unknown(breakage: Breakage, name: str) -> str:
    """What to write instead of a parameter that there is not."""
    near = get_close_matches(name[:_LONGEST_NAME], breakage.takes, 1)
    taken = " and ".join(breakage.takes) or "nothing"
    remedy = f"did you mean {near[0]}?" if near else f"it takes {taken}"
    return f"{breakage.name} does not take {name[:_LONGEST_NAME]!r}; {remedy}"


def described(one: Breakage) -> dict[str, Any]:
    """A breakage as data."""
    return {
        "name": one.name,
        "group": one.group,
        "does": withoutMarks(one.does),
        "client": one.verdict.value,
        "rightly": withoutMarks(one.rightly),
        "source": one.source,
        "parameters": {
            name: {"default": span.default, "least": span.least, "most": span.most}
            for name, span in one.takes.items()
        },
    }


@routes.add(
    "/broken",
    group="broken on purpose",
    example="/broken",
    produces=[JSON, HTML],
)
def listed(request: Request) -> Response:
    """The ways to be wrong, and what a right client makes of each; a page for browsers."""
    if wantsPage(request.fields.get("accept")):
        answer = Response(200, page().encode(), HTML)
    else:
        answer = answerJSON({"breakages": [described(one) for one in BREAKAGES.values()]})
    answer.fields.append(("Vary", "Accept"))
    return answer


def page() -> str:
    """The table, for browsers."""
    rows, group = [], ""
    for one in BREAKAGES.values():
        if one.group != group:
            group = one.group
            rows.append(f"<tr><th colspan=5 scope=rowgroup>{escape(group)}\n")
        parameters = "&amp;".join(
            f"{name}={'…' if name == 'seed' else f'{span.default:g}'}"
            for name, span in one.takes.items()
        )
        query = f"?{parameters}" if parameters else ""
        rows.append(
            f"<tr><td><a href=/broken/{one.name}><code>{one.name}</code></a><code>{query}</code>"
            f"<td>{escape(withoutMarks(one.does))}<td>{one.verdict.value}"
            f"<td>{escape(withoutMarks(one.rightly))}<td>{escape(one.source)}\n"
        )
    return (
        "<!doctype html>\n<html lang=en>\n<meta charset=utf-8>\n<title>Broken on purpose</title>\n"
        "<meta name=viewport content='width=device-width'>\n"
        "<style>:root{color-scheme:light dark;font-family:system-ui}td,th{text-align:left;"
        "vertical-align:top;padding:.2em .6em}</style>\n"
        "<h1>Broken on purpose</h1>\n<p>Each answer is wrong in one way (a few are right, and often"
        " mistaken for wrong).\n"
        "<table>\n<tr><th>path<th>what is sent<th>a right client<th>namely<th>source\n"
        f"{''.join(rows)}</table>\n"
    )
