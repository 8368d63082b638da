"""
Eager transports: Twisted's stream transports that write at once and count what passes.

Twisted's own C{write} waits for one more turn of the reactor.  These send immediately when nothing
is queued, which saves that turn and two C{epoll_ctl} calls a message.  In everything else they
keep Twisted's promises: order, producers, C{loseConnection} after what was written, no
C{connectionLost} from inside C{loseConnection}.

One promise is added: when the peer has finished sending (a half-close) and the protocol does not
care to know, what was already written still goes out before the connection is closed.

Private names of L{twisted.internet.tcp} are read in this room alone;
C{tests/net/test_private_names.py} fails when Twisted changes them.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from twisted.internet import _newtls, abstract, main

from loopbackd.net.delivering import CONNECTION_DONE, Delivers


class EagerWrites(Delivers):
    """
    The mixin that makes a Twisted stream transport eager.

    @ivar bytesSent: bytes the kernel took.
    @ivar isMute: whether nothing is sent any more of what is written from now on.
    """

    bytesSent = 0
    isMute = False
    _isCut = False
    _tempDataBuffer: Any = ()

    def startTLS(self, ctx: Any, normal: bool = True) -> None:
        """See L{twisted.internet.interfaces.ITLSTransport}; the records are sent eagerly too."""
        self._eager = False
        wire = self.wire
        if wire is None:
            _newtls.startTLS(self, ctx, normal, _Beneath)
            return
        # Twisted moves the producer above TLS. That is the protocol's, not the wire.
        producer, streaming = wire.waiting.producer, wire.waiting.streaming
        if producer is not None:
            wire.unregisterProducer()
        self.producer = None
        _newtls.startTLS(self, ctx, normal, _Beneath)
        if self.wire is wire:
            self.producer, self.streamingProducer = wire, True
        if producer is not None:
            self.registerProducer(producer, streaming)

    def write(self, data: bytes) -> None:
        """Send at once what the kernel takes; queue the rest."""
        if not self._eager:
            self._writeWithCare(data)
            return
        # The hottest lines of the daemon.
        try:
            sent = self.socket.send(data)
        except OSError:
            # A full socket, or an error that the reactor will find when it tries again.
            sent = 0
        self.bytesSent += sent
        if sent != len(data):
            self._queue(bytes(data[sent:]))

    def _writeWithCare(self, data: bytes) -> None:
        """L{write} where something may be in the way: look at everything that could be."""
        if not self.TLS:
            self.writeBeneath(data)
        elif self.connected:
            self.protocol.write(data)

    def writeBeneath(self, data: bytes) -> None:
        """L{write}, below any TLS started on this transport."""
        if not isinstance(data, bytes | bytearray | memoryview):
            raise TypeError(f"data must be bytes, not {type(data).__name__}")
        if not self.connected or self._writeDisconnected or self._aborting or not data:
            return
        if self.isMute:
            return
        if self.wire is not None:
            self.wire.write(bytes(data))
        else:
            self.sendBeneath(data)

    def sendBeneath(self, data: bytes) -> None:
        """Send what the kernel takes and queue the rest, below whatever is interposed."""
        if self._mayPass():
            try:
                sent = self.socket.send(data)
            except OSError:
                sent = 0
            self.bytesSent += sent
            if sent != len(data):
                self._queue(bytes(data[sent:]))
            elif self.producer is not None and not self.streamingProducer:
                # Having sent at once must not keep the producer from being asked for more.
                self.startWriting()
            else:
                self._eager = not (
                    self.TLS
                    or self._writeDisconnecting
                    or self.disconnecting
                    or self.wire is not None
                )
        else:
            self._queue(bytes(data))

    @property
    def hasUnsent(self) -> bool:
        """Whether something that was written waits until the kernel takes it."""
        return not self._mayPass() or (self.wire is not None and self.wire.holdsUnsent)

    def _mayPass(self) -> bool:
        """Whether a write can overtake nothing."""
        return not (self._tempDataLen or self.dataBuffer)

    def _queue(self, data: bytes) -> None:
        self._eager = False
        if self._tempDataBuffer:
            self._tempDataBuffer.append(data)
        else:
            self._tempDataBuffer = [data]
        self._tempDataLen += len(data)
        self._maybePauseProducer()
        self.startWriting()

    # What ends eagerness; the next write that finds nothing in its way begins it again.

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """See L{twisted.internet.interfaces.IConsumer}."""
        self._eager = False
        if self.TLS:
            super().registerProducer(producer, streaming)  # type: ignore[misc]
        else:
            self.registerBeneath(producer, streaming)

    def unregisterProducer(self) -> None:
        """See L{twisted.internet.interfaces.IConsumer}."""
        if self.TLS:
            super().unregisterProducer()  # type: ignore[misc]
        else:
            self.unregisterBeneath()

    def registerBeneath(self, producer: Any, streaming: bool) -> None:
        """L{registerProducer}, below any TLS started on this transport."""
        if self.wire is not None:
            self.wire.registerProducer(producer, streaming)
        else:
            abstract.FileDescriptor.registerProducer(self, producer, streaming)  # type: ignore[arg-type]

    def unregisterBeneath(self) -> None:
        """L{unregisterProducer}, below any TLS started on this transport."""
        if self.wire is not None:
            self.wire.unregisterProducer()
        else:
            abstract.FileDescriptor.unregisterProducer(self)  # type: ignore[arg-type]

    def loseWriteConnection(self) -> None:
        """See L{twisted.internet.interfaces.IHalfCloseableDescriptor}."""
        self._eager = False
        if self.wire is not None:
            self.wire.finish()
        else:
            self.finishBeneath()

    def finishBeneath(self) -> None:
        """L{loseWriteConnection}, below whatever is interposed."""
        if self.producer is None and self._mayPass():
            self._writeDisconnecting = True
            self.reactor.soon(self._finishWriting)
        else:
            super().loseWriteConnection()  # type: ignore[misc]

    def _finishWriting(self) -> None:
        """Close our side if nothing was written or registered since it was asked for."""
        if self.connected and not (self._aborting or self._writeDisconnected):
            if self.producer is None and self._mayPass():
                self._writeDisconnected = True
                self._closeWriteConnection()
            else:
                self.startWriting()

    def abortConnection(self) -> None:
        """See L{twisted.internet.interfaces.ITCPTransport}."""
        self._eager = False
        if self.wire is not None:
            self.wire.aborted()
        super().abortConnection()  # type: ignore[misc]
        # Whoever looks whether it is being closed need not ask in which way.
        self.disconnecting = 1

    def cutConnection(self) -> None:
        """Close at once, as with C{abortConnection}, but with an end (FIN) and no reset."""
        if not self._aborting:
            self._isCut = True
            self.abortConnection()

    def writeSequence(self, iovec: Iterable[bytes]) -> None:
        """L{write} the chunks as one."""
        self.write(b"".join(iovec))

    def loseConnection(self) -> None:
        """
        Close once everything written has been sent; not while a producer is paused or pulled.

        @see: L{twisted.internet.interfaces.ITransport.loseConnection}
        """
        if self.TLS:
            if self.connected and not self.disconnecting:
                self.protocol.loseConnection()
            return
        self.loseBeneath()

    def loseBeneath(self) -> None:
        """L{loseConnection}, below any TLS started on this transport."""
        if self.connected and not self.disconnecting:
            self._eager = False
            if self.pump is not None:
                self.pump.handBack()
            self.disconnecting = 1
            if self.wire is not None:
                self.wire.close()
            else:
                self.closeBeneath()

    def mute(self) -> None:
        """Have what was written until now be the last that is sent."""
        self._eager = False
        self.isMute = True
        self.disconnecting = 1

    def endBeneath(self) -> None:
        """Half-close at once, where nothing is queued."""
        self._writeDisconnected = True
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)

    def closeBeneath(self) -> None:
        """Close once everything queued has been sent, below whatever is interposed."""
        self.disconnecting = 1
        self.stopReading()
        if self._writeDisconnected or (self.producer is None and self._mayPass()):
            self.reactor.soon(self._finish)
        else:
            self.startWriting()

    def _postLoseConnection(self) -> Any:
        """Everything queued was sent (see L{twisted.internet.abstract.FileDescriptor.doWrite})."""
        return main.CONNECTION_DONE if self.wire is None else None

    def _finish(self) -> None:
        """End the connection if nothing was written or registered since it was asked to."""
        if self.connected and not self._aborting:
            if self._writeDisconnected or (self.producer is None and self._mayPass()):
                self.connectionLost(CONNECTION_DONE)
            else:
                self.startWriting()

    def writeSomeData(self, data: bytes) -> int | BaseException:
        """Send queued data and count it (see L{twisted.internet.abstract.FileDescriptor})."""
        sent = super().writeSomeData(data)  # type: ignore[misc]
        if isinstance(sent, int) and sent > 0:
            self.bytesSent += sent
        return sent  # type: ignore[no-any-return]


class _Beneath:
    """What TLS calls to reach the bare connection (see L{twisted.internet._newtls})."""

    write = EagerWrites.writeBeneath
    loseConnection = EagerWrites.loseBeneath
    registerProducer = EagerWrites.registerBeneath
    unregisterProducer = EagerWrites.unregisterBeneath

    @staticmethod
    def writeSequence(transport: EagerWrites, iovec: Iterable[bytes]) -> None:
        transport.writeBeneath(b"".join(iovec))
