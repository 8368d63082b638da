"""What a C{tls:} client endpoint string says."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from twisted.internet.endpoints import (
    HostnameEndpoint,
    TCP4ClientEndpoint,
    TCP6ClientEndpoint,
    clientFromString,
)

from loopbackd.explaining import oneOf, shown
from loopbackd.net.endpoint import leadsHere, split
from loopbackd.net.firstof import FirstOf
from loopbackd.settings import SettingsError
from loopbackd.tls.certificates import addressIn

_ARGUMENTS = (
    "host",
    "port",
    "timeout",
    "bindAddress",
    "certificate",
    "privateKey",
    "trustRoots",
    "endpoint",
)
HOST_NAME: Final = re.compile(
    r"(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_-]+)*\.?"
)
"""A host name in ASCII, not looked at more closely."""

_SECONDS = re.compile(r"[0-9]{1,5}(\.[0-9]{1,9})?")
_MOST_SECONDS = 86400.0


@dataclass(frozen=True, slots=True)
class TLSTarget:
    """
    A C{tls:} endpoint string taken apart.

    @ivar text: the string.
    @ivar seconds: how long connecting and the handshake may take, together; 0 for not saying.
    @ivar bindAddress: our own address; empty for any.
    @ivar endpoint: what to reach instead of host and port; empty for those.
    """

    text: str
    host: str
    port: int
    seconds: float = 0.0
    bindAddress: str = ""
    certificate: str = ""
    privateKey: str = ""
    trustRoots: str = ""
    endpoint: str = ""

    def plain(self, reactor: Any, seconds: float) -> Any:
        """The endpoint without its TLS, for whoever gives up sooner than this."""
        if self.endpoint:
            return clientFromString(reactor, self.endpoint)
        bind = (self.bindAddress, 0) if self.bindAddress else None
        address = addressIn(self.host)
        if address is not None:
            kind = TCP4ClientEndpoint if address.version == 4 else TCP6ClientEndpoint
            return kind(reactor, str(address), self.port, seconds, bind)
        if bind is None and leadsHere(self.host):
            # Never asked of a name server (RFC 6761 section 6.3).
            return FirstOf(
                TCP4ClientEndpoint(reactor, "127.0.0.1", self.port, seconds),
                TCP6ClientEndpoint(reactor, "::1", self.port, seconds),
            )
        return HostnameEndpoint(reactor, self.host, self.port, seconds, bind)


def takeApart(text: str) -> TLSTarget:
    """
    What a C{tls:} client endpoint string says, which are Twisted's.

    @raise SettingsError: it is none, or not complete; one line.
    """
    parts = split(text)
    if parts[0] != ("", "tls"):
        raise SettingsError(f"target {shown(text)} is not spoken to with TLS; write tls:host:port")
    given: dict[str, str] = {}
    positional = iter(_ARGUMENTS)
    for name, value in parts[1:]:
        name = name or next(positional, "")
        if name not in _ARGUMENTS:
            raise SettingsError(
                f"target {shown(text)}: tls has no argument {shown(name or value)};"
                f" {oneOf(name, _ARGUMENTS)}"
            )
        given[name] = value
    host, port = given.pop("host", "").strip("[]"), given.pop("port", "")
    if addressIn(host) is None and not HOST_NAME.fullmatch(host):
        raise SettingsError(
            f"target {shown(text)}: {shown(host)} is no host; write tls:host:port, the host in"
            " ASCII (xn--...), the colons of an IPv6 address as \\:"
        )
    if not (re.fullmatch(r"[0-9]{1,5}", port) and 0 < int(port) < 65536):
        raise SettingsError(
            f"target {shown(text)}: port {shown(port)} is not a number from 1 to 65535;"
            " write tls:host:port"
        )
    seconds = given.pop("timeout", "")
    if seconds and not (_SECONDS.fullmatch(seconds) and 0 < float(seconds) <= _MOST_SECONDS):
        raise SettingsError(
            f"target {shown(text)}: timeout {shown(seconds)} is not a number of seconds"
        )
    if "endpoint" in given:
        _checkEndpoint(text, given["endpoint"])
    return TLSTarget(text, host, int(port), float(seconds or 0), **given)


def _checkEndpoint(text: str, endpoint: str) -> None:
    try:
        clientFromString(object(), endpoint)
    except (ValueError, TypeError, LookupError) as error:
        raise SettingsError(
            f"target {shown(text)}: endpoint {shown(endpoint)} cannot be used: {error}"
        ) from None
