"""The wire of one connection: both of its links, between its transport and its protocol."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from loopbackd.faults.kind import Mark
from loopbackd.faults.link import Link
from loopbackd.net.interposing import Waiting, interpose, restoreProducer, withdraw
from loopbackd.net.linger import LINGER, hasUnreadInput

# How many bytes a producer may write before others have their turn.
_AT_ONCE: Final = 1 << 20

# The same for a producer that is asked for each piece.
_TURN: Final = 1 << 17


class Wire:
    """
    What a live transport gets while it has toxics (see L{loopbackd.net.interposing.Interposed}).

    It is in its place as soon as it is made, and leaves by itself once it has no toxics and holds
    nothing any more.

    @param transport: an accepted eager transport.
    @param clock: keeps the time of the toxics.
    @param gone: called when it has left, or its connection has ended.
    @ivar upstream: what the peer sends.
    @ivar downstream: what the protocol sends.
    """

    def __init__(self, transport: Any, clock: IReactorTime, gone: Callable[[Wire], object]) -> None:
        self._transport = transport
        self._gone = gone
        self._inPlace = True
        self._clock = clock
        self._asked = False
        self._closing = False
        self._finished = False
        self._ending = False
        self._lingering: IDelayedCall | None = None
        self._pulling = False
        self._unasked = 0
        self._tell: Callable[[], object] | None = None
        self.upstream = Link(clock, _Inbound(self, transport))
        self.downstream = Link(clock, _Outbound(self, transport))
        self.waiting: Waiting = interpose(transport, self)
        if self.waiting.readingPaused:
            self.upstream.pause()
            transport.startReading()
        if transport.producerPaused:
            self.downstream.pause()
        elif self.waiting.producer is not None:
            self.askProducer()

    @property
    def isBare(self) -> bool:
        """Whether there are no toxics on it."""
        return self.upstream.isBare and self.downstream.isBare

    @property
    def holdsUnsent(self) -> bool:
        """Whether something that was written has not come through."""
        return not self.downstream.isEmpty

    # What the protocol asks for.

    def write(self, data: bytes) -> None:
        """See L{Interposed}."""
        if not self._inPlace or self._finished:
            return
        self.downstream.feed(data)
        waiting = self.waiting
        # Having come through, it may have been the last that kept this here.
        if waiting.producer is not None and self._inPlace:
            self._unasked += len(data)
            if not waiting.streaming:
                self.askProducer()
            elif self._unasked > _AT_ONCE and not waiting.producerPaused:
                # A toxic may throw away all it is given; whoever gives must come to an end.
                self.stopProducer()
                self._transport.reactor.callLater(0, self.askProducer)

    def finish(self) -> None:
        """See L{Interposed}."""
        if not self._finished:
            self._finished = True
            self.downstream.feed(Mark.END)

    def close(self) -> None:
        """See L{Interposed}; a producer that waits for its turn comes first, as without a wire."""
        self._asked = self._closing = True
        self.upstream.close()
        producer = self.waiting.producer
        if producer is None or (self.waiting.streaming and not self.waiting.producerPaused):
            self.downstream.feed(Mark.CLOSE)

    def aborted(self) -> None:
        """See L{Interposed}."""
        self.upstream.close()
        self.downstream.close()
        if self._tell is not None:
            self._transport.reactor.soon(self.drop)

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """See L{Interposed}."""
        if self.waiting.producer is not None:
            raise RuntimeError(
                f"Cannot register producer {producer}, because producer {self.waiting.producer}"
                " was never unregistered."
            )
        if not self._inPlace or not self._transport.connected:
            producer.stopProducing()
            return
        self.waiting.producer, self.waiting.streaming = producer, streaming
        self.waiting.producerPaused = False
        if not streaming:
            producer.resumeProducing()
        elif not self._wantsMore:
            self.stopProducer()

    def unregisterProducer(self) -> None:
        """See L{Interposed}."""
        self.waiting.producer, self.waiting.producerPaused = None, False
        if self._closing:
            self.downstream.feed(Mark.CLOSE)

    def pauseReading(self) -> None:
        """See L{Interposed}."""
        self.waiting.readingPaused = True
        self.upstream.pause()
        if self._tell is not None:
            self._transport.reactor.soon(self._dropIfPaused)

    def resumeReading(self) -> None:
        """See L{Interposed}; what has waited is given afterwards, not from within."""
        if self.waiting.readingPaused:
            self.waiting.readingPaused = False
            self._transport.reactor.soon(self._resume)

    def _dropIfPaused(self) -> None:
        if self.waiting.readingPaused:
            self.drop()

    def _resume(self) -> None:
        if self._inPlace and not self.waiting.readingPaused:
            self.upstream.resume()

    # What has come.

    def received(self, data: bytes) -> None:
        """See L{Interposed}; whoever has asked for the end hears no more."""
        if not self._closing:
            self.upstream.feed(data)

    def ended(self) -> None:
        """See L{Interposed}."""
        if self._lingering is not None:
            self._leaveAndClose()
        elif self._closing and self.downstream.isStuck:
            self.cut(Mark.CLOSE)
        elif not self._closing:
            self.upstream.feed(Mark.END)

    def lost(self, isOver: bool, tell: Callable[[], object]) -> None:
        """See L{Interposed}."""
        self.downstream.close()
        self._tell = tell
        upstream = self.upstream
        if isOver or self._closing or upstream.isEmpty or upstream.isStuck or upstream.isPaused:
            self.drop()
        else:
            upstream.whenStuck = self.drop

    def drop(self) -> None:
        """Give up what came from a peer that is gone, and tell the protocol so."""
        if self._inPlace:
            self._leaveTo(restoreProducer)
            if self._tell is not None:
                self._tell()

    # The ends that toxics bring.

    def hangUp(self) -> None:
        """Close, after what was written and is held."""
        transport = self._transport
        if not transport.connected:
            self.drop()
            return
        self._closing = True
        self.upstream.close()
        self.stopProducing()
        if self._inPlace:
            transport.disconnecting = 1
            self.downstream.feed(Mark.CLOSE)

    def cut(self, mark: Mark) -> None:
        """End the connection now; what is held is thrown away."""
        transport = self._transport
        if not transport.connected:
            self.drop()
        elif mark is Mark.RESET:
            transport.abortConnection()
        else:
            transport.cutConnection()

    def finallyClose(self) -> None:
        """Close what is beneath: everything has come through."""
        if not self._inPlace or self._ending:
            return
        if self._asked:
            self._leaveAndClose()
            return
        # The protocol knows nothing of it, and may write more.
        transport = self._transport
        self._ending = self._closing = True
        self.stopProducing()
        self.upstream.close()
        self.downstream.close()
        transport.mute()
        # Once what is queued has been sent, the transport tells its producer.
        transport.producerPaused = True
        transport.startWriting()

    def _allSent(self) -> None:
        transport = self._transport
        if transport.peerFinished or not hasUnreadInput(transport):
            self._leaveAndClose()
        elif self._lingering is None:
            transport.endBeneath()
            transport.startReading()
            self._lingering = self._clock.callLater(LINGER, self._leaveAndClose)

    def _leaveAndClose(self) -> None:
        if self._inPlace:
            self._leaveTo(restoreProducer)
            self._transport.closeBeneath()

    def emptied(self) -> None:
        """A link holds nothing: perhaps there is nothing more to do."""
        if self._tell is not None:
            if self.upstream.isEmpty:
                self.drop()
        elif (
            self._inPlace
            and self.isBare
            and not self._closing
            and self.upstream.isEmpty
            and self.downstream.isEmpty
        ):
            self._leaveTo(withdraw)

    def _leaveTo(self, how: Callable[[Any], object]) -> None:
        self._inPlace = False
        if self._lingering is not None and self._lingering.active():
            self._lingering.cancel()
        self.upstream.close()
        self.downstream.close()
        how(self._transport)
        self._gone(self)

    # Between the producer of the protocol and the transport, whose producer this is.

    @property
    def _wantsMore(self) -> bool:
        return not (self.downstream.isPaused or self.downstream.holdsSource)

    def pauseProducing(self) -> None:
        """The transport has enough."""
        self.downstream.pause()
        self.stopProducer()

    def resumeProducing(self) -> None:
        """The transport wants more."""
        if self._ending:
            self._allSent()
            return
        self.downstream.resume()
        self.askProducer()

    def stopProducing(self) -> None:
        """The stream is gone."""
        producer, self.waiting.producer = self.waiting.producer, None
        if producer is not None:
            producer.stopProducing()

    def stopProducer(self) -> None:
        """Have the protocol's producer pause."""
        waiting = self.waiting
        if waiting.producer is not None and waiting.streaming and not waiting.producerPaused:
            waiting.producerPaused = True
            waiting.producer.pauseProducing()

    def askProducer(self) -> None:
        """Ask the protocol's producer for more, where there is room for it."""
        waiting = self.waiting
        if waiting.producer is None or not self._wantsMore or not self._inPlace:
            return
        if not waiting.streaming:
            if not self._pulling:
                self._pulling = True
                # Not soon: where a toxic throws everything away, nobody else had a turn any more.
                self._transport.reactor.callLater(0, self._pull)
        elif waiting.producerPaused:
            self._unasked = 0
            waiting.producerPaused = False
            waiting.producer.resumeProducing()

    def _pull(self) -> None:
        waiting = self.waiting
        self._unasked = 0
        written = -1
        # Once it writes nothing it is asked again when it has written something of its own accord.
        while written < self._unasked < _TURN and self._inPlace and self._wantsMore:
            written = self._unasked
            if waiting.streaming or waiting.producer is None:
                break
            waiting.producer.resumeProducing()
        self._pulling = False
        if self._unasked >= _TURN:
            self.askProducer()


class _Inbound:
    """Where the upstream link leads: to the protocol (see L{loopbackd.faults.link.Outlet})."""

    def __init__(self, wire: Wire, transport: Any) -> None:
        self._wire = wire
        self._transport = transport
        self.passOn = transport.deliver
        self.cut = wire.cut
        self.emptied = wire.emptied

    def ended(self, mark: Mark) -> None:
        """See L{Outlet.ended}."""
        if mark is Mark.END:
            self._transport.deliverEnd()
        elif mark is Mark.CLOSE:
            self._wire.hangUp()
        else:
            self._wire.cut(mark)

    def holdSource(self) -> None:
        """See L{Outlet.holdSource}."""
        if self._transport.connected:
            self._transport.rest()

    def releaseSource(self) -> None:
        """See L{Outlet.releaseSource}."""
        if self._transport.connected and not self._transport.peerFinished:
            self._transport.startReading()


class _Outbound:
    """Where the downstream link leads: to the peer (see L{loopbackd.faults.link.Outlet})."""

    def __init__(self, wire: Wire, transport: Any) -> None:
        self._wire = wire
        self._transport = transport
        self.passOn = transport.sendBeneath
        self.cut = wire.cut
        self.emptied = wire.emptied
        self.holdSource = wire.stopProducer
        self.releaseSource = wire.askProducer

    def ended(self, mark: Mark) -> None:
        """See L{Outlet.ended}."""
        if mark is Mark.END:
            self._transport.finishBeneath()
        elif mark is Mark.CLOSE:
            self._wire.finallyClose()
        else:
            self._wire.cut(mark)
