"""What was asked of a service, kept for those who want to know; bounded by number and by bytes."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator

from loopbackd.http.errors import HTTPError
from loopbackd.http.fields import Pair, asPairs
from loopbackd.http.messages import Body, Drawn, Request, Response, reasonFor
from loopbackd.http.sending import closeBody, piecesOf
from loopbackd.stubs.asked import Asked
from loopbackd.stubs.matching import Matcher

_OVERHEAD = 1500
"""Bytes that an entry takes besides what it keeps."""

_FIELD_OVERHEAD = 400
"""Bytes that each of its fields takes besides its text."""


class Kept:
    """
    A body as far as it is kept.

    @ivar size: how many bytes it had; there are less in C{data} where it was cut.
    """

    __slots__ = ("_kept", "size")

    def __init__(self) -> None:
        self._kept: bytes | bytearray = b""
        self.size = 0

    @property
    def data(self) -> bytes:
        """What is kept of it."""
        return bytes(self._kept)

    @property
    def isCut(self) -> bool:
        """Whether some of it was not kept."""
        return self.size > len(self._kept)

    def add(self, piece: bytes, most: int) -> int:
        """
        More of it.

        @param most: bytes that are kept in all.
        @return: how many were kept of this.
        """
        self.size += len(piece)
        room = most - len(self._kept)
        if room <= 0 or not piece:
            return 0
        part = piece if len(piece) <= room else piece[:room]
        if not self._kept:
            # Most come in one piece, which need not be copied.
            self._kept = part
        else:
            if isinstance(self._kept, bytes):
                self._kept = bytearray(self._kept)
            self._kept += part
        return len(part)


class Entry:
    """
    A request and what came of it.

    @ivar number: counts up; no two of a journal have the same.
    @ivar scheme: C{http} or C{https}.
    @ivar started: when its head was there, in seconds since 1970.
    @ivar here: our address it came to.
    @ivar connection: the number of its connection, or L{None}.
    @ivar stub: the name of the stub that answered.
    @ivar closest: what was said of the closest stub, where none matched.
    @ivar status: of the answer; 0 before there is one, and where it was no answer of HTTP.
    @ivar answered: when the answer began; L{None} before.
    @ivar ended: when all of it was written; L{None} before.
    """

    __slots__ = (
        "answered",
        "body",
        "closest",
        "connection",
        "ended",
        "fields",
        "head",
        "here",
        "number",
        "peer",
        "reason",
        "scheme",
        "sent",
        "started",
        "status",
        "stub",
        "weight",
    )

    def __init__(self, number: int, request: Request) -> None:
        self.number = number
        self.head = request.head
        self.scheme = request.scheme
        self.started = request.on.seconds()
        connection = request.on.connection
        self.connection = None if connection is None else connection.id
        self.peer = request.remoteHost
        self.here = request.on.transport.getHost()
        self.body = Kept()
        self.sent = Kept()
        self.stub: str | None = None
        self.closest: str | None = None
        self.status = 0
        self.reason = ""
        self.fields: list[Pair] = []
        self.answered: float | None = None
        self.ended: float | None = None
        fields = len(request.head.fields)
        self.weight = _OVERHEAD + 2 * len(request.head.raw) + fields * _FIELD_OVERHEAD

    @property
    def url(self) -> str:
        """The address that was asked for, as far as it was said."""
        head = self.head
        query = f"?{head.query.decode('ascii')}" if b"?" in head.target else ""
        host = head.host.decode("latin-1") or "localhost"
        return f"{self.scheme}://{host}{head.path.decode('ascii')}{query}"

    @property
    def asked(self) -> Asked:
        """The request as stubs look at it, with what is kept of its body."""
        head = self.head
        return Asked(head.method, head.path, head.query, head.fields, self.body.data)


def isLike(entry: Entry, wanted: Matcher, stub: str | None = None) -> bool:
    """
    Whether a request is as wanted.

    A condition on the body is not met where the body was cut, or has too much in it.

    @param stub: and this one has answered it.
    """
    if (stub is not None and entry.stub != stub) or (wanted.body and entry.body.isCut):
        return False
    try:
        return wanted.matches(entry.asked)
    except HTTPError:
        return False


class Journal:
    """
    The last requests.

    @param most: how many.
    @param mostBytes: how many bytes in all.
    @param bodyBytes: how many of one body.
    """

    def __init__(self, most: int, mostBytes: int, bodyBytes: int) -> None:
        self.most = most
        self.mostBytes = mostBytes
        self.bodyBytes = bodyBytes
        self._entries: deque[Entry] = deque()
        self._weight = 0
        self._number = 0

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        """The oldest first."""
        return iter(list(self._entries))

    @property
    def total(self) -> int:
        """How many there were so far, also those that are not kept any more."""
        return self._number

    def begin(self, request: Request) -> Entry:
        """A request has come, as far as its head."""
        self._number += 1
        entry = Entry(self._number, request)
        self._entries.append(entry)
        self._weight += entry.weight
        self._forget()
        return entry

    def clear(self) -> None:
        """Forget all."""
        self._entries.clear()
        self._weight = 0

    def find(self, wanted: Matcher, stub: str | None = None) -> list[Entry]:
        """
        The requests that are so, the oldest first.

        See L{isLike}.

        @param stub: only those this stub has answered.
        """
        return [entry for entry in self._entries if isLike(entry, wanted, stub)]

    def count(self, wanted: Matcher) -> int:
        """How many requests were so."""
        return len(self.find(wanted))

    def hear(self, entry: Entry, piece: bytes) -> None:
        """More of a request's body."""
        self._keep(entry, entry.body, piece)

    def answer(self, entry: Entry, answer: Response, seconds: Callable[[], float]) -> Body:
        """
        A request is answered.

        @param seconds: the time.
        @return: the body to send instead: the same, but it is looked at.
        """
        entry.status = answer.status
        entry.reason = reasonFor(answer.status) if answer.reason is None else answer.reason
        entry.fields = asPairs(answer.fields)
        now = entry.answered = seconds()
        if entry.head.method == "HEAD" or isinstance(answer.body, bytes):
            if isinstance(answer.body, bytes) and entry.head.method != "HEAD":
                self._keep(entry, entry.sent, answer.body)
            entry.ended = now
            return answer.body
        return self._watched(entry, answer.body, seconds)

    async def _watched(
        self,
        entry: Entry,
        body: Drawn,
        seconds: Callable[[], float],
    ) -> AsyncIterator[bytes]:
        try:
            async for piece in piecesOf(body):
                self._keep(entry, entry.sent, piece)
                yield piece
        finally:
            entry.ended = seconds()
            await closeBody(body)

    def _keep(self, entry: Entry, kept: Kept, piece: bytes) -> None:
        size = kept.add(piece, self.bodyBytes)
        entry.weight += size
        if size and self._entries and entry.number >= self._entries[0].number:
            self._weight += size
            self._forget()

    def _forget(self) -> None:
        while self._entries and (len(self._entries) > self.most or self._weight > self.mostBytes):
            self._weight -= self._entries.popleft().weight
