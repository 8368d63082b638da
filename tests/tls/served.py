"""A protocol of a test's own, in a real service that speaks TLS."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.threads import deferToThread

from loopbackd.settings import TLSSettings
from loopbackd.testing import addressOf, serving

protocol: Any = None
"""The class that is used now."""


def Served() -> Any:
    """As a configuration names it."""
    return protocol


async def served(reactor: Any, kind: Any, talk: Callable[[int], Any], tls: TLSSettings) -> Any:
    """What a client in a thread, given the port, finds out about that protocol under TLS."""
    global protocol
    protocol = kind
    async with serving(reactor, "tls.served:Served", tls=tls) as loopback:
        return await deferToThread(talk, addressOf(loopback).port)  # type: ignore[attr-defined]
