"""
A WebSocket's connection (RFC 6455): frames, limits, backpressure and the closing handshake.

L{SocketConnection} tells a subclass what it hears; L{loopbackd.websocket.sockets} makes of that
something to write coroutines on.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from typing import Any, Final

from twisted.internet.interfaces import (
    IDelayedCall,
    IHalfCloseableProtocol,
    IPushProducer,
    IReactorTime,
    ISSLTransport,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from wsproto.events import Ping, Pong
from zope.interface import implementer

from loopbackd.connection import connectionOf
from loopbackd.logs import OncePerSecond
from loopbackd.net.turns import Turn, Turns
from loopbackd.tls.layer import TLSLayer
from loopbackd.websocket.deflate import Deflating
from loopbackd.websocket.frames import FINAL, MOST_IN_CONTROL, PONG, closeFrame, frame
from loopbackd.websocket.inbound import (
    MORE,
    Heard,
    Inbound,
    Part,
    PeerClosed,
    Piece,
    SocketLimits,
    Wrong,
)
from loopbackd.websocket.quick import Message

PATIENCE: Final = 2.0
"""Seconds for the client's half of the closing handshake, and again for its half of TCP's."""

ABNORMAL: Final = 1006
"""The code of a connection that ended without a close frame (section 7.1.5)."""

_log = Logger()

# So many frames are taken apart before others are served.
_A_TURN = 100


class Closed(Exception):
    """
    Nothing can be said, or heard, on this WebSocket any more.

    @ivar code: why; what the client said, or we if we were first; 1005 and 1006 as the RFC has it.
    @ivar reason: in words; often empty.
    """

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason


class _State(Enum):
    OPEN = auto()
    # We have sent a close frame and wait for the client's.
    CLOSING = auto()
    # All is said; what still comes is thrown away until the client closes.
    LEAVING = auto()
    LOST = auto()


@implementer(IHalfCloseableProtocol, IPushProducer)
class SocketConnection(Protocol):
    """
    The connection of a WebSocket, after its opening handshake.

    Whatever is heard is heard in order, and only as fast as it is wanted: while C{busy} is set, or
    the client does not read, frames stay bytes, and soon no more bytes are read.

    @param clock: an L{IReactorTime}.
    @param turns: where it queues for what takes a while; one of its own by default.
    @param lines: see C{lines}; of its own by default.
    @ivar ended: why it has ended; L{None} as long as it has not.
    @ivar busy: set by a subclass that wants to hear no more for now; L{goOn} after it is reset.
    @ivar isFull: whether the client is behind with reading.
    @ivar lines: to be asked before a line is logged that a client can cause as often as it likes.
    """

    transport: Any

    def __init__(
        self,
        clock: IReactorTime,
        limits: SocketLimits,
        deflating: Deflating | None = None,
        turns: Turns | None = None,
        lines: OncePerSecond | None = None,
    ) -> None:
        self.ended: Closed | None = None
        self.busy = False
        self.isFull = False
        self._clock = clock
        self._turns = Turns(clock) if turns is None else turns
        self.lines = OncePerSecond(clock) if lines is None else lines
        self._inbound = Inbound(limits, deflating)
        self._state = _State.OPEN
        self._resting: Turn | None = None
        self._paused = False
        self._inputOver = False
        self._work = 0
        self._deadline: IDelayedCall | None = None

    # For a subclass to say what it makes of them.

    def messageReceived(self, message: Message | Piece) -> None:
        """A message, or a piece of one, while the WebSocket is open."""

    def pongReceived(self, payload: bytes) -> None:
        """A pong."""

    def roomMade(self) -> None:
        """The client has caught up with reading."""

    def socketEnded(self, why: Closed) -> None:
        """Called once: nothing more is heard, and nothing can be said unless the client waits."""

    def connectionMade(self) -> None:
        """From here on the client's reading decides about ours."""
        self.transport.registerProducer(self, True)

    @property
    def isOpen(self) -> bool:
        """Whether something can be sent."""
        return self._state is _State.OPEN

    @property
    def shown(self) -> object:
        """What it is called in the log."""
        return connectionOf(self.transport) or "WebSocket"

    def raw(self, data: bytes, *, closes: bool = False) -> None:
        """
        Send bytes as they are, which need not be frames, or right.

        @param closes: whether they have something of a close frame, so that we say no more.
        @raise Closed: nothing can be sent any more.
        """
        if self._state is not _State.OPEN:
            raise self.ended or Closed(ABNORMAL)
        self.transport.write(data)
        if closes:
            self._closing(ABNORMAL, "")

    def close(self, code: int | None = 1000, reason: str = "") -> None:
        """
        Say goodbye; does nothing where that was done before.

        @param code: L{None} for a close frame without one.
        @raise ValueError: a close frame may not say that.
        """
        goodbye = closeFrame(code, reason)
        if self._state is not _State.OPEN:
            return
        self.transport.write(goodbye)
        self._closing(1005 if code is None else code, reason)

    def _closing(self, code: int, reason: str) -> None:
        """We have said goodbye."""
        if self._inputOver:
            self.leave()
        else:
            self._inbound.closeSent()
            self._state = _State.CLOSING
            self._within(PATIENCE, self.leave)
        self._end(code, reason)
        self.goOn()

    def hangUp(self) -> None:
        """End the TCP connection without a close frame, after what was sent."""
        self.leave()
        self._end(ABNORMAL)

    def reset(self) -> None:
        """Reset the TCP connection."""
        self._listenNoMore()
        self.transport.abortConnection()
        self._end(ABNORMAL)

    # What comes.

    def dataReceived(self, data: bytes) -> None:
        """Take frames apart, as far as there is somebody to take what is in them."""
        self._inbound.feed(data)
        if not self.busy and not self.isFull and self._resting is None:
            self._work = 0
            self.goOn()
        elif not self._paused:
            # What came was on its way; no more is asked for until there is room.
            self._paused = True
            self.transport.pauseProducing()

    def goOn(self) -> None:
        """Go on with the frames until a message is there, or something is in the way."""
        while not self.busy and not self.isFull and self._resting is None:
            heard = self._inbound.next()
            if heard is None:
                self._starved()
                return
            self._work += 1
            if self._work == _A_TURN or heard is MORE or isinstance(heard, Piece):
                # Everybody else gets a turn.
                self._resting = self._turns.take(self._rested)
            if isinstance(heard, str | bytes | Piece):
                if self._state is _State.OPEN:
                    self.messageReceived(heard)
            elif not isinstance(heard, Part):
                self._heardOther(heard)

    def _rested(self) -> None:
        self._resting = None
        self._work = 0
        self.goOn()

    def _starved(self) -> None:
        """All that has come is taken apart."""
        if self._paused:
            self._paused = False
            self.transport.resumeProducing()
        if self._inputOver and self.ended is None:
            self._end(ABNORMAL)

    def _heardOther(self, heard: Heard) -> None:
        if isinstance(heard, Ping):
            if self._state is _State.OPEN:
                self.transport.write(frame(FINAL | PONG, heard.payload))
        elif isinstance(heard, Pong):
            self.pongReceived(bytes(heard.payload))
        elif isinstance(heard, PeerClosed):
            if self._state is _State.OPEN:
                self.transport.write(closeFrame(None if heard.code == 1005 else heard.code))
            self.leave()
            self._end(heard.code, heard.reason)
        elif isinstance(heard, Wrong):
            more = self.lines.more("wrong")
            if more is not None:
                _log.warn(
                    "{connection}: wrong on a WebSocket, closed with {code}: {problem}{more}",
                    connection=self.shown,
                    code=heard.code,
                    problem=heard.problem,
                    more=more,
                )
            if self._state is _State.OPEN:
                self.transport.write(closeFrame(heard.code, heard.problem[: MOST_IN_CONTROL - 2]))
            self.leave()
            self._end(heard.code, heard.problem)

    # The end.

    def _end(self, code: int, reason: str = "") -> None:
        if self.ended is None:
            self.ended = Closed(code, reason)
            self.socketEnded(self.ended)

    def leave(self) -> None:
        """
        Close our side, and the rest when the client has closed its own.

        Closing all of it with something unread would make the kernel reset the connection, and the
        client could lose our last words.
        """
        if self._state in (_State.LEAVING, _State.LOST):
            return
        self._listenNoMore()
        self._within(PATIENCE, self.transport.abortConnection)
        if self._paused:
            self._paused = False
            self.transport.resumeProducing()
        halfClose = getattr(self.transport, "loseWriteConnection", None)
        if halfClose is None or self._inputOver or self._isOthersTLS():
            self.transport.loseConnection()
        else:
            halfClose()

    def _isOthersTLS(self) -> bool:
        """Whether closing our side would cut off TLS's own goodbye, as Twisted's TLS does."""
        return ISSLTransport.providedBy(self.transport) and not isinstance(self.transport, TLSLayer)

    def _listenNoMore(self) -> None:
        self._state = _State.LEAVING
        self._inbound.stop()
        self.isFull = False
        self.transport.unregisterProducer()

    def _within(self, seconds: float, call: Callable[[], object]) -> None:
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()
        self._deadline = self._clock.callLater(seconds, call)

    def readConnectionLost(self) -> None:
        """The client has sent all it will; what it sent before is heard to the end."""
        self._inputOver = True
        if self._state is _State.LEAVING:
            self.transport.loseConnection()
        elif self._state is _State.CLOSING:
            self.leave()
        else:
            self._within(PATIENCE, self.leave)
            self.goOn()

    def writeConnectionLost(self) -> None:
        """Our side is closed; the client's end comes next."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Leave no call behind."""
        self._state = _State.LOST
        self._inbound.stop()
        self.isFull = self._paused = False
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()
        if self._resting is not None:
            self._resting.cancel()
        self._end(ABNORMAL)

    # The transport's producer.

    def pauseProducing(self) -> None:
        """The client does not read: nothing is read from it."""
        self.isFull = True
        if not self._paused:
            self._paused = True
            self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        """There is room again."""
        if self.transport.disconnecting:
            # Somebody has closed it, and a transport with a producer would wait for more.
            self.transport.unregisterProducer()
            return
        self.isFull = False
        self.roomMade()
        self.goOn()

    def stopProducing(self) -> None:
        """The connection is gone; C{connectionLost} follows."""
