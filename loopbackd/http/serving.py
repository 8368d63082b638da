"""
The Protocol that serves requests (RFC 9112): one after the other, in order, each in its time.

Requests that came early wait unparsed; an answer that the client does not take stops both its
handler and the reading.  A client that has finished sending still gets its answers.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, Final

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IHalfCloseableProtocol, IPushProducer
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from loopbackd.connection import connectionOf
from loopbackd.http.errors import HTTPError, KeptOut
from loopbackd.http.head import Head
from loopbackd.http.messages import Answer, ByHand, Request, Response, SwitchProtocols
from loopbackd.http.parsing import RequestParser
from loopbackd.http.receiving import MOST_AT_ONCE, Receiving
from loopbackd.http.routes import Found, plainly
from loopbackd.http.sending import Hand, stream
from loopbackd.http.writing import fieldLines, headOf, statusLine, wholeAnswer
from loopbackd.net.transport import switchProtocol

_log = Logger()

_WORTH_READING: Final = 1 << 18
"""Bytes of an unwanted body that are read away so that the connection can go on."""

# Not written as a union, which would be made anew at each use.
_ANSWERS: Final = (Response, ByHand, SwitchProtocols)


@implementer(IHalfCloseableProtocol, IPushProducer)
class HTTP(Receiving):
    """One connection."""

    _work: Deferred[None] | None = None
    _turns = 0

    def __init__(self, factory: Any) -> None:
        self.factory = factory
        self._parser = RequestParser(factory.limits)
        self._drained: list[Deferred[None]] = []

    def connectionMade(self) -> None:
        """Wait for the first request."""
        self._begins()

    async def drained(self) -> None:
        """
        Wait until the client has taken what was written, but for a little.

        Once in a while others have their turn even where it takes all at once; and where the
        connection is closing, its end is all there is to wait for.
        """
        if self._isFull or self.transport.disconnecting:
            waiting: Deferred[None] = Deferred()
            self._drained.append(waiting)
            await waiting
        else:
            self._turns += 1
            if self._turns >= MOST_AT_ONCE:
                self._turns = 0
                await self.sleep(0)

    # What goes.

    def _call(self, request: Request, found: Found) -> None:
        try:
            answer = found.endpoint.call(request, found.words)
        except HTTPError as error:
            answer = self._failed(request, error)
        except Exception:
            answer = self._broke(request)
        if isinstance(answer, _ANSWERS):
            self._answer(request, answer)
        else:
            self._working(self._waited(request, answer))

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
        if isinstance(error, KeptOut) and isinstance(answer, Response):
            answer.closes = True
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
        if isinstance(answer, Response):
            try:
                self.factory.site.finish(request, answer)
                keep = self._mayGoOn(request.head, answer)
                data = wholeAnswer(request.head, answer, self.factory.date(), keep)
            except Exception:
                answer, keep = self._broke(request), False
                answer.fields += self.factory.always
                data = wholeAnswer(request.head, answer, self.factory.date(), keep)
            if data is None:
                self._working(self._streamed(request, answer, keep))
            else:
                self.hold(data)
                self._done(keep)
        elif isinstance(answer, SwitchProtocols):
            self._switch(answer)
        else:
            self._working(self._written(answer))

    def _mayGoOn(self, head: Head, answer: Response) -> bool:
        """Whether the connection can be used after this answer."""
        if not head.keepAlive or answer.closes or answer.status < 200 or self._isLost:
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

    async def _streamed(self, request: Request, answer: Response, keep: bool) -> None:
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
        self.write(statusLine(101, None) + fieldLines(answer.fields) + b"\r\n")
        self._stopWaiting()
        self._hasEnded = True
        self._keepsNothing()
        transport, rest = self.transport, self._parser.rest()
        transport.unregisterProducer()
        switchProtocol(transport, answer.protocol)
        answer.protocol.makeConnection(transport)
        connection = connectionOf(transport)
        if connection is not None:
            connection.changed("protocol")
        self._resumeReading()
        if rest and not transport.disconnecting:
            answer.protocol.dataReceived(rest)
        if self._sawEnd and IHalfCloseableProtocol.providedBy(answer.protocol):
            answer.protocol.readConnectionLost()

    def _working(self, coroutine: Any) -> None:
        """Go on with a request while other things happen; what is held does not wait for it."""
        self.letGo()
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
        if self._kept and not self._isFull:
            # Otherwise the answer is in memory still, which often is the body once more.
            self._keepsNothing()
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
            fields=[*error.fields, *self.factory.always],
        )
        body = answer.body
        assert isinstance(body, bytes)
        framing = b"Content-Length: %d\r\n" % len(body)
        self.write(headOf(answer, self.factory.date(), framing, b"Connection: close\r\n") + body)
        self._end()

    # How it ends.

    def writeConnectionLost(self) -> None:
        """Our side is closed; the client's end comes next."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Stop whatever still works for this connection."""
        self._hasEnded = True
        self._isEnding = True
        self._stopWaiting()
        self._keepsNothing()
        self._drained.clear()
        if self._pieces is not None:
            self._pieces.end()
        if self._work is not None:
            self._work.cancel()
        self._current = self._whole = self._pieces = self._work = None

    def pauseProducing(self) -> None:
        """The client does not take what was written: write no more, and ask no more of it."""
        if not self._isFull:
            self._isFull = True
            if not self._isEnding:
                self._watch(self.factory.patience.sending, self._sent())

    def resumeProducing(self) -> None:
        """It has taken it."""
        self._isFull = False
        if self.transport.disconnecting and not self._isEnding:
            # It was hung up: what was written has been sent, and nothing comes after that.
            self._isEnding = True
            self._stopWaiting()
            self.transport.unregisterProducer()
            return
        if self._kept and self._current is None:
            self._keepsNothing()
        if not self._isEnding:
            self._watchNoMore()
            waiting, self._drained = self._drained, []
            for one in waiting:
                one.callback(None)
            if self._current is None:
                self._advance()

    def stopProducing(self) -> None:
        """L{connectionLost} comes next."""
