"""Plain sockets as the far ends of connections, and waiting for what comes of them."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from typing import Any

from running import PATIENCE
from twisted.internet import reactor as realReactor
from twisted.internet.task import deferLater

from loopbackd.net.endpoint import hasIPv6

reactor: Any = realReactor


def reset(sock: socket.socket) -> None:
    """Close with a reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def readAll(sock: socket.socket) -> bytes:
    """Everything until the end; in a thread."""
    parts = []
    while part := sock.recv(1 << 16):
        parts.append(part)
    return b"".join(parts)


def readSome(sock: socket.socket, size: int) -> bytes:
    """So many bytes, or all there are until the end; in a thread."""
    parts = []
    while size and (part := sock.recv(min(size, 1 << 16))):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def readUntilReset(sock: socket.socket) -> bytes:
    """What comes before a reset, which must come; in a thread."""
    heard = b""
    try:
        while part := sock.recv(1 << 16):
            heard += part
    except ConnectionResetError:
        return heard
    raise AssertionError(f"an end, not a reset, after {heard[:100]!r}")


def endOf(sock: socket.socket) -> str:
    """How it ends, with nothing before that; in a thread."""
    try:
        return "end" if sock.recv(1) == b"" else "data"
    except ConnectionResetError:
        return "reset"


def freePort() -> int:
    """A port that nobody has on either loopback address, as far as the machine has both."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as first:
            port: int = first.getsockname()[1]
            if not hasIPv6():
                return port
            try:
                socket.create_server(("::1", port), family=socket.AF_INET6).close()
            except OSError:
                continue
            return port


async def until(
    found: Callable[[], Any],
    what: Callable[[], object] = lambda: "it does not come",
    seconds: float = PATIENCE,
) -> Any:
    """
    What is found, once it is; the reactor runs meanwhile.

    @param what: says what is wrong where it takes longer than that.
    """
    deadline = reactor.seconds() + seconds
    while not (it := found()):
        assert reactor.seconds() < deadline, what()
        await deferLater(reactor, 0.001)
    return it
