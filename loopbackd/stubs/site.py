"""A site whose answers are stubs' first, and which keeps a journal of what it was asked."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any, Final

from twisted.logger import Logger

from loopbackd.http.bodies import Pieces
from loopbackd.http.endpoints import Endpoint, Takes
from loopbackd.http.errors import HTTPError
from loopbackd.http.guarding import SHIELD, guard, guardChanges
from loopbackd.http.messages import Answer, ByHand, Request, Response, SwitchProtocols
from loopbackd.http.routes import Found, Routes, Site
from loopbackd.stubs.asked import NOT_JSON, Asked
from loopbackd.stubs.har import isoTime
from loopbackd.stubs.journal import Entry, Journal
from loopbackd.stubs.table import Stub, Stubs
from loopbackd.stubs.targets import Target

_log = Logger()

RESERVED: Final = b"/_loopbackd"
"""Below it neither stubs nor the journal look: these are the daemon's own addresses."""


class Visit:
    """
    What this site remembers of a request.

    @ivar entry: of the journal, if it is kept.
    @ivar isStubbed: whether the answer is a stub's, and nothing is added to it.
    @ivar raw: a body in chunks as it comes, where the other site wants that.
    """

    __slots__ = ("entry", "isStubbed", "raw")

    def __init__(self, entry: Entry | None) -> None:
        self.entry = entry
        self.isStubbed = False
        self.raw = bytearray()


class StubSite:
    """
    Stubs and a journal in front of another site.

    @param inner: the other site.
    @param own: the addresses below L{RESERVED}.
    @param fallback: who answers where no stub does: the other site (C{builtin}), nobody
        (C{not_found}), or a target.
    """

    def __init__(
        self,
        inner: Site,
        own: Routes,
        stubs: Stubs,
        journal: Journal,
        fallback: Target | str = "builtin",
    ) -> None:
        self.inner = inner
        self.stubs = stubs
        self.journal = journal
        self._own = own
        self._fallback = fallback
        self._found = Found(_endpoint(self._answer), ())

    # See L{Site}.

    def find(self, request: Request) -> Found:
        """Who answers is not known before the body is, where a stub looks at that."""
        path = request.rawPath
        if path.startswith(RESERVED) and path[len(RESERVED) :][:1] in (b"", b"/"):
            guard(request)
            guardChanges(request)
            return self._own.find(request)
        keeps = self.journal.most > 0
        request.note = Visit(self.journal.begin(request) if keeps else None)
        if self._fallback != "builtin" or len(self.stubs) or request.head.hasBody:
            return self._found
        if b"upgrade" in request.fields.combined:
            return self._found
        # There is nothing to decide, and nothing to listen to.
        return self.inner.find(request)

    def failed(self, request: Request, error: HTTPError) -> Answer:
        """As the other site tells it."""
        if request.note is None:
            return self._own.failed(request, error)
        return self.inner.failed(request, error)

    def finish(self, request: Request, answer: Response) -> None:
        """What the other site adds is for its own answers."""
        visit = request.note
        if visit is None:
            answer.fields += SHIELD
            return
        if not visit.isStubbed:
            self.inner.finish(request, answer)
        if visit.entry is not None:
            answer.body = self.journal.answer(visit.entry, answer, request.on.seconds)

    # How a request is answered.

    async def _answer(self, request: Request) -> Answer:
        visit: Visit = request.note
        if isinstance(request.pieces, Pieces) and self._wantsExact(request):
            request.pieces.keepRaw(visit.raw)
        if request.pieces is not None and visit.entry is not None:
            request.pieces = _Heard(request.pieces, self.journal, visit.entry)
        asked = Asked.of(request)
        stub = await self._stubFor(request, asked) if len(self.stubs) else None
        if stub is not None:
            return await self._stubbed(request, asked, stub, visit)
        if isinstance(self._fallback, Target):
            visit.isStubbed = True
            return await self.stubs.resources.forwarder(self._fallback).forward(
                request, request.pieces
            )
        if self._fallback == "not_found":
            await self._readSome(request, visit)
            raise self._nothing(request, asked, visit)
        return await self._builtIn(request, asked, visit)

    def _wantsExact(self, request: Request) -> bool:
        """Whether the other site wants to know how a body was framed."""
        if request.head.length is not None or self._fallback != "builtin":
            return False
        try:
            return self.inner.find(request).endpoint.takes is Takes.EXACT
        except HTTPError:
            return False

    async def _stubFor(self, request: Request, asked: Asked) -> Stub | None:
        candidates = self.stubs.candidates(asked)
        if candidates and candidates[0].matcher.body:
            # The body decides.
            await self._readAll(request)
            asked.body = request.body
        return self.stubs.choose(asked, candidates)

    async def _stubbed(self, request: Request, asked: Asked, stub: Stub, visit: Visit) -> Answer:
        if visit.entry is not None:
            visit.entry.stub = stub.name
        # What it takes is taken now: others must not get the same while this one is waiting.
        answer = self.stubs.take(stub)
        if answer is None or answer.target is None:
            await self._readAll(request)
            asked.body = request.body
        if answer is None:
            raise HTTPError(404, f"stub {stub.name} has no more answers")
        if answer.delay is not None:
            await request.on.sleep(answer.delay(self.stubs.resources.chance))
        visit.isStubbed = True
        names = self._names(request, asked, stub) if answer.usesNames else {"stub": stub.name}
        try:
            return await answer.make(request, names)
        except HTTPError:
            visit.isStubbed = False
            raise

    def _names(self, request: Request, asked: Asked, stub: Stub) -> dict[str, Any]:
        """What a template can speak of."""
        now = request.on.seconds()
        scenario = stub.settings.scenario
        return {
            "request": {
                "method": asked.method,
                "path": asked.path,
                "target": request.head.target.decode("latin-1"),
                "host": request.host,
                "scheme": request.scheme,
                "client": request.remoteHost,
                "words": stub.matcher.words(asked),
                "query": _firsts(asked.query),
                "queries": _all(asked.query),
                "headers": {k.lower(): v for k, v in _firsts(list(asked.fields)).items()},
                "cookies": _firsts(asked.cookies),
                "form": _firsts(asked.form),
                "body": asked.text,
                "json": None if asked.json is NOT_JSON else asked.json,
            },
            "stub": stub.name,
            "count": stub.count,
            "state": "" if scenario is None else self.stubs.stateOf(scenario),
            "now": isoTime(now),
            "seconds": now,
        }

    async def _builtIn(self, request: Request, asked: Asked, visit: Visit) -> Answer:
        """Have the other site answer."""
        try:
            found = self.inner.find(request)
        except HTTPError as error:
            await self._readSome(request, visit)
            if error.status == 404 and len(self.stubs):
                nothing = self._nothing(request, asked, visit)
                raise HTTPError(404, f"{error.detail}; {nothing.detail}", error.fields) from None
            raise
        takes = found.endpoint.takes
        if takes in (Takes.WHOLE, Takes.EXACT):
            await self._readAll(request)
            request.rawBody = bytes(visit.raw) if visit.raw else request.body
        elif takes is Takes.NOTHING:
            await self._readSome(request, visit)
        answer = found.endpoint.call(request, found.words)
        if not isinstance(answer, Response | ByHand | SwitchProtocols):
            answer = await answer
        if isinstance(answer, SwitchProtocols) and visit.entry is not None:
            visit.entry.status, visit.entry.answered = answer.status, request.on.seconds()
        return answer

    def _nothing(self, request: Request, asked: Asked, visit: Visit) -> HTTPError:
        """No stub matches: say which one nearly did."""
        closest = self.stubs.closest(asked)
        if visit.entry is not None:
            visit.entry.closest = closest
        more = request.on.lines.more("no stub")
        if more is not None:
            _log.info(
                "{connection}: {method} {target} matches no stub; {closest}.{more}",
                connection=request.on.connection,
                method=request.method,
                target=request.head.target[:200],
                closest=closest or "there is none",
                more=more,
            )
        return HTTPError(404, f"no stub matches; {closest}" if closest else "there are no stubs")

    async def _readAll(self, request: Request) -> None:
        """Have all of the body, if not before."""
        pieces = request.pieces
        if pieces is None or isinstance(pieces, _Once) or request.head.length == 0:
            return
        most = self.stubs.resources.maxBody
        if request.head.length is not None and request.head.length > most:
            raise HTTPError(413, f"a body may have {most} bytes here")
        parts, size, raw = [], 0, 0
        async for piece in pieces:
            size += len(piece)
            if max(size, len(request.note.raw)) > most:
                raise HTTPError(413, f"a body may have {most} bytes here")
            request.on.keeps(len(piece) + len(request.note.raw) - raw)
            raw = len(request.note.raw)
            parts.append(piece)
        request.body = b"".join(parts)
        request.pieces = _Once(request.body)

    async def _readSome(self, request: Request, visit: Visit) -> None:
        """Have as much of a body that nobody wants as the journal keeps."""
        pieces, size = request.pieces, 0
        if visit.entry is None or pieces is None or request.head.length == 0:
            return
        async for piece in pieces:
            size += len(piece)
            if size > self.journal.bodyBytes:
                break


class _Heard(AsyncIterator[bytes]):
    """A body that the journal listens to."""

    def __init__(self, pieces: AsyncIterator[bytes], journal: Journal, entry: Entry) -> None:
        self._pieces = pieces
        self._journal = journal
        self._entry = entry

    async def __anext__(self) -> bytes:
        piece = await self._pieces.__anext__()
        self._journal.hear(self._entry, piece)
        return piece


class _Once(AsyncIterator[bytes]):
    """A body that was read before."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def __anext__(self) -> bytes:
        body, self._body = self._body, b""
        if not body:
            raise StopAsyncIteration
        return body


def _endpoint(handler: Callable[..., Any]) -> Endpoint:
    """Calls that for every request, as soon as its head is there."""
    routes = Routes("stubs")
    routes.add("/", methods=["*"], takes=Takes.PIECES)(handler)
    return routes.endpoints[0]


def _firsts(pairs: list[tuple[str, str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in pairs:
        found.setdefault(name, value)
    return found


def _all(pairs: list[tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return found
