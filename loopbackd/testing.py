"""
For tests of your own protocols and toxics.

For a protocol: a real service on a free port, and a client to talk to it; for a toxic: a L{Line}.

With pytest-twisted::

    @pytest_twisted.ensureDeferred
    async def test_shouts():
        from twisted.internet import reactor

        async with serving(reactor, "shout.protocol:ShoutFactory") as loopback:
            assert await converse(reactor, loopback, b"hi\\n") == b"HI\\n"
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import (
    TCP4ClientEndpoint,
    TCP6ClientEndpoint,
    UNIXClientEndpoint,
    connectProtocol,
)
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.interfaces import IAddress, IHalfCloseableProtocol
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from loopbackd.faults.line import Line as Line
from loopbackd.faults.line import effectOf as effectOf
from loopbackd.prepared import prepare
from loopbackd.service import Loopback
from loopbackd.settings import ServiceSettings, Settings

PATIENCE = 10.0
"""Seconds after which a conversation has failed."""


@asynccontextmanager
async def serving(
    reactor: Any,
    protocol: str,
    options: Mapping[str, Any] | None = None,
    *,
    endpoint: str = "tcp:0:interface=127.0.0.1",
    **others: Any,
) -> AsyncIterator[Loopback]:
    """
    The daemon with one service, named C{test}; gone without a trace afterwards.

    @param reactor: the real one, running.
    @param protocol: as in a configuration.
    @param options: keyword arguments for the protocol.
    @param others: other keys of L{ServiceSettings}.
    @raise SettingsError: the service cannot be had.
    """
    service = ServiceSettings(
        name="test",
        endpoint=endpoint,
        protocol=protocol,
        options=dict(options or {}),
        **{"twin": False, **others},
    )
    async with servingAll(reactor, Settings(service=(service,), drain=0)) as loopback:
        yield loopback


@asynccontextmanager
async def servingAll(
    reactor: Any, settings: Settings, directory: Path | None = None
) -> AsyncIterator[Loopback]:
    """The daemon with these settings; relative paths are relative to C{directory}."""
    prepared = prepare(settings, directory or Path.cwd())
    plain = bool(os.environ.get("LOOPBACKD_PLAIN_REACTOR"))
    loopback = Loopback(settings, prepared, reactor, plain)
    try:
        loopback.privilegedStartService()
        loopback.startService()
        yield loopback
    finally:
        await loopback.stopService()


def addressOf(loopback: Loopback, service: str = "test") -> IAddress:
    """What a service listens on; the twin left out."""
    return loopback.addresses[service][0]


@implementer(IHalfCloseableProtocol)
class Client(Protocol):
    """
    A client that collects what it is told.

    @ivar heard: all bytes received so far.
    @ivar finished: fires with C{heard} when the connection was closed, or aborted by us; fails
        when the server resets it.
    """

    def __init__(self) -> None:
        self.heard = b""
        self.finished: Deferred[bytes] = Deferred()
        self._expected: list[tuple[int, Deferred[bytes]]] = []
        self._ended: Failure | None = None

    def dataReceived(self, data: bytes) -> None:
        """Keep it."""
        self.heard += data
        due = [one for one in self._expected if len(self.heard) >= one[0]]
        self._expected = [one for one in self._expected if one not in due]
        for _, waiting in due:
            waiting.callback(self.heard)

    def hears(self, size: int) -> Deferred[bytes]:
        """
        Fires with all that was heard, once that is at least C{size} bytes.

        Fails with the reason of the end when they cannot come any more.
        """
        waiting: Deferred[bytes] = Deferred()
        if len(self.heard) >= size:
            waiting.callback(self.heard)
        elif self._ended is not None:
            waiting.errback(self._ended)
        else:
            self._expected.append((size, waiting))
        return waiting

    def readConnectionLost(self) -> None:
        """The server is done: so are we."""
        self.transport.loseConnection()  # type: ignore[union-attr]

    def writeConnectionLost(self) -> None:
        """As we asked."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """See C{finished}."""
        self._ended = reason
        expected, self._expected = self._expected, []
        for _, waiting in expected:
            waiting.errback(reason)
        if reason.check(ConnectionDone, ConnectionAborted):
            self.finished.callback(self.heard)
        else:
            self.finished.errback(reason)


async def connect(reactor: Any, to: Loopback | IAddress) -> Client:
    """A client, connected."""
    address = addressOf(to) if isinstance(to, Loopback) else to
    endpoint: Any
    if isinstance(address, IPv4Address):
        endpoint = TCP4ClientEndpoint(reactor, address.host, address.port)
    elif isinstance(address, IPv6Address):
        endpoint = TCP6ClientEndpoint(reactor, address.host, address.port)
    elif isinstance(address, UNIXAddress):
        endpoint = UNIXClientEndpoint(reactor, address.name)
    else:
        raise TypeError(f"no way to connect to {address!r}")
    client: Client = await connectProtocol(endpoint, Client())
    return client


def _outOfPatience(result: bytes | Failure, seconds: float) -> bytes | Failure:
    if isinstance(result, Failure) and result.check(CancelledError):
        raise TimeoutError(f"the server did not close in {seconds:g} s")
    return result


async def converse(reactor: Any, to: Loopback | IAddress, data: bytes) -> bytes:
    """
    Say everything, finish sending, and listen to the end.

    @raise TimeoutError: that took longer than L{PATIENCE}.
    """
    client = await connect(reactor, to)
    transport: Any = client.transport
    if data:
        transport.write(data)
    transport.loseWriteConnection()
    client.finished.addTimeout(PATIENCE, reactor, _outOfPatience)
    try:
        return await client.finished
    finally:
        transport.abortConnection()
