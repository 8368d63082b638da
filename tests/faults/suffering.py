"""What tests of toxics stand on: a link in memory, and a daemon whose service can be given some."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

from twisted.internet import reactor as realReactor
from twisted.internet.task import Clock, deferLater

from loopbackd.faults.kinds import makeKind
from loopbackd.faults.link import Link
from loopbackd.faults.toxic import Context, Effect, Mark, Piece
from loopbackd.faultsettings import ToxicSettings
from loopbackd.prepared import prepare
from loopbackd.service import Loopback
from loopbackd.settings import ServiceSettings, Settings
from loopbackd.testing import addressOf

HERE = "tcp:0:interface=127.0.0.1"

reactor: Any = realReactor


class Noting:
    """An outlet that notes what comes out, and when."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.came: list[tuple[float, Piece]] = []
        self.cuts: list[tuple[float, Mark]] = []
        self.held = False
        self.link: Link | None = None

    @property
    def data(self) -> bytes:
        return b"".join(piece for _, piece in self.came if isinstance(piece, bytes))

    def passOn(self, chunk: bytes) -> None:
        self.came.append((round(self._clock.seconds(), 6), chunk))

    def ended(self, mark: Mark) -> None:
        self.came.append((round(self._clock.seconds(), 6), mark))

    def cut(self, mark: Mark) -> None:
        self.cuts.append((round(self._clock.seconds(), 6), mark))
        if self.link is not None:
            self.link.close()

    def holdSource(self) -> None:
        self.held = True

    def releaseSource(self) -> None:
        self.held = False

    def emptied(self) -> None:
        pass


class Line:
    """A link in memory, its time and its far end."""

    def __init__(self, *effects: Effect) -> None:
        self.clock = Clock()
        self.outlet = Noting(self.clock)
        self.link = self.outlet.link = Link(self.clock, self.outlet)
        for number, effect in enumerate(effects):
            self.link.put(effect, number)

    @property
    def came(self) -> list[tuple[float, Piece]]:
        return self.outlet.came

    def at(self, when: float, *pieces: Piece) -> None:
        """Let time pass until then, and feed these."""
        self.until(when)
        for piece in pieces:
            self.link.feed(piece)

    def until(self, when: float) -> None:
        """Let time pass, one timer after the other."""
        while (calls := self.clock.getDelayedCalls()) and calls[0].getTime() <= when:
            self.clock.advance(max(0.0, calls[0].getTime() - self.clock.seconds()))
        self.clock.advance(max(0.0, when - self.clock.seconds()))


def effectOf(
    type: str,
    seed: int = 1,
    number: int = 1,
    since: float = 0.0,
    opened: float = 0.0,
    **attributes: Any,
) -> Effect:
    """The effect of such a toxic on the link of a connection of that number."""
    kind = makeKind(type, attributes)
    made = kind.effect(Context(Random(f"{seed}/{number}"), since, number, kind.share(), opened))
    assert made is not None
    return made


def toxic(type: str, **others: Any) -> ToxicSettings:
    """Settings of a toxic: what they have a field for, and the rest as its attributes."""
    known = {
        key: others.pop(key) for key in ("name", "stream", "toxicity", "seed") if key in others
    }
    return ToxicSettings(type=type, attributes=others, **known)


@asynccontextmanager
async def serving(
    *toxics: ToxicSettings, protocol: str = "echo", **others: Any
) -> AsyncIterator[Loopback]:
    """A daemon with one service, C{main}, on a free port."""
    others = {"endpoint": HERE, **others}
    service = ServiceSettings(name="main", protocol=protocol, twin=False, toxic=toxics, **others)
    settings = Settings(service=(service,), drain=0)
    plain = bool(os.environ.get("LOOPBACKD_PLAIN_REACTOR"))
    loopback = Loopback(settings, prepare(settings, Path()), reactor, plain)
    loopback.privilegedStartService()
    loopback.startService()
    try:
        yield loopback
        await until(lambda: not loopback.alarms.getDelayedCalls())
    finally:
        await loopback.stopService()


def call(loopback: Loopback) -> socket.socket:
    """A client of C{main}, connected."""
    address: Any = addressOf(loopback, "main")
    return socket.create_connection((address.host, address.port), 10)


def readAll(client: socket.socket) -> bytes:
    """What it gets until the end."""
    parts = []
    while part := client.recv(65536):
        parts.append(part)
    return b"".join(parts)


def onlyTransport(loopback: Loopback) -> Any:
    """The transport of the one connection there is."""
    (connection,) = loopback.connections
    return connection.transport


async def until(found: Callable[[], object]) -> None:
    """Wait until it is so."""
    deadline = time.monotonic() + 10
    while not found():
        assert time.monotonic() < deadline
        await deferLater(reactor, 0.005)
