"""How a stream is reset so that what was written before is not lost where it need not be."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from loopbackd.net.eager import EagerWrites


def bareOf(transport: Any) -> EagerWrites | None:
    """The eager transport below any layers; L{None} where there is none."""
    while not isinstance(transport, EagerWrites):
        transport = getattr(transport, "transport", None)
        if transport is None:
            return None
    return transport


def sendAndReset(transport: Any) -> None:
    """
    Offer the kernel once more what waits to be sent, then reset the connection.

    What a reset overtakes is lost on any connection; this is not to make it more than it would have
    been without us.
    """
    bare: Any = bareOf(transport)
    if bare is not None and bare.connected and not bare._aborting and bare.hasUnsent:
        rest = bare.dataBuffer[bare.offset :] + b"".join(bare._tempDataBuffer)
        with suppress(OSError):
            bare.bytesSent += bare.socket.send(rest)
    transport.abortConnection()
