"""Requests passed on to a real server, and its answers passed back (RFC 9110 section 7.6)."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectError
from twisted.internet.error import TimeoutError as ConnectTimeout
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.client import Agent, HTTPConnectionPool
from twisted.web.http_headers import Headers
from twisted.web.iweb import UNKNOWN_LENGTH

from loopbackd.http.errors import HTTPError
from loopbackd.http.fields import VALUE, FieldPairs, Fields, Pair
from loopbackd.http.messages import Request, Response
from loopbackd.http.writing import hasNoBody
from loopbackd.stubs.passing import Incoming, Outgoing
from loopbackd.stubs.reaching import TargetEndpoints
from loopbackd.stubs.targets import Target

_log = Logger()

_HOP_BY_HOP: Final = frozenset(
    [
        b"connection",
        b"keep-alive",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    ]
)
"""Fields that are about one connection and not about the message (RFC 9110 section 7.6.1)."""

_OURS: Final = frozenset([b"content-length", b"expect", b"host"])


class Silence(Exception):
    """A target has said nothing for too long."""


class _Watch:
    """
    Calls when nothing has moved for some seconds.

    @ivar call: returns whether it is to be called again after as many.
    """

    def __init__(self, clock: Any, seconds: float, call: Callable[[], bool]) -> None:
        self._clock = clock
        self._seconds = seconds
        self.call = call
        self._moved = clock.seconds()
        self._timer: Any = clock.callLater(seconds, self._look)

    def moved(self) -> None:
        self._moved = self._clock.seconds()

    def stop(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def _look(self) -> None:
        left = self._moved + self._seconds - self._clock.seconds()
        if left <= 0:
            self._timer = None
            if not self.call():
                return
            left = self._seconds
        self._timer = self._clock.callLater(left, self._look)


def endToEnd(fields: Fields) -> list[Pair]:
    """The fields that are about the message, in order."""
    named = {option.lower().encode("latin-1") for option in fields.members("connection")}
    out = _HOP_BY_HOP | named
    return [(name, value) for name, value in fields.pairs if name.lower() not in out]


def _unsendable(found: Any) -> str:
    """What of an answer's head nobody may send (RFC 9112 section 4, RFC 9110 section 5.5)."""
    if not 200 <= found.code <= 999:
        return f"its status is {found.code}"
    if VALUE.fullmatch(found.phrase) is None:
        return f"its reason is {found.phrase[:60]!r}"
    for name, values in found.headers.getAllRawHeaders():
        for value in values:
            if VALUE.fullmatch(value) is None:
                return f"its field {name.decode('latin-1')} is {value[:60]!r}"
    return ""


class Forwarder:
    """
    Asks a real server.

    @param target: which.
    @param reactor: provides C{IReactorTCP} and C{IReactorTime}.
    @param timeout: seconds in which the target must begin to answer once it has the request, and in
        which it may fall silent.
    """

    def __init__(self, target: Target, reactor: Any, timeout: float) -> None:
        self.target = target
        self._clock = reactor
        self._timeout = timeout
        # A connection for each request: one that was kept could just have been closed there.
        pool = HTTPConnectionPool(reactor, persistent=False)
        self._agent = Agent.usingEndpointFactory(reactor, TargetEndpoints(reactor), pool)
        self._mark = f"loopbackd-{os.urandom(6).hex()}"

    async def forward(self, request: Request, pieces: AsyncIterator[bytes] | None) -> Response:
        """
        The target's answer.

        @param pieces: the request's body; not looked at where it has none.
        @raise HTTPError: 502, 504 or 508: there is none, and why.
        """
        head = request.head
        if self._mark in (request.fields.get("via") or ""):
            raise HTTPError(508, f"the target {self.target} leads back here")
        length = head.length if head.length is not None else UNKNOWN_LENGTH
        watch = _Watch(self._clock, self._timeout, lambda: False)
        body = None
        if pieces is not None and head.hasBody:
            body = Outgoing(pieces, length, watch.moved)
        path = head.path if head.path.startswith(b"/") else b"/"
        url = self.target.url(path + (b"?" + head.query if b"?" in head.target else b""))
        asking: Deferred[Any] = self._agent.request(
            head.method.encode("ascii"), url, self._headers(request), body
        )
        isLate = False

        def late() -> bool:
            nonlocal isLate
            isLate = True
            asking.cancel()
            return False

        watch.call = late
        try:
            found = await asking
        except CancelledError:
            watch.stop()
            if not isLate:
                raise
            raise self._noAnswer(504, f"did not answer in {self._timeout:g} s") from None
        except Exception as error:
            watch.stop()
            if body is not None and isinstance(body.error, HTTPError):
                raise body.error from None
            raise self._failed(error, isLate) from None
        wrong = _unsendable(found)
        if wrong:
            unread = Incoming(watch.moved, watch.stop)
            found.deliverBody(unread)
            await unread.aclose()
            raise self._noAnswer(502, f"gave an answer that cannot be passed on: {wrong}")
        return self._answer(request, found, watch)

    def _headers(self, request: Request) -> Headers:
        headers = Headers()
        for name, value in endToEnd(request.fields):
            if name.lower() not in _OURS:
                headers.addRawHeader(name, value)
        before = request.fields.get("x-forwarded-for")
        sender = request.remoteHost
        for ours, text in (
            ("X-Forwarded-For", f"{before}, {sender}" if before else sender),
            ("X-Forwarded-Host", request.host),
            ("X-Forwarded-Proto", request.scheme),
        ):
            headers.setRawHeaders(ours, [text])
        headers.addRawHeader("Via", f"1.{request.head.minor} {self._mark}")
        headers.setRawHeaders("Host", [self.target.authority])
        return headers

    def _failed(self, error: Exception, isLate: bool) -> HTTPError:
        if isLate:
            return self._noAnswer(504, f"did not answer in {self._timeout:g} s")
        if isinstance(error, ConnectTimeout):
            return self._noAnswer(504, "did not take a connection in time")
        if isinstance(error, ConnectError):
            return self._noAnswer(502, f"took no connection ({error.__doc__ or error})")
        reasons = getattr(error, "reasons", None) or [Failure(error)]
        said = "; ".join(f"{one.type.__name__}: {one.getErrorMessage()}" for one in reasons)
        return self._noAnswer(502, f"gave no answer ({said[:300]})")

    def _noAnswer(self, status: int, why: str) -> HTTPError:
        _log.warn("The target {target} {why}.", target=str(self.target), why=why)
        return HTTPError(status, f"the target {self.target} {why}")

    def _answer(self, request: Request, found: Any, watch: _Watch) -> Response:
        pairs = [
            (name, value) for name, values in found.headers.getAllRawHeaders() for value in values
        ]
        received = Fields(pairs)
        fields: FieldPairs = [
            pair for pair in endToEnd(received) if pair[0].lower() != b"content-length"
        ]
        fields.append(("Via", f"1.1 {self._mark}"))
        phrase = found.phrase.decode("latin-1")
        body = Incoming(watch.moved, watch.stop)
        silence = Failure(Silence(f"silent for {self._timeout:g} s"))
        watch.call = lambda: body.breakOff(silence)
        found.deliverBody(body)
        answer = Response(found.code, b"", fields=fields, reason=phrase)
        answer.isForeign = True
        if hasNoBody(found.code):
            watch.stop()
            return answer
        if request.method == "HEAD":
            # What would be the length of the body is among the fields there, and nowhere else.
            said = received.get("content-length") or ""
            answer.length = int(said) if said.isascii() and said.isdecimal() else None
        elif found.length is not UNKNOWN_LENGTH:
            answer.length = found.length
        answer.body = _Passed(request, body, self.target)
        return answer


class _Passed(AsyncIterator[bytes]):
    """A target's body for the client; where it breaks off, so does the client's connection."""

    def __init__(self, request: Request, body: Incoming, target: Target) -> None:
        self._request = request
        self._body = body
        self._target = target

    async def __anext__(self) -> bytes:
        try:
            return await self._body.__anext__()
        except (CancelledError, StopAsyncIteration):
            raise
        except Exception as error:
            _log.warn(
                "The target {target} broke off its answer ({why}); so do we.",
                target=str(self._target),
                why=f"{type(error).__name__}: {error}"[:300],
            )
            # Nothing else tells the client that this was not all.
            self._request.on.transport.abortConnection()
            await Deferred()
            raise

    async def aclose(self) -> None:
        """No more is wanted."""
        await self._body.aclose()
