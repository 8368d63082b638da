"""Several endpoints that lead to the same: C{localhost} has two addresses."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from zope.interface import implementer


@implementer(IStreamClientEndpoint)
class FirstOf:
    """The first of some endpoints where somebody listens, tried one after the other."""

    def __init__(self, *endpoints: Any) -> None:
        self._endpoints = endpoints

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """See L{IStreamClientEndpoint}; the error is the last one's."""
        return Deferred.fromCoroutine(self._connect(protocolFactory))

    async def _connect(self, factory: IProtocolFactory) -> IProtocol:
        *others, last = self._endpoints
        made: IProtocol
        for endpoint in others:
            try:
                made = await endpoint.connect(factory)
            except ConnectError:
                continue
            return made
        made = await last.connect(factory)
        return made
