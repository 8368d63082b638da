"""What a TLS layer, as the transport of a protocol, tells of the stream beneath it."""

from __future__ import annotations

from typing import Any

from OpenSSL import SSL
from twisted.internet.protocol import Protocol

from loopbackd.connection import Connection, connectionOf


class Beneath(Protocol):
    """
    The questions that a protocol asks of its transport, answered by the one beneath or by OpenSSL.

    @ivar transport: the one beneath.
    """

    transport: Any
    tls: SSL.Connection | None = None

    @property
    def connection(self) -> Connection | None:
        """The facts about this stream (see L{connectionOf})."""
        return connectionOf(self.transport)

    @property
    def reactor(self) -> Any:
        """What the stream runs on."""
        return self.transport.reactor

    @property
    def connected(self) -> bool:
        """Whether the protocol inside can use it."""
        return self.tls is not None

    @connected.setter
    def connected(self, value: object) -> None:
        """Twisted's protocols note it in makeConnection; here it follows from the handshake."""

    @property
    def protocol(self) -> Any:
        """The protocol inside, as transports call it."""
        return getattr(self, "wrappedProtocol", self)

    @property
    def negotiatedProtocol(self) -> bytes | None:
        """See L{twisted.internet.interfaces.INegotiated}."""
        return (self.tls.get_alpn_proto_negotiated() or None) if self.tls is not None else None

    @property
    def producerPaused(self) -> bool:
        """Whether a producer that is registered now has been told to pause."""
        return bool(getattr(self.transport, "producerPaused", False))

    def getHandle(self) -> Any:
        """OpenSSL's connection; L{None} when it is gone."""
        return self.tls

    def getPeerCertificate(self) -> Any:
        """The certificate that the peer showed, as pyOpenSSL has it; or L{None}."""
        return None if self.tls is None else self.tls.get_peer_certificate()

    def getPeer(self) -> Any:
        """The peer's address."""
        return self.transport.getPeer()

    def getHost(self) -> Any:
        """Our own address."""
        return self.transport.getHost()

    def getTcpNoDelay(self) -> bool:
        """See L{twisted.internet.interfaces.ITCPTransport}."""
        return self.transport.getTcpNoDelay()  # type: ignore[no-any-return]

    def setTcpNoDelay(self, enabled: bool) -> None:
        """See L{twisted.internet.interfaces.ITCPTransport}."""
        self.transport.setTcpNoDelay(enabled)

    def getTcpKeepAlive(self) -> bool:
        """See L{twisted.internet.interfaces.ITCPTransport}."""
        return self.transport.getTcpKeepAlive()  # type: ignore[no-any-return]

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """See L{twisted.internet.interfaces.ITCPTransport}."""
        self.transport.setTcpKeepAlive(enabled)
