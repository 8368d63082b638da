"""
What comes on a connection: requests, one after the other, and their bodies.

Requests that came early wait unparsed; a body is asked for when somebody wants it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

from twisted.internet.defer import maybeDeferred
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThreadPool

from loopbackd.http.bodies import Pieces, Whole
from loopbackd.http.endpoints import Takes
from loopbackd.http.errors import HTTPError
from loopbackd.http.fields import FieldPairs
from loopbackd.http.head import Head
from loopbackd.http.lifetime import Lifetime
from loopbackd.http.messages import Answer, Request, Response
from loopbackd.http.parsing import RequestParser
from loopbackd.http.routes import Found
from loopbackd.http.writing import CONTINUE, fieldLines, statusLine
from loopbackd.net.turns import Turn

T = TypeVar("T")

_MOST_AHEAD: Final = 1 << 16
"""Bytes of later requests that wait here before the kernel has to keep them."""

MOST_AT_ONCE: Final = 64
"""Requests, or pieces of an answer, of one connection before others have their turn."""


LONGEST_AT_ONCE: Final = 0.002
"""Seconds of the same."""

_BESIDE_OTHERS: Final = 0.0001
"""Seconds of the same while other connections wait for their turn: all of them have much to do, and
three hundred times the above is a long time."""


class Receiving(Lifetime):
    """
    The half of a connection that reads.

    @ivar requests: how many requests there were on it.
    """

    requests = 0

    _current: Request | None = None
    _whole: Whole | None = None
    _pieces: Pieces | None = None
    _later: Turn | None = None
    _isAdvancing = False
    _owesContinue = False
    _kept = 0
    _isLost = False
    _began = 0.0
    _parser: RequestParser

    # What is done with a request.

    def _call(self, request: Request, found: Found) -> None:
        """All that the handler wants is there: have it answer."""
        raise NotImplementedError

    def _answer(self, request: Request, answer: Answer) -> None:
        """Send that."""
        raise NotImplementedError

    def _failed(self, request: Request, error: HTTPError) -> Answer:
        """The client's mistake, as an answer."""
        raise NotImplementedError

    def _broke(self, request: Request) -> Response:
        """Our mistake, as an answer."""
        raise NotImplementedError

    # What a request can ask of its connection (see L{loopbackd.http.messages.Surface}).

    def sleep(self, seconds: float) -> Awaitable[None]:
        """Wait; ends with the connection."""
        return deferLater(self.factory.clock, max(0.0, seconds), lambda: None)

    def keeps(self, size: int) -> None:
        """
        Count so many bytes of a body, which somebody has in memory until the request is answered.

        @raise HTTPError: 503; all connections together have no room for them.
        """
        self.factory.bodies.take(size)
        self._kept += size

    def _keepsNothing(self) -> None:
        """What was counted is gone."""
        kept, self._kept = self._kept, 0
        self.factory.bodies.giveBack(kept)

    def interim(self, status: int, fields: FieldPairs) -> None:
        """Send an answer before the answer (RFC 9110 section 15.2); HTTP/1.0 has none."""
        if self._current is not None and self._current.head.minor:
            self.write(statusLine(status, None) + fieldLines(fields) + b"\r\n")

    def inThread(self, call: Callable[..., T], *args: Any) -> Awaitable[T]:
        """
        Call what takes a while, off the reactor's thread; at once where there are no threads.

        Threads are the reactor's; a clock in a test has none.
        """
        reactor = self.factory.clock
        if not hasattr(reactor, "getThreadPool"):
            return maybeDeferred(call, *args)
        return deferToThreadPool(reactor, reactor.getThreadPool(), call, *args)

    # What comes.

    def dataReceived(self, data: bytes) -> None:
        """More of the stream of requests."""
        if self._isEnding:
            self._discard(data)
            return
        self._parser.feed(data)
        if self._current is None:
            self._advance()
        elif self._whole is not None:
            self._collect(self._whole)
        elif self._pieces is not None:
            self._pieces.wake()
        # Where nothing is in its way, a request does not wait.
        isWaiting = self._current is not None or self._isFull or self._later is not None
        if isWaiting and len(self._parser) > _MOST_AHEAD and not self._isEnding:
            self._holdReading()

    def _advance(self) -> None:
        """Answer what is there, until something must be waited for."""
        if self._isAdvancing:
            return
        self._isAdvancing = True
        later, self._later = self._later, None
        if later is not None:
            # Something else came first.
            later.cancel()
        parser = self._parser
        turns, began, longest = 0, 0.0, LONGEST_AT_ONCE
        try:
            while self._current is None and not (self._isFull or self._isEnding):
                if not parser.bodyDone and not self._readAway():
                    break
                turns += 1
                if turns == 1:
                    began = self.seconds()
                elif len(parser):
                    if turns == 2 and len(self.factory.turns):
                        longest = _BESIDE_OTHERS
                    if turns > MOST_AT_ONCE or self.seconds() - began > longest:
                        self._later = self.factory.turns.take(self._advance)
                        break
                head = parser.head()
                if head is None:
                    self._waitForHead()
                    break
                self._begin(head)
        except HTTPError as error:
            self._refuse(error)
        finally:
            self._isAdvancing = False
        if self._isHeld and len(parser) <= _MOST_AHEAD and not self._isEnding:
            self._resumeReading()

    def _waitForHead(self) -> None:
        if len(self._parser):
            if self._sawEnd:
                raise HTTPError(400, "the connection ended within a request's head")
            if not self._hasHead:
                self._hasHead = True
                self._began = self.seconds()
                self._isAsking()
                self.factory.head.start(self)
        elif self._sawEnd:
            self._end()

    def _isAsking(self) -> None:
        """Nobody waits any more for the client to begin."""
        self.factory.first.stop(self)
        self.factory.idle.stop(self)

    def _begin(self, head: Head) -> None:
        """A request is there, as far as its head."""
        if self._hasHead:
            self._hasHead = False
            self.factory.head.stop(self)
        elif head.length != 0:
            self._began = self.seconds()
        if not self.requests:
            self.factory.first.stop(self)
        self.requests += 1
        request = self._current = Request(head, self)
        try:
            found = self.factory.site.find(request)
        except HTTPError as error:
            self._answer(request, self._failed(request, error))
            return
        except Exception:
            self._answer(request, self._broke(request))
            return
        takes = found.endpoint.takes
        if head.length == 0 or takes is Takes.NOTHING:
            if takes is Takes.PIECES:
                request.pieces = Pieces(self)
            self._call(request, found)
            return
        self.factory.idle.stop(self)
        self._owesContinue = head.expectsContinue
        if takes is Takes.PIECES:
            self._pieces = Pieces(self)
            request.pieces = self._pieces
            self._call(request, found)
            return
        self._whole = Whole(found, self.factory.bounds.body, self.keeps, takes is Takes.EXACT)
        self._collect(self._whole)

    def _collect(self, whole: Whole) -> None:
        """More of a body that the handler wants whole."""
        request = self._current
        assert request is not None
        try:
            if not whole.take(request, self._parser):
                if self._sawEnd:
                    raise HTTPError(400, "the connection ended within a request's body")
                self.wantsBody()
                return
        except HTTPError as error:
            self._isLost = True
            self._whole = None
            self._watchNoMore()
            self._answer(request, self._failed(request, error))
            self._advance()
            return
        self._whole = None
        self._watchNoMore()
        self._call(request, whole.found)
        self._advance()

    def wantsBody(self) -> None:
        """Somebody waits for more of the body: have the client send it, in its time."""
        if self._owesContinue:
            self._owesContinue = False
            self.write(CONTINUE)
        if self._pace is None:
            self._watchBody()
        self._resumeReading()

    def _watchBody(self) -> None:
        patience = self.factory.patience
        self._watch(patience.body, self._received(), self._began + patience.request)

    def keepRaw(self, raw: bytearray) -> None:
        """For L{Pieces}: what comes in chunks goes there, too, with what frames it."""
        self._parser.raw = raw

    def nextPiece(self) -> bytes | None:
        """
        For L{Pieces}: what has come of the body; L{None} at its end.

        @raise HTTPError: no more of it can be read.
        """
        try:
            piece = self._parser.body()
        except HTTPError:
            self._isLost = True
            raise
        if not piece:
            if self._parser.bodyDone:
                self._watchNoMore()
                self._pieces = self._parser.raw = None
                if self._current is not None and self._current.head.length is None:
                    self._current.trailers = self._parser.trailers
                return None
            if self._sawEnd:
                self._isLost = True
                raise HTTPError(400, "the connection ended within a request's body")
        return piece

    def _readAway(self) -> bool:
        """Go behind the body of a request that was answered; whether that was possible."""
        parser = self._parser
        parser.raw = None
        while parser.body():
            pass
        if not parser.bodyDone:
            if self._sawEnd:
                self._end()
            elif self._pace is None:
                self._watchBody()
            return False
        self._watchNoMore()
        return True

    # How it ends.

    def _expectsMore(self) -> bool:
        return not self._parser.bodyDone or len(self._parser) > 0

    def _stopWaiting(self) -> None:
        if self._later is not None:
            self._later.cancel()
            self._later = None
        super()._stopWaiting()

    def readConnectionLost(self) -> None:
        """The client has sent all it will; what it asked for is still answered."""
        self._sawEnd = True
        if self._isEnding:
            self.transport.loseConnection()
        elif self._whole is not None:
            self._collect(self._whole)
        elif self._pieces is not None:
            self._pieces.wake()
        elif self._current is None:
            self._advance()

    def _bodyIsLate(self, error: HTTPError) -> None:
        self._isLost = True
        request = self._current
        if self._pieces is not None:
            self._pieces.fail(error)
        elif request is not None and self._whole is not None:
            self._whole = None
            self._answer(request, self._failed(request, error))
        else:
            self._end()
