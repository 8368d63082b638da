"""What tests of toxics stand on: a link in memory, and a daemon whose service can be given some."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sockets import until
from twisted.internet import reactor as realReactor

from loopbackd.faults import line
from loopbackd.faults.kind import Effect
from loopbackd.faults.kinds import makeKind
from loopbackd.faults.line import FarEnd as Noting
from loopbackd.faults.line import Line
from loopbackd.faultsettings import ToxicSettings
from loopbackd.service import Loopback
from loopbackd.settings import ServiceSettings, Settings
from loopbackd.testing import addressOf, servingAll

__all__ = ["Line", "Noting"]

HERE = "tcp:0:interface=127.0.0.1"

reactor: Any = realReactor


def effectOf(type: str, seed: int = 1, number: int = 1, **others: Any) -> Effect:
    """The effect of such a toxic on the link of a connection of that number."""
    times = {key: others.pop(key) for key in ("since", "opened") if key in others}
    return line.effectOf(makeKind(type, others), seed=seed, number=number, **times)


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
    async with servingAll(reactor, Settings(service=(service,), drain=0)) as loopback:
        yield loopback
        await until(lambda: not loopback.alarms.getDelayedCalls())


def call(loopback: Loopback) -> socket.socket:
    """A client of C{main}, connected."""
    address: Any = addressOf(loopback, "main")
    return socket.create_connection((address.host, address.port), 10)


def onlyTransport(loopback: Loopback) -> Any:
    """The transport of the one connection there is."""
    (connection,) = loopback.connections
    return connection.transport
