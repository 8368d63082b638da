"""
A WebSocket as something to write coroutines on.

An application is a coroutine function::

    async def echo(socket: WebSocket) -> None:
        async for message in socket:
            await socket.send(message)

What is big and compressed can be taken in pieces, C{async for piece in socket.inPieces()}, and be
sent so.

Text comes and goes as L{str}, binary messages as L{bytes}.  When the function returns, the socket
is closed with 1000; when it raises, with 1011; when the connection is lost, it is cancelled.

At most one message waits for the application: nothing behind it is even looked at, a close frame
neither, before the application asks for more.  And nothing is read while the client does not read.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from loopbackd.logs import OncePerSecond
from loopbackd.net.turns import Turns
from loopbackd.websocket.connection import Closed, SocketConnection
from loopbackd.websocket.deflate import Deflating
from loopbackd.websocket.frames import FINAL, MOST_IN_CONTROL, PING, frame
from loopbackd.websocket.inbound import Piece, SocketLimits
from loopbackd.websocket.keepalive import Keepalive
from loopbackd.websocket.outbound import Outbound
from loopbackd.websocket.quick import Message

_log = Logger()


class WebSocket(SocketConnection):
    """
    One WebSocket, after its opening handshake.

    @param application: what talks on it.
    @param clock: an L{IReactorTime}.
    @param turns: where it queues for what takes a while; one of its own by default.
    @param lines: see C{lines}; of its own by default.
    @ivar subprotocol: what the handshake agreed on, or L{None}.
    @ivar compresses: whether messages are compressed.
    """

    def __init__(
        self,
        application: Application,
        clock: IReactorTime,
        limits: SocketLimits | None = None,
        subprotocol: str | None = None,
        deflating: Deflating | None = None,
        turns: Turns | None = None,
        lines: OncePerSecond | None = None,
    ) -> None:
        self._limits = limits or SocketLimits()
        super().__init__(clock, self._limits, deflating, turns, lines)
        self.subprotocol = subprotocol
        self.compresses = deflating is not None
        self._application = application
        self._outbound = Outbound(deflating, self._limits.maxMessage)
        self._isSaying = False
        self._running: Deferred[None] | None = None
        # What waits: a message for the application, or the application for something.
        self._held: Message | Piece | None = None
        self._waiter: Deferred[Any] | None = None
        self._writers: list[Deferred[None]] = []
        self._pings: dict[bytes, Deferred[None]] = {}
        self._deaf = False
        self._keepalive: Keepalive | None = None

    def connectionMade(self) -> None:
        """Start the application."""
        super().connectionMade()
        if self._limits.keepalive is not None:
            self._keepalive = Keepalive(
                self._clock, self._limits.keepalive, self._stillThere, self._gone
            )
        self._running = Deferred.fromCoroutine(self._run())
        self._running.addErrback(self._failed)

    async def _run(self) -> None:
        code = 1000
        try:
            await self._application(self)
        except Closed:
            pass
        except CancelledError:
            if self.ended is None:
                raise
        except Exception:
            code = 1011
            _log.failure("{connection}: its application failed.", connection=self.shown)
        self.ignoreMessages()
        self.close(code)

    def _failed(self, failure: Failure) -> None:
        _log.failure("{connection}: its application failed.", failure, connection=self.shown)
        self.transport.abortConnection()

    # To hear.

    async def receive(self) -> Message:
        """
        The next message.

        @raise Closed: there will be none.
        """
        message = self._take()
        if message is None:
            message = await self._nextHeard()
        return message  # type: ignore[return-value]

    async def _nextHeard(self) -> Message | Piece:
        if self.ended is not None:
            raise self.ended
        if self._waiter is not None:
            raise RuntimeError("somebody else waits for a message on this WebSocket")
        self._waiter = Deferred(self._waitsNoMore)
        return await self._waiter  # type: ignore[no-any-return]

    def __aiter__(self) -> WebSocket:
        """All messages, until there are no more."""
        return self

    async def __anext__(self) -> Message:
        message = self._take()
        if message is None:
            try:
                message = await self._nextHeard()
            except Closed:
                raise StopAsyncIteration from None
        return message  # type: ignore[return-value]

    def inPieces(self) -> AsyncIterator[Message | Piece]:
        """
        All messages, until there are no more; what is big and compressed piece by piece, so that
        nobody has all of it in memory: sixteen megabytes fit into sixteen kilobytes.
        """
        self._inbound.takesPieces = True
        return self

    def _take(self) -> Message | Piece | None:
        """A message that is there already."""
        if not self.busy:
            self.goOn()
        message, self._held = self._held, None
        self.busy = False
        return message

    def _waitsNoMore(self, waiter: Deferred[Any]) -> None:
        """The application was told to wait no longer."""
        self._waiter = None

    def ignoreMessages(self) -> None:
        """Throw away what comes from now on, for an application that only speaks."""
        self._deaf = self._inbound.ignoresMessages = True
        self._held = None
        self.busy = False
        self.goOn()

    # To say.

    async def send(self, message: Message | Piece) -> None:
        """
        Send a message, or a piece of one, once there is room for it.

        What is big is compressed while others have their turn.

        @raise Closed: it was closed before that.
        @raise RuntimeError: another message was begun in pieces, and not ended.
        """
        while self.isFull or self._isSaying:
            await self._room()
        framed = None if isinstance(message, Piece) else self._outbound.whole(message)
        if framed is not None:
            self.raw(framed)
            return
        self._isSaying = True
        try:
            for framed in self._outbound.frames(message):
                if not framed:
                    await self._turn()
                    continue
                while self.isFull:
                    await self._room()
                self.raw(framed)
        finally:
            self._isSaying = False
            self.roomMade()

    def trySend(self, message: Message) -> bool:
        """
        Send a message if there is room for it now; whether there was.

        @raise Closed: nothing can be sent any more.
        @raise RuntimeError: another message was begun in pieces, and not ended.
        """
        if self.isFull or self._isSaying:
            return False
        self.raw(self._outbound.whole(message) or b"".join(self._outbound.frames(message)))
        return True

    def _room(self) -> Deferred[None]:
        """Called back once the client has read, or another message is sent."""
        room: Deferred[None] = Deferred()
        self._writers.append(room)
        return room

    def _turn(self) -> Deferred[None]:
        """Called back once others were served."""
        came: Deferred[None] = Deferred(lambda _: turn.cancel())
        turn = self._turns.take(lambda: came.callback(None))
        return came

    async def ping(self, payload: bytes = b"") -> None:
        """
        Send a ping, and wait for its pong.

        @param payload: what tells it from other pings.
        @raise Closed: that came first.
        """
        if len(payload) > MOST_IN_CONTROL:
            raise ValueError(f"a ping has at most {MOST_IN_CONTROL} bytes, not {len(payload)}")
        if payload in self._pings:
            raise ValueError(f"a ping with {payload!r} is on its way already")
        self.raw(frame(FINAL | PING, payload))
        answered: Deferred[None] = Deferred()
        self._pings[payload] = answered
        try:
            await answered
        finally:
            self._pings.pop(payload, None)

    def seconds(self) -> float:
        """The time."""
        return self._clock.seconds()

    async def sleep(self, seconds: float) -> None:
        """Wait; no longer than there is a connection."""
        await deferLater(self._clock, seconds)

    # From the connection.

    def dataReceived(self, data: bytes) -> None:
        """Something is heard."""
        if self._keepalive is not None:
            self._keepalive.heard = True
        super().dataReceived(data)

    def messageReceived(self, message: Message | Piece) -> None:
        """It goes to the application if that waits for it, and waits for it otherwise."""
        waiter, self._waiter = self._waiter, None
        if waiter is not None:
            waiter.callback(message)
        elif not self._deaf:
            self._held = message
            self.busy = True

    def pongReceived(self, payload: bytes) -> None:
        """A pong answers its ping and those before it (section 5.5.3)."""
        if payload in self._pings:
            for sent in list(self._pings):
                self._pings.pop(sent).callback(None)
                if sent == payload:
                    break

    def roomMade(self) -> None:
        """Those who wait to send may."""
        waiting, self._writers = self._writers, []
        for one in waiting:
            one.callback(None)

    def socketEnded(self, why: Closed) -> None:
        """Everybody who waits is told."""
        waiting: list[Deferred[Any]] = [*self._writers, *self._pings.values()]
        if self._waiter is not None:
            waiting.append(self._waiter)
        self._held = self._waiter = None
        self.busy = False
        self._writers = []
        self._pings = {}
        for one in waiting:
            one.errback(Failure(why))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The application hears of it; if it waits for something else, that is cancelled."""
        super().connectionLost(reason)
        if self._keepalive is not None:
            self._keepalive.stop()
        if self._running is not None:
            self._running.cancel()

    def _stillThere(self) -> None:
        """Nothing was heard for a while."""
        assert self._keepalive is not None
        if self._paused:
            # Nothing can be heard.
            self._keepalive.heard = True
        elif self.isOpen:
            self.transport.write(frame(FINAL | PING, b""))

    def _gone(self) -> None:
        more = self.lines.more("pings")
        if more is not None:
            _log.warn(
                "{connection}: does not answer pings.{more}", connection=self.shown, more=more
            )
        self.reset()


Application = Callable[[WebSocket], Awaitable[None]]
"""What talks on a WebSocket."""
