"""The journal's own addresses: what was asked, counted, and as HAR or C{curl} commands."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import AsyncIterator, Iterable, Iterator
from importlib.metadata import version
from typing import Annotated, Any, Final, Literal

import msgspec

from loopbackd.http.endpoints import Takes
from loopbackd.http.errors import HTTPError
from loopbackd.http.fields import Pair
from loopbackd.http.messages import Request, Response
from loopbackd.http.routes import Routes
from loopbackd.httpsettings import Conditions
from loopbackd.stubs.curl import curlCommand
from loopbackd.stubs.har import archive, harEntry, isoTime
from loopbackd.stubs.journal import Entry, Journal, Kept, isLike
from loopbackd.stubs.matching import Matcher, hasPatterns
from loopbackd.stubs.table import Stubs

_JSON = "application/json"
_LONGEST: Final = 65536
"""Bytes of conditions: each is looked at for each request that is kept."""

_A_TURN: Final = 0.01
"""Seconds that a search, or what it found, may keep everybody else waiting."""

Format = Literal["json", "har", "curl"]


def reportRoutes(stubs: Stubs, journal: Journal) -> Routes:
    """The addresses of a service's journal."""
    routes = Routes("the journal")

    @routes.add("/_loopbackd/requests", group="journal", produces=[_JSON, "text/plain"])
    async def listed(
        request: Request,
        *,
        format: Format = "json",
        method: str | None = None,
        path: str | None = None,
        stub: str | None = None,
        last: Annotated[int, msgspec.Meta(ge=1)] | None = None,
    ) -> Response:
        """What was asked, the oldest first."""
        return await reported(request, journal, format, method, path, stub, last)

    @routes.add("/_loopbackd/requests", methods=["DELETE"], group="journal", usual=204)
    def forgotten(request: Request) -> Response:
        """Forget what was asked."""
        journal.clear()
        return Response(204)

    @routes.add("/_loopbackd/requests/find", methods=["POST"], takes=Takes.WHOLE, group="journal")
    async def found(request: Request, *, format: Format = "json") -> Response:
        """What was asked and meets the conditions in the body, which are a stub's, in JSON."""
        return await searched(request, journal, format)

    @routes.add("/_loopbackd/stubs", group="journal")
    def stubsListed(request: Request) -> Response:
        """The stubs in the order in which they are asked, and how often they answered."""
        shown = {
            "stubs": [{"name": stub.name, "count": stub.count} for stub in stubs],
            "states": stubs.states,
        }
        return Response(200, json.dumps(shown, indent=2).encode() + b"\n", _JSON)

    @routes.add("/_loopbackd/stubs/reset", methods=["POST"], group="journal", usual=204)
    def reset(request: Request) -> Response:
        """Counts, sequences and scenarios begin anew."""
        stubs.reset()
        return Response(204)

    return routes


async def reported(
    request: Request,
    journal: Journal,
    format: Format,
    method: str | None,
    path: str | None,
    stub: str | None,
    last: int | None,
) -> Response:
    """What was asked and is so, the oldest first."""
    wanted = _matcher(Conditions(method=method or (), path=path))
    found = await _search(request, journal, wanted, stub)
    return _inTurns(request, written(found if last is None else found[-last:], format))


async def searched(request: Request, journal: Journal, format: Format) -> Response:
    """
    What was asked and meets the conditions in the body.

    @raise HTTPError: 400 or 413.
    """
    if len(request.body) > _LONGEST:
        raise HTTPError(413, f"conditions may have {_LONGEST} bytes")
    try:
        conditions = msgspec.json.decode(request.body, type=Conditions)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise HTTPError(400, str(error).replace("`", "")) from None
    if hasPatterns(conditions):
        # Whoever may ask here is not who wrote the configuration.
        raise HTTPError(400, "regular expressions could keep us busy without end; use contains")
    chosen = await _search(request, journal, _matcher(conditions))
    return _inTurns(request, written(chosen, format))


async def _search(
    request: Request, journal: Journal, wanted: Matcher, stub: str | None = None
) -> list[Entry]:
    """The entries that are so; others are served in between, since there can be many."""
    found = []
    began = request.on.seconds()
    for entry in journal:
        if isLike(entry, wanted, stub):
            found.append(entry)
        if request.on.seconds() - began > _A_TURN:
            await request.on.sleep(0)
            began = request.on.seconds()
    return found


def _matcher(conditions: Conditions) -> Matcher:
    try:
        return Matcher(conditions)
    except ValueError as error:
        raise HTTPError(400, str(error)) from None


def _inTurns(request: Request, answer: Response) -> Response:
    """The same answer, with others served in between."""
    answer.body = _pieces(request, answer.body)
    return answer


async def _pieces(request: Request, body: Any) -> AsyncIterator[bytes]:
    began = request.on.seconds()
    for piece in body:
        yield piece
        if request.on.seconds() - began > _A_TURN:
            await request.on.sleep(0)
            began = request.on.seconds()


def written(entries: list[Entry], format: Format) -> Response:
    """Entries in one of the formats, one after the other: they can be many."""
    if format == "curl":
        commands = (f"{curlCommand(entry)}\n".encode() for entry in entries)
        return Response(200, commands, "text/plain; charset=utf-8")
    if format == "har":
        empty = archive([], version("loopbackd"))
        return Response(200, _list(empty, map(harEntry, entries)), _JSON)
    about = {"count": len(entries), "requests": []}
    return Response(200, _list(about, map(asJSON, entries)), _JSON)


def _list(around: dict[str, Any], entries: Iterable[dict[str, Any]]) -> Iterator[bytes]:
    """An object whose last, innermost value is a list, with these in it."""
    before, _, after = json.dumps(around, ensure_ascii=False).rpartition("[]")
    separator = f"{before}[\n"
    for entry in entries:
        yield f"{separator}{json.dumps(entry, ensure_ascii=False)}".encode()
        separator = ",\n"
    yield (f"{before}[]{after}\n" if separator != ",\n" else f"\n]{after}\n").encode()


def asJSON(entry: Entry) -> dict[str, Any]:
    """An entry as our own JSON has it."""
    head = entry.head
    answered = entry.answered
    return {
        "number": entry.number,
        "started": isoTime(entry.started),
        "connection": entry.connection,
        "client": entry.peer,
        "method": head.method,
        "url": entry.url,
        "target": head.target.decode("latin-1"),
        "http_version": f"1.{head.minor}",
        "headers": _pairs(head.fields.pairs),
        **_body(entry.body),
        "stub": entry.stub,
        "closest": entry.closest,
        "answer": None
        if answered is None
        else {
            "status": entry.status,
            "reason": entry.reason,
            "seconds": round(answered - entry.started, 6),
            "headers": _pairs(entry.fields),
            **_body(entry.sent),
        },
    }


def _pairs(pairs: list[Pair]) -> list[list[str]]:
    return [[name.decode("latin-1"), value.decode("latin-1")] for name, value in pairs]


def _body(kept: Kept) -> dict[str, Any]:
    about: dict[str, Any] = {"body_size": kept.size, "body_cut": kept.isCut}
    try:
        return {"body": kept.data.decode(), **about}
    except UnicodeDecodeError:
        return {"body_base64": b64encode(kept.data).decode(), **about}
