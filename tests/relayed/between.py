"""A relay in front of a real server, that server's own clients, and what may be left of them."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from programs import Ran, run
from realservers import PATIENCE, RealServer
from sockets import until
from twisted.internet import reactor as realReactor

from loopbackd.faults.toxics import Toxics
from loopbackd.faultsettings import ToxicSettings
from loopbackd.service import Loopback
from loopbackd.testing import addressOf, serving

reactor: Any = realReactor

TO_END = 5.0
"""Seconds after which nothing may be left of connections whose clients are gone."""

KEPT_PIPES = 8
"""How many pipes a daemon keeps for streams to come (L{loopbackd.net.pipes})."""

SECONDS = float(os.environ.get("LOOPBACKD_CHURN_SECONDS", "8"))
"""How long toxics come and go, with each server."""

HARMLESS: dict[str, dict[str, Any]] = {
    "noop": {},
    "latency": {"latency": 2, "jitter": 1},
    "bandwidth": {"rate": 20_000},
    "slow_close": {"delay": 30},
    "slicer": {"average_size": 100, "size_variation": 50, "delay": 10},
    "loss": {"rate": 0.001, "rto": 200},
    "slow_open": {"delay": 20},
}
"""Toxics that change only when something comes."""

DEADLY: dict[str, dict[str, Any]] = {
    "limit_data": {"bytes": 20},
    "timeout": {"timeout": 100},
    "reset_peer": {"timeout": 50},
    "cut": {"after": 0, "per_connection": True},
    "refuse": {},
}
"""Toxics that end connections."""


def held(pid: int | str = "self") -> tuple[int, int]:
    """
    How many sockets and how many ends of pipes a process has.

    Other descriptors, as the one that keeps the time of toxics, are no connection's.
    """
    here = f"/proc/{pid}/fd"
    found = []
    for number in os.listdir(here):
        with suppress(OSError):
            found.append(os.readlink(f"{here}/{number}"))
    sockets, pipes = (sum(name.startswith(kind) for name in found) for kind in ("socket:", "pipe:"))
    return sockets, pipes


def isLeft(before: tuple[int, int], after: tuple[int, int]) -> bool:
    """Whether connections that are gone have left something; pipes are kept for the next ones."""
    return after[0] > before[0] or after[1] > before[1] + 2 * KEPT_PIPES


class Between:
    """
    A relay in front of a server.

    @ivar loopback: the daemon that has it, as its service C{test}.
    """

    def __init__(self, loopback: Loopback, server: RealServer) -> None:
        self.loopback = loopback
        self._server = server
        address: Any = addressOf(loopback)
        self._where = ("-h", address.host, "-p", str(address.port))
        self._before = held(), self._calls()

    @property
    def toxics(self) -> Toxics:
        """Those of the relay."""
        return self.loopback.live("test").toxics

    async def ask(
        self, tool: str, *words: str, stdin: bytes = b"", patience: float = PATIENCE
    ) -> Ran:
        """What one of the server's clients makes of it through the relay."""
        path = self._server.tool(tool)
        environ = dict(self._server.environ)
        return await run(
            path, *self._where, *words, stdin=stdin, environ=environ, patience=patience
        )

    async def asks(self, tool: str, *words: str, stdin: bytes = b"") -> bytes:
        """The same, of one that must be content; what it prints."""
        ran = await self.ask(tool, *words, stdin=stdin)
        assert ran.code == 0, (ran.code, ran.out[-2000:], ran.err[-2000:])
        return ran.out

    def _calls(self) -> int:
        """How many delayed calls there are."""
        return sum(call.active() for call in reactor.getDelayedCalls())

    async def isBare(self) -> None:
        """Wait until nothing is left of the clients that were there."""

        def nothingLeft() -> bool:
            descriptors, calls = self._before
            return not (
                len(self.loopback.connections)
                or isLeft(descriptors, held())
                or self._calls() > calls
            )

        await until(
            nothingLeft,
            lambda: (list(self.loopback.connections), held(), self._calls(), self._before),
            TO_END,
        )


@asynccontextmanager
async def relayed(
    server: RealServer, *toxics: ToxicSettings, kind: str = "tcp", **others: Any
) -> AsyncIterator[Between]:
    """
    A relay in front of that server; of its clients, nothing may be left at the end.

    @param kind: of the target: C{tcp} or C{tls}.
    @param others: other settings of the relay.
    """
    target = f"{kind}:127.0.0.1:{server.port}"
    async with serving(reactor, "relay", target=target, toxic=toxics, **others) as loopback:
        between = Between(loopback, server)
        yield between
        await between.isBare()
