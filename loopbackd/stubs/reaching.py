"""The way to a real server."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any, Final

from twisted.internet.endpoints import (
    HostnameEndpoint,
    TCP4ClientEndpoint,
    TCP6ClientEndpoint,
    wrapClientTLS,
)
from twisted.internet.ssl import optionsForClientTLS
from twisted.web.client import URI
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer

from loopbackd.net.endpoint import leadsHere
from loopbackd.net.firstof import FirstOf

_CONNECT_TIMEOUT: Final = 10


@implementer(IAgentEndpointFactory)
class TargetEndpoints:
    """
    The way to a target.

    C{localhost} and names below it are never asked of a name server (RFC 6761 section 6.3).
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor

    def endpointForURI(self, uri: URI) -> Any:
        """See L{IAgentEndpointFactory}."""
        host, port = uri.host.decode("ascii").strip("[]"), uri.port
        endpoint = self._plain(host, port)
        if uri.scheme == b"https":
            return wrapClientTLS(optionsForClientTLS(host), endpoint)
        return endpoint

    def _plain(self, host: str, port: int) -> Any:
        try:
            version = ip_address(host).version
        except ValueError:
            if leadsHere(host):
                return FirstOf(self._plain("127.0.0.1", port), self._plain("::1", port))
            return HostnameEndpoint(self._reactor, host, port, timeout=_CONNECT_TIMEOUT)
        kind = TCP4ClientEndpoint if version == 4 else TCP6ClientEndpoint
        return kind(self._reactor, host, port, timeout=_CONNECT_TIMEOUT)
