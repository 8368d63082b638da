"""Relays on a real kernel, with plain sockets at both ends."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from running import PATIENCE
from twisted.internet import reactor as realReactor
from twisted.internet.threads import deferToThread

from loopbackd.relaysettings import RelaySettings
from loopbackd.service import Loopback
from loopbackd.testing import addressOf, serving

reactor: Any = realReactor


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
