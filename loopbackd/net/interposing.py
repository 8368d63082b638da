"""What may stand between a stream and its protocol, and how it is put in and taken out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass
class Waiting:
    """
    What a protocol has asked of its transport that still holds.

    @ivar producer: what it registered, or L{None}.
    @ivar producerPaused: whether that was told to pause.
    @ivar readingPaused: whether the protocol wants to be given nothing for now.
    """

    producer: Any = None
    streaming: bool = False
    producerPaused: bool = False
    readingPaused: bool = False


class Interposed(Protocol):
    """
    Between a transport and its protocol, while both are in use.

    The transport calls it instead of doing what its protocol asks for, and instead of telling the
    protocol what has come. It does both in its own time, by the methods of
    L{loopbackd.net.eager.EagerWrites} whose names end in C{Beneath} or begin with C{deliver}.
    It is also the only producer of the transport.
    """

    @property
    def holdsUnsent(self) -> bool: ...
    @property
    def waiting(self) -> Waiting: ...

    # What the protocol asks for.

    def write(self, data: bytes) -> None: ...
    def finish(self) -> None:
        """Half-close, after what was written."""

    def close(self) -> None:
        """Close, after what was written."""

    def aborted(self) -> None:
        """The connection will be reset; until then nothing happens any more."""

    def registerProducer(self, producer: Any, streaming: bool) -> None: ...
    def unregisterProducer(self) -> None: ...
    def pauseReading(self) -> None: ...
    def resumeReading(self) -> None: ...

    # What has come.

    def received(self, data: bytes) -> None: ...
    def ended(self) -> None:
        """The peer has finished sending."""

    def lost(self, isOver: bool, tell: Callable[[], object]) -> None:
        """
        The stream is gone.

        @param isOver: nobody wants to hear what has come before.
        @param tell: tells the protocol; to be called once, when it has heard what has come before.
        """

    # Being the producer of the transport, which pauses and resumes it.

    def pauseProducing(self) -> None: ...
    def resumeProducing(self) -> None: ...
    def stopProducing(self) -> None: ...


def interpose(transport: Any, wire: Interposed) -> Waiting:
    """
    Put something between a live transport and its protocol.

    @return: what the protocol has asked for until now, to be gone on with.
    """
    if transport.pump is not None:
        transport.pump.handBack()
    found = Waiting(
        transport.producer,
        bool(transport.streamingProducer),
        # Twisted leaves it as it was when a producer is unregistered.
        bool(transport.producer is not None and transport.producerPaused),
        not (transport.peerFinished or transport.reactor.isReading(transport)),
    )
    # Once what is queued has been sent, the transport tells its producer.
    isFull = found.producerPaused and transport.hasUnsent
    transport._eager = False
    transport.wire = wire
    transport.producer, transport.streamingProducer = wire, True
    transport.producerPaused = isFull
    return found


def withdraw(transport: Any) -> None:
    """Take out of a live transport what is interposed; it must not hold anything any more."""
    left = transport.wire.waiting
    restoreProducer(transport)
    if left.producer is not None and (left.producerPaused or not left.streaming):
        transport.startWriting()
    if left.readingPaused:
        transport.rest()
    elif not transport.peerFinished:
        transport.startReading()
    if transport.pump is not None:
        transport.pump.take()


def restoreProducer(transport: Any) -> None:
    """Take out what is interposed, and no more than that: the transport will be closed."""
    left = transport.wire.waiting
    transport.wire = None
    transport.producer, transport.streamingProducer = left.producer, left.streaming
    transport.producerPaused = left.producerPaused
