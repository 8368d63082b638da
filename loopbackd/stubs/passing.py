"""Bodies on their way through us, both ways, with a bound on what waits here."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http import PotentialDataLoss
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer

_MOST_WAITING: Final = 1 << 16


@implementer(IBodyProducer)
class Outgoing:
    """
    A request's body on its way to a target.

    @param moved: called for each piece.
    @ivar length: how many bytes it has, or twisted.web's word for not knowing.
    @ivar error: why the client's body could not be had.
    """

    def __init__(
        self, pieces: AsyncIterator[bytes], length: Any, moved: Callable[[], None]
    ) -> None:
        self.length = length
        self.error: Exception | None = None
        self._pieces = pieces
        self._moved = moved
        self._resumed: Deferred[None] | None = None
        self._work: Deferred[None] | None = None
        self._isStopped = False

    def startProducing(self, consumer: Any) -> Deferred[None]:
        """See L{IBodyProducer}."""
        done: Deferred[None] = Deferred(lambda done: self.stopProducing())
        self._work = Deferred.fromCoroutine(self._send(consumer))

        def ended(result: Failure | None) -> None:
            # Once it was told to stop, nobody may hear of it any more.
            if not (self._isStopped or done.called):
                done.callback(result)

        self._work.addBoth(ended)
        return done

    async def _send(self, consumer: Any) -> None:
        try:
            async for piece in self._pieces:
                if self._resumed is not None:
                    await self._resumed
                self._moved()
                consumer.write(piece)
        except Exception as error:
            self.error = error
            raise

    def pauseProducing(self) -> None:
        """See L{IBodyProducer}."""
        if self._resumed is None:
            self._resumed = Deferred()

    def resumeProducing(self) -> None:
        """See L{IBodyProducer}."""
        resumed, self._resumed = self._resumed, None
        if resumed is not None:
            resumed.callback(None)

    def stopProducing(self) -> None:
        """See L{IBodyProducer}."""
        self._isStopped = True
        if self._work is not None:
            self._work.cancel()


class Incoming(Protocol, AsyncIterator[bytes]):
    """
    A target's answer on its way to the client; a client that is slow slows the target down.

    @param moved: called for each piece.
    @param ended: called when no more will be asked of it.
    @ivar failure: why it broke off.
    """

    def __init__(self, moved: Callable[[], None], ended: Callable[[], None]) -> None:
        self.failure: Failure | None = None
        self._moved = moved
        self._ended = ended
        self._pieces: deque[bytes] = deque()
        self._size = 0
        self._isPaused = False
        self._isOver = False
        self._waiting: Deferred[None] | None = None

    def dataReceived(self, data: bytes) -> None:
        """More of it."""
        self._moved()
        self._pieces.append(data)
        self._size += len(data)
        if self._size >= _MOST_WAITING and not self._isPaused:
            self._isPaused = True
            self._transport.pauseProducing()
        self._wake()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """That was all of it, or will have to be."""
        self._isOver = True
        if not reason.check(ResponseDone, PotentialDataLoss):
            self.failure = reason
        self._wake()

    def breakOff(self, reason: Failure) -> bool:
        """
        It took too long.

        @return: whether it was the client who did.
        """
        if self._isPaused:
            return True
        if not self._isOver:
            self._isOver = True
            self.failure = reason
            self._transport.loseConnection()
            self._wake()
        return False

    async def __anext__(self) -> bytes:
        while not self._pieces:
            if self._isOver:
                self._ended()
                if self.failure is not None:
                    self.failure.raiseException()
                raise StopAsyncIteration
            self._waiting = Deferred()
            await self._waiting
        piece = self._pieces.popleft()
        self._size -= len(piece)
        if self._isPaused and self._size < _MOST_WAITING // 2 and not self._isOver:
            self._isPaused = False
            self._moved()
            self._transport.resumeProducing()
        return piece

    async def aclose(self) -> None:
        """No more is wanted."""
        self._ended()
        self._pieces.clear()
        if not self._isOver:
            self._isOver = True
            self._transport.loseConnection()

    @property
    def _transport(self) -> Any:
        return self.transport

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None and not waiting.called:
            waiting.callback(None)
