"""
What we say on a TLS connection: encrypted and handed on at once, up to our close_notify.

Nothing waits here: the queue, the producers and the pushing back are those of the transport
beneath.
"""

from __future__ import annotations

from typing import Any

from OpenSSL import SSL

from loopbackd.tls.beneath import Beneath
from loopbackd.tls.handshake import explained, waiting

# The plaintext of a record (RFC 8446 5.1), and what goes to the transport beneath in one piece.
_RECORD = 1 << 14
_PIECE = 1 << 16


class Speaking(Beneath):
    """
    The half of a TLS layer that speaks.

    @ivar disconnecting: whether the protocol inside has asked for the end.
    """

    def __init__(self) -> None:
        self.disconnecting = False
        self._canWrite = False
        self._collecting = False
        self._collected = 0
        self._unsent = b""
        self._producer: Any = None
        self._streaming = False

    @property
    def hasUnsent(self) -> bool:
        """Whether something that was written waits until the kernel takes it."""
        return self._collected > 0 or getattr(self.transport, "hasUnsent", True)

    def _broke(self, why: str) -> None:
        """This is not TLS any more."""
        raise NotImplementedError

    def write(self, data: bytes) -> None:
        """
        Encrypt and send at once; the transport beneath queues what the kernel does not take.

        What is written while the protocol inside is told something goes out when it returns, or
        before if it is much.
        """
        if not isinstance(data, bytes | bytearray | memoryview):
            raise TypeError(f"data must be bytes, not {type(data).__name__}")
        if not self._canWrite or self.tls is None or not data:
            return
        size = len(data)
        try:
            if size <= _RECORD:
                self.tls.send(data)
                self._collected += size
                if not self._collecting or self._collected > _PIECE:
                    self._flushPart()
                return
            view = memoryview(data)
            for start in range(0, size, _PIECE):
                for at in range(start, min(start + _PIECE, size), _RECORD):
                    self.tls.send(view[at : at + _RECORD])
                self._flushPart()
        except SSL.Error as error:
            self._broke(explained(error))

    def writeSequence(self, iovec: Any) -> None:
        """L{write} the chunks as one."""
        self.write(b"".join(iovec))

    def _flush(self) -> None:
        """Send whatever was collected, and collect no more."""
        self._collecting = False
        self._flushPart()

    def _flushPart(self) -> None:
        """Send whatever OpenSSL has to say."""
        self._collected = 0
        said, self._unsent = self._unsent, b""
        if self.tls is not None:
            said += waiting(self.tls)
        if said:
            self.transport.write(said)

    def _sayGoodbye(self) -> None:
        """close_notify: nothing of ours comes after it."""
        if self._canWrite and self.tls is not None:
            self._canWrite = False
            try:
                self.tls.shutdown()
            except SSL.Error:
                # OpenSSL has had an error before, and does not say goodbye after one.
                return
            finally:
                self._flushPart()

    def loseWriteConnection(self) -> None:
        """Say that nothing more comes of us; the peer can go on."""
        if self._canWrite:
            self._sayGoodbye()
            self.transport.loseWriteConnection()

    def cutShort(self) -> None:
        """Nothing more comes of us, and FIN alone says so: it need not have been all there was."""
        if self._canWrite:
            self._canWrite = False
            self._flushPart()
            self.transport.loseWriteConnection()

    def loseConnection(self) -> None:
        """Send what was written, say goodbye, close; not while a producer is paused or pulled."""
        if self.disconnecting:
            return
        self.disconnecting = True
        waits = not self._streaming or getattr(self.transport, "producerPaused", False)
        if self._producer is not None and waits:
            self.transport.pauseProducing()
        else:
            self._close()

    def _close(self) -> None:
        self._sayGoodbye()
        self.transport.loseConnection()

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """See L{IConsumer}; it is the transport beneath that asks and pauses."""
        if self.tls is None:
            producer.stopProducing()
            return
        self.transport.registerProducer(producer, streaming)
        self._producer, self._streaming = producer, streaming

    def unregisterProducer(self) -> None:
        """See L{IConsumer}."""
        if self._producer is not None:
            self._producer = None
            self.transport.unregisterProducer()
            if self.disconnecting:
                self._close()
