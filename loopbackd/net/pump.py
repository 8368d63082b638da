"""
Joining two bare streams so that what one receives the other sends, with no protocol in between.

A pump takes over the reading of two eager transports. Small pieces go from C{recv} to C{send};
where much comes it goes through a pipe (C{splice(2)}) and its bytes are never in Python. All else
is as without it: what the sink does not take waits in the sink's own queue, whose producer is the
source, or in the pipe, while the source is not read; ends and errors are the transports' to tell;
counts stay live. At any moment both can be handed back, with everything in order.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import Any, Final

from twisted.internet import main

from loopbackd.net.eager import EagerWrites
from loopbackd.net.pipes import Pipe, Pipes

_MOST: Final = 1 << 20
_FLAGS: Final = getattr(os, "SPLICE_F_MOVE", 0) | getattr(os, "SPLICE_F_NONBLOCK", 0)
# What splice(2) says where it is not for such streams, or not there.
_NO_SPLICE: Final = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM, errno.ENOMEM)

_LONG: Final = 1 << 15
_LONG_READS: Final = 4
"""So many reads in a row that were at least so long are a stream."""

_SHORT: Final = 1 << 13
_SHORT_READS: Final = 8
"""So many in a row that were shorter are none any more."""


class _Flow:
    """One direction."""

    def __init__(self, source: Any, sink: Any, pipes: Pipes) -> None:
        self._source = source
        self._sink = sink
        self._pipes = pipes
        self._pipe: Pipe | None = None
        self._inPipe = 0
        self._count = 0
        self._splices = True
        self._reading: Callable[[], Any] | None = None

    def take(self) -> None:
        """Take over, if there is anything to be read for anybody."""
        source, sink = self._source, self._sink
        if self._reading is None and _canRead(source) and _canWrite(sink):
            self._readPieces()

    def _readPieces(self) -> None:
        """Read piece by piece, as long as they are small."""
        source, sink = self._source, self._sink
        receive, send, size = source.socket.recv, sink.socket.send, source.bufferSize
        self._count = 0

        # The hottest lines of a relay.
        def doRead() -> Any:
            try:
                data = receive(size)
            except BlockingIOError:
                return None
            except OSError:
                return main.CONNECTION_LOST
            if not data:
                return main.CONNECTION_DONE
            length = len(data)
            source.bytesReceived += length
            if sink.dataBuffer or sink._tempDataLen:
                sink._queue(data)
            else:
                try:
                    sent = send(data)
                except OSError:
                    # A full socket, or an error that the reactor will find when it tries again.
                    sent = 0
                sink.bytesSent += sent
                if sent != length:
                    sink._queue(data[sent:])
            if length >= _LONG:
                self._count += 1
                if self._count >= _LONG_READS and self._splices:
                    self._count = 0
                    source.doRead = self._reading = self._splice
            else:
                self._count = 0
            return None

        source.doRead = self._reading = doRead

    def _splice(self) -> Any:
        """Read into a pipe and send from it (the source's C{doRead}), while much comes at once."""
        source, sink = self._source, self._sink
        if sink.dataBuffer or sink._tempDataLen:
            # What waits goes first; its end is the time to read on.
            source.pauseProducing()
            sink.producerPaused = True
            return None
        pipe = self._pipes.take()
        if pipe is None:
            self._readPieces()
            return source.doRead()
        try:
            size = os.splice(source.socket.fileno(), pipe[1], _MOST, flags=_FLAGS)
        except BlockingIOError:
            self._pipes.give(pipe)
            return None
        except OSError as error:
            self._pipes.give(pipe)
            if error.errno not in _NO_SPLICE:
                # Told once: recv(2) would take it for an end.
                return main.CONNECTION_LOST
            self._splices = False
            self._readPieces()
            return source.doRead()
        if not size:
            self._pipes.give(pipe)
            return main.CONNECTION_DONE
        source.bytesReceived += size
        self._pipe, self._inPipe = pipe, size
        self._count = 0 if size >= _SHORT else self._count + 1
        try:
            self._empty()
        except BlockingIOError:
            source.rest()
            sink.doWrite = self._emptyOn
            sink.startWriting()
        except OSError:
            self._sendWithout()
        else:
            if self._count >= _SHORT_READS:
                self._readPieces()
        return None

    def _empty(self) -> None:
        """
        Send what is in the pipe; give it back when it is empty.

        @raise OSError: not all of it can be sent.
        """
        sink, pipe, number = self._sink, self._pipe, self._sink.socket.fileno()
        assert pipe is not None
        while self._inPipe:
            sent = os.splice(pipe[0], number, self._inPipe, flags=_FLAGS)
            sink.bytesSent += sent
            self._inPipe -= sent
        self._pipe = None
        self._pipes.give(pipe)

    def _emptyOn(self) -> Any:
        """Send on what is in the pipe, and then read on (the sink's C{doWrite})."""
        try:
            self._empty()
        except BlockingIOError:
            return None
        except OSError:
            self._sendWithout()
            return None
        self._release()
        self._sink.stopWriting()
        return None

    def _release(self) -> None:
        if self._sink.__dict__.get("doWrite") == self._emptyOn:
            del self._sink.doWrite
        self._source.resumeProducing()

    def _sendWithout(self) -> None:
        """An error of the sink's, which send(2) tells, or no splice(2) there."""
        self._splices = False
        self._readPieces()
        self._takeOut()

    def _takeOut(self) -> None:
        """What is in the pipe goes into the sink's queue."""
        pipe, self._pipe = self._pipe, None
        if pipe is None:
            return
        rest, self._inPipe = _readOut(pipe, self._inPipe), 0
        self._pipes.give(pipe)
        self._release()
        if self._sink.connected:
            # Behind the resuming: it may be what pauses the source.
            self._sink._queue(rest)

    def handBack(self) -> None:
        """Let the source read for its protocol, and the sink have what is in the pipe."""
        reading, self._reading = self._reading, None
        if reading is not None and self._source.__dict__.get("doRead") == reading:
            del self._source.doRead
        self._takeOut()


class Pump:
    """
    Two bare eager transports; whoever pauses and resumes the one is the producer of the other.

    @param pipes: where pipes are to be had.
    """

    def __init__(self, one: Any, other: Any, pipes: Pipes) -> None:
        self._ends = (one, other)
        self._flows = (_Flow(one, other, pipes), _Flow(other, one, pipes))
        one.pump = other.pump = self
        self.take()

    def take(self) -> None:
        """Take over what is there to be taken over; not while anything is interposed."""
        one, other = self._ends
        if one.wire is None and other.wire is None:
            for flow in self._flows:
                flow.take()

    def handBack(self) -> None:
        """Let both transports do for themselves; what is on its way is in their queues."""
        for flow in self._flows:
            flow.handBack()

    def close(self) -> None:
        """It is over: hand back for good."""
        self.handBack()
        self._ends[0].pump = self._ends[1].pump = None


def canPump(transport: object) -> bool:
    """Whether this is a bare stream of ours."""
    return isinstance(transport, EagerWrites) and not transport.TLS


def _canRead(source: Any) -> bool:
    return bool(source.connected) and not (source.disconnecting or source.peerFinished)


def _canWrite(sink: Any) -> bool:
    return bool(sink.connected) and not (
        sink.disconnecting or sink._writeDisconnecting or sink._writeDisconnected
    )


def _readOut(pipe: Pipe, size: int) -> bytes:
    parts = []
    while size:
        parts.append(os.read(pipe[0], size))
        size -= len(parts[-1])
    return b"".join(parts)
