"""Relays on a real kernel, with plain sockets at both ends."""

from __future__ import annotations

import socket
import struct
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from twisted.internet import reactor as realReactor
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from loopbackd.relaysettings import RelaySettings
from loopbackd.service import Loopback
from loopbackd.testing import addressOf, serving

reactor: Any = realReactor
PATIENCE = 10


@contextmanager
def listening(family: int = socket.AF_INET, where: Any = ("127.0.0.1", 0)) -> Iterator[Any]:
    """A target's listening socket."""
    with socket.socket(family, socket.SOCK_STREAM) as server:
        server.bind(where)
        server.listen()
        server.settimeout(PATIENCE)
        yield server


def shown(server: socket.socket) -> str:
    """The target that a listening socket is."""
    name = server.getsockname()
    if server.family == socket.AF_UNIX:
        return f"unix:{name}"
    return f"[{name[0]}]:{name[1]}" if server.family == socket.AF_INET6 else f"{name[0]}:{name[1]}"


@asynccontextmanager
async def relaying(
    target: str,
    endpoint: str = "tcp:0:interface=127.0.0.1",
    relay: RelaySettings | None = None,
    **others: Any,
) -> AsyncIterator[Loopback]:
    """A daemon whose only service is a relay."""
    settings = {"target": target, "relay": relay, **others}
    async with serving(reactor, "relay", endpoint=endpoint, **settings) as loopback:
        yield loopback


def connectTo(loopback: Loopback) -> socket.socket:
    """A client of the relay."""
    address: Any = addressOf(loopback)
    if hasattr(address, "name"):
        client = socket.socket(socket.AF_UNIX)
        client.connect(address.name)
    else:
        client = socket.create_connection((address.host, address.port))
    client.settimeout(PATIENCE)
    return client


@asynccontextmanager
async def joined(
    server: socket.socket, **others: Any
) -> AsyncIterator[tuple[socket.socket, socket.socket, Loopback]]:
    """A client and its target's accepted socket, and the relay between them."""
    async with relaying(shown(server), **others) as loopback:
        client = connectTo(loopback)
        accepted, _ = await deferToThread(server.accept)
        accepted.settimeout(PATIENCE)
        with client, accepted:
            yield client, accepted, loopback


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
    """So many bytes; in a thread."""
    parts = []
    while size and (part := sock.recv(min(size, 1 << 16))):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def endOf(sock: socket.socket) -> str:
    """How it ends, with nothing before that; in a thread."""
    try:
        return "end" if sock.recv(1) == b"" else "data"
    except ConnectionResetError:
        return "reset"


def readUntilReset(sock: socket.socket) -> bytes:
    """What comes before a reset, which must come; in a thread."""
    heard = b""
    try:
        while part := sock.recv(1 << 16):
            heard += part
    except ConnectionResetError:
        return heard
    raise AssertionError(f"an end, not a reset, after {heard[:100]!r}")


async def until(found: Callable[[], Any]) -> Any:
    """What is found, once it is."""
    deadline = reactor.seconds() + PATIENCE
    while not (it := found()):
        assert reactor.seconds() < deadline, "it does not come"
        await deferLater(reactor, 0.001, lambda: None)
    return it
