"""
The Protocol that serves requests (RFC 9112): one after the other, in order, each in its time.

Requests that came early wait unparsed; an answer that the client does not take stops both its
handler and the reading.  A client that has finished sending still gets its answers.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, Final

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import (
    IHalfCloseableProtocol,
    IPushProducer,
    ISSLTransport,
    ITransport,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from loopbackd.connection import Connection, connectionOf
from loopbackd.http.bodies import Pieces, Whole
from loopbackd.http.head import Head
from loopbackd.http.messages import (
    Answer,
    ByHand,
    FieldPairs,
    HTTPError,
    Request,
    Response,
    SwitchProtocols,
)
from loopbackd.http.parsing import RequestParser
from loopbackd.http.patience import Pace
from loopbackd.http.routes import Found, Takes, plainly
from loopbackd.http.sending import Hand, stream
from loopbackd.http.writing import CONTINUE, fieldLines, hasNoBody, headOf, statusLine
from loopbackd.net.linger import LINGER, LINGER_BYTES, hasUnreadInput
from loopbackd.net.transport import switchProtocol

_log = Logger()

_MOST_AHEAD: Final = 1 << 16
"""Bytes of later requests that wait here before the kernel has to keep them."""

_MOST_AT_ONCE: Final = 64
"""Requests of one connection that are answered before others have their turn."""

_WORTH_READING: Final = 1 << 18
"""Bytes of an unwanted body that are read away so that the connection can go on."""


@implementer(IHalfCloseableProtocol, IPushProducer)
class HTTP(Protocol):
    """
    One connection.

    @ivar requests: how many requests there were on it.
    @ivar isTLS: whether they came encrypted.
    """

    transport: Any
    factory: Any
    isTLS = False
    requests = 0

    _current: Request | None = None
    _whole: Whole | None = None
    _pieces: Pieces | None = None
    _work: Deferred[None] | None = None
    _pace: Pace | None = None
    _later: Any = None
    _isFull = False
    _isHeld = False
    _isAdvancing = False
    _isEnding = False
    _hasHead = False
    _hasEnded = False
    _sawEnd = False
    _owesContinue = False
    _linger = 0
    _discarded = 0

    def __init__(self, factory: Any) -> None:
        self.factory = factory
        self._parser = RequestParser(factory.limits)
        self._drained: list[Deferred[None]] = []

    def connectionMade(self) -> None:
        """Wait for the first request."""
        self.isTLS = ISSLTransport.providedBy(self.transport)
        self.transport.registerProducer(self, True)
        self.factory.idle.start(self)

    # What a request can ask of its connection (see L{loopbackd.http.messages.Surface}).

    @property
    def connection(self) -> Connection | None:
        """The facts about this connection, where it came through a service."""
        return connectionOf(self.transport)

    def seconds(self) -> float:
        """The time."""
        now: float = self.factory.clock.seconds()
        return now

    def sleep(self, seconds: float) -> Awaitable[None]:
        """Wait; ends with the connection."""
        return deferLater(self.factory.clock, max(0.0, seconds), lambda: None)

    def interim(self, status: int, fields: FieldPairs) -> None:
        """Send an answer before the answer (RFC 9110 section 15.2); HTTP/1.0 has none."""
        if self._current is not None and self._current.head.minor:
            self.transport.write(statusLine(status, None) + fieldLines(fields) + b"\r\n")

    async def drained(self) -> None:
        """Wait until the client has taken what was written, but for a little."""
        if self._isFull:
            waiting: Deferred[None] = Deferred()
            self._drained.append(waiting)
            await waiting

    # What comes.

    def dataReceived(self, data: bytes) -> None:
        """More of the stream of requests."""
        if self._isEnding:
            self._discarded += len(data)
            if self._discarded > LINGER_BYTES:
                self.transport.abortConnection()
            return
        self._parser.feed(data)
        if self._current is None:
            self._advance()
        elif self._whole is not None:
            self._collect(self._whole)
        elif self._pieces is not None:
            self._pieces.wake()
        if len(self._parser) > _MOST_AHEAD and not (self._isHeld or self._isEnding):
            self._isHeld = True
            self.transport.pauseProducing()

    def _advance(self) -> None:
        """Answer what is there, until something must be waited for."""
        if self._isAdvancing:
            return
        self._isAdvancing = True
        self._later = None
        parser = self._parser
        turns = 0
        try:
            while self._current is None and not (self._isFull or self._isEnding):
                if not parser.bodyDone and not self._readAway():
                    break
                turns += 1
                if turns > _MOST_AT_ONCE:
                    self._later = self.factory.clock.callLater(0, self._advance)
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
            self._isHeld = False
            self.transport.resumeProducing()

    def _waitForHead(self) -> None:
        if len(self._parser):
            if self._sawEnd:
                raise HTTPError(400, "the connection ended within a request's head")
            if not self._hasHead:
                self._hasHead = True
                self.factory.idle.stop(self)
                self.factory.head.start(self)
        elif self._sawEnd:
            self._end()

    def _begin(self, head: Head) -> None:
        """A request is there, as far as its head."""
        if self._hasHead:
            self._hasHead = False
            self.factory.head.stop(self)
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
        self._whole = Whole(found, self.factory.bounds.body)
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
            self.transport.write(CONTINUE)
        if self._pace is None:
            self._watch(self.factory.patience.body, self._received())
        if self._isHeld:
            self._isHeld = False
            self.transport.resumeProducing()

    def nextPiece(self) -> bytes | None:
        """
        For L{Pieces}: what has come of the body; L{None} at its end.

        @raise HTTPError: no more of it can be read.
        """
        piece = self._parser.body()
        if not piece:
            if self._parser.bodyDone:
                self._watchNoMore()
                self._pieces = None
                if self._current is not None and self._current.head.length is None:
                    self._current.trailers = self._parser.trailers
                return None
            if self._sawEnd:
                raise HTTPError(400, "the connection ended within a request's body")
        return piece

    def _readAway(self) -> bool:
        """Go behind the body of a request that was answered; whether that was possible."""
        parser = self._parser
        while parser.body():
            pass
        if not parser.bodyDone:
            if self._sawEnd:
                self._end()
            elif self._pace is None:
                self._watch(self.factory.patience.body, self._received())
            return False
        self._watchNoMore()
        return True

    # What goes.

    def _call(self, request: Request, found: Found) -> None:
        try:
            answer = found.endpoint.call(request, found.words)
        except HTTPError as error:
            answer = self._failed(request, error)
        except Exception:
            answer = self._broke(request)
        if found.endpoint.isCoroutine and not isinstance(
            answer, Response | ByHand | SwitchProtocols
        ):
            self._working(self._waited(request, answer))
        else:
            self._answer(request, answer)  # type: ignore[arg-type]

    async def _waited(self, request: Request, coming: Awaitable[Answer]) -> None:
        try:
            answer = await coming
        except HTTPError as error:
            answer = self._failed(request, error)
        except CancelledError:
            raise
        except Exception:
            answer = self._broke(request)
        self._answer(request, answer)

    def _failed(self, request: Request, error: HTTPError) -> Answer:
        try:
            answer: Answer = self.factory.site.failed(request, error)
        except Exception:
            answer = self._broke(request)
        return answer

    def _broke(self, request: Request) -> Response:
        """What is handled now is a mistake of ours, or of whoever wrote the handler."""
        _log.failure(
            "{connection}: {request} could not be answered.",
            connection=self.connection or self.transport,
            request=request,
        )
        return plainly(request, HTTPError(500, "our mistake; the log has more"))

    def _answer(self, request: Request, answer: Answer) -> None:
        if self._hasEnded:
            return
        if isinstance(answer, SwitchProtocols):
            self._switch(answer)
        elif isinstance(answer, ByHand):
            self._working(self._written(answer))
        else:
            try:
                self.factory.site.finish(request, answer)
                if isinstance(answer.body, bytes):
                    self._sendWhole(request, answer, answer.body)
                    return
            except Exception:
                failed = self._broke(request)
                self._sendWhole(request, failed, failed.body)  # type: ignore[arg-type]
                return
            self._working(self._streamed(request, answer))

    def _sendWhole(self, request: Request, answer: Response, body: bytes) -> None:
        head = request.head
        if hasNoBody(answer.status):
            framing, body = b"", b""
        else:
            framing = b"Content-Length: %d\r\n" % len(body)
            if head.method == "HEAD":
                body = b""
        keep = self._mayGoOn(head)
        data = headOf(answer, self.factory.date(), framing, self.connectionField(head, keep))
        self.transport.write(data + body if body else data)
        self._done(keep)

    def connectionField(self, head: Head, keep: bool) -> bytes:
        """What an answer says about the connection (RFC 9112 section 9.3)."""
        if not keep:
            return b"Connection: close\r\n"
        return b"" if head.minor else b"Connection: keep-alive\r\n"

    def _mayGoOn(self, head: Head) -> bool:
        """Whether the connection can be used after this answer."""
        if not head.keepAlive:
            return False
        parser = self._parser
        if not parser.bodyDone:
            if self._owesContinue or head.expectsContinue:
                # It may send the body or not; nobody could tell it from a request.
                return False
            try:
                while parser.body():
                    pass
            except HTTPError:
                return False
            left = 0 if parser.bodyDone else parser.left
            if left is None or left > _WORTH_READING:
                return False
        return not (self._sawEnd and not len(parser))

    async def _streamed(self, request: Request, answer: Response) -> None:
        keep = self._mayGoOn(request.head)
        framed = await stream(self, request, answer, keep)
        self._done(keep and framed)

    async def _written(self, answer: ByHand) -> None:
        try:
            await answer.script(Hand(self))
        except CancelledError:
            raise
        except Exception:
            _log.failure("An answer by hand failed.")
            self.transport.abortConnection()
        self._done(False)

    def _switch(self, answer: SwitchProtocols) -> None:
        data = statusLine(101, None) + fieldLines(answer.fields) + b"\r\n"
        self._stopWaiting()
        self._hasEnded = True
        transport, rest = self.transport, self._parser.rest()
        transport.unregisterProducer()
        transport.write(data)
        switchProtocol(transport, answer.protocol)
        answer.protocol.makeConnection(transport)
        connection = connectionOf(transport)
        if connection is not None:
            connection.changed("protocol")
        if self._isHeld:
            transport.resumeProducing()
        if rest and not transport.disconnecting:
            answer.protocol.dataReceived(rest)
        if self._sawEnd and IHalfCloseableProtocol.providedBy(answer.protocol):
            answer.protocol.readConnectionLost()

    def _working(self, coroutine: Any) -> None:
        """Go on with a request while other things happen."""
        self.factory.idle.stop(self)
        work = Deferred.fromCoroutine(coroutine)
        if not work.called:
            self._work = work
        work.addErrback(self._workFailed)

    def _workFailed(self, failure: Failure) -> None:
        if not (self._hasEnded and failure.check(CancelledError)):
            _log.failure(
                "{connection}: an answer broke off.",
                failure,
                connection=self.connection or self.transport,
            )
            if not self._hasEnded:
                self.transport.abortConnection()

    def _done(self, keep: bool) -> None:
        """The current request is answered."""
        self._current = self._work = None
        self._pieces = self._whole = None
        self._owesContinue = False
        if self._hasEnded:
            return
        if keep:
            self.factory.idle.start(self)
            if not self._isAdvancing:
                self._advance()
        else:
            self._end()

    def _refuse(self, error: HTTPError) -> None:
        """The stream cannot be read any further: say why, and close."""
        answer = Response(
            error.status,
            f"{error.detail}\n".encode(),
            "text/plain; charset=utf-8",
            fields=[*error.fields],
        )
        body = answer.body
        assert isinstance(body, bytes)
        framing = b"Content-Length: %d\r\n" % len(body)
        self.transport.write(
            headOf(answer, self.factory.date(), framing, b"Connection: close\r\n") + body
        )
        self._end()

    # How it ends.

    def _end(self) -> None:
        """Close once all is sent; where the client may be sending still, let it finish first."""
        if self._isEnding:
            return
        self._isEnding = True
        self._stopWaiting()
        self.transport.unregisterProducer()
        expectsMore = not self._parser.bodyDone or len(self._parser) > 0
        mayLinger = not self._sawEnd and not self.isTLS
        if mayLinger and (expectsMore or hasUnreadInput(self.transport)):
            self.transport.loseWriteConnection()
            if self._isHeld:
                self.transport.resumeProducing()
        else:
            self.transport.loseConnection()
        if not self._hasEnded:
            self._watch(self.factory.patience.sending, self._sent())

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

    def writeConnectionLost(self) -> None:
        """Our side is closed; the client's end comes next."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Stop whatever still works for this connection."""
        self._hasEnded = True
        self._isEnding = True
        self._stopWaiting()
        self._drained.clear()
        if self._pieces is not None:
            self._pieces.end()
        if self._work is not None:
            self._work.cancel()
        self._current = self._whole = self._pieces = self._work = None

    def _stopWaiting(self) -> None:
        factory = self.factory
        factory.idle.stop(self)
        if self._hasHead:
            factory.head.stop(self)
        if self._later is not None:
            self._later.cancel()
            self._later = None
        self._watchNoMore()

    def pauseProducing(self) -> None:
        """The client does not take what was written: write no more, and ask no more of it."""
        if not self._isFull:
            self._isFull = True
            if not self._isEnding:
                self._watch(self.factory.patience.sending, self._sent())

    def resumeProducing(self) -> None:
        """It has taken it."""
        self._isFull = False
        if not self._isEnding:
            self._watchNoMore()
            waiting, self._drained = self._drained, []
            for one in waiting:
                one.callback(None)
            if self._current is None:
                self._advance()

    def stopProducing(self) -> None:
        """L{connectionLost} comes next."""

    # Whose time is up.

    def _received(self) -> int:
        connection = self.connection
        return 0 if connection is None else connection.bytesReceived

    def _sent(self) -> int:
        connection = self.connection
        return 0 if connection is None else connection.bytesSent

    def _watch(self, allowance: float, count: int) -> None:
        self._pace = Pace(self.seconds(), count, allowance, self.factory.patience.rate)
        self.factory.watch.start(self)

    def _watchNoMore(self) -> None:
        if self._pace is not None:
            self._pace = None
            self.factory.watch.stop(self)

    def isIdle(self) -> None:
        """No request came in time."""
        connection = self.connection
        if connection is not None and connection.hasUnsent:
            self.transport.abortConnection()
        else:
            self._end()

    def headIsLate(self) -> None:
        """A head was begun and not ended in time."""
        self._hasHead = False
        self._refuse(HTTPError(408, "the request's head did not end in time"))

    def look(self) -> None:
        """Somebody waits for this client: is it fast enough?"""
        pace = self._pace
        if pace is None:
            return
        if self._isEnding:
            self._lookAtEnd(pace)
        elif self._isFull:
            if pace.isTooSlow(self.seconds(), self._sent()):
                _log.info("{connection}: did not take its answer.", connection=self.connection)
                self.transport.abortConnection()
                return
            self.factory.watch.start(self)
        elif pace.isTooSlow(self.seconds(), self._received()):
            self._bodyIsLate()
        else:
            self.factory.watch.start(self)

    def _lookAtEnd(self, pace: Pace) -> None:
        connection = self.connection
        if connection is not None and connection.hasUnsent:
            if pace.isTooSlow(self.seconds(), self._sent()):
                self.transport.abortConnection()
                return
            self._linger = 0
        else:
            self._linger += 1
            if self._linger > LINGER:
                self.transport.abortConnection()
                return
        self.factory.watch.start(self)

    def _bodyIsLate(self) -> None:
        self._watchNoMore()
        error = HTTPError(408, "the request's body came too slowly")
        request = self._current
        if self._pieces is not None:
            self._pieces.fail(error)
        elif request is not None and self._whole is not None:
            self._whole = None
            self._answer(request, self._failed(request, error))
        else:
            self._end()

    def handle(self) -> ITransport:
        """The transport, for those who write to it beside us (L{loopbackd.http.sending})."""
        transport: ITransport = self.transport
        return transport
