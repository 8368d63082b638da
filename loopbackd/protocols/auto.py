"""One address for every protocol: look at the first bytes, hand over, and be gone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet import main
from twisted.internet.interfaces import (
    IAddress,
    IHalfCloseableProtocol,
    IHandshakeListener,
    ISSLTransport,
)
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from loopbackd.connection import connectionOf
from loopbackd.iloopbackd import IServedFactory, Surroundings
from loopbackd.logs import OncePerSecond
from loopbackd.net.deadlines import Deadlines
from loopbackd.net.delivering import protocolFailed
from loopbackd.net.transport import switchProtocol
from loopbackd.protocols.detect import Detector, Kind
from loopbackd.protocols.proxyheader import ProxyHeader, ProxyHeaderError, ProxyParser
from loopbackd.tls.end import TLSEnd
from loopbackd.tls.layer import TLSLayer
from loopbackd.tls.terminator import Terminator

_log = Logger()

UNWRAP = "unwrap"
"""The route of a PROXY header that is read and taken off, after which detection starts again."""

TERMINATE = "terminate"
"""The route of TLS that is ended here, after which detection starts again inside."""


@implementer(IHalfCloseableProtocol, IHandshakeListener)
class Auto(Protocol):
    """
    A connection whose protocol is not known yet.

    A client that says nothing is greeted after a moment.  What it did say goes to the protocol
    chosen, which then has the transport to itself.
    """

    transport: Any
    factory: AutoFactory

    def __init__(self, isInside: bool = False) -> None:
        """
        What comes is looked at.

        @param isInside: TLS was taken off already.
        """
        self._isInside = isInside
        self._detector = Detector()
        self._proxy: ProxyParser | None = None
        self._unwrapped = False
        self._heard = False
        self._handedOver = False

    def connectionMade(self) -> None:
        """Wait for the client to say something; under TLS, once it can."""
        if not ISSLTransport.providedBy(self.transport):
            self.factory.silent.start(self)

    def handshakeCompleted(self) -> None:
        """See L{IHandshakeListener}."""
        self.factory.silent.start(self)

    def dataReceived(self, data: bytes) -> None:
        """Look whether that is enough to tell."""
        if not self._heard:
            self._heard = True
            self.factory.silent.stop(self)
            self.factory.undecided.start(self)
        if self._proxy is not None:
            self._readHeader(self._proxy, data)
            return
        kind = self._detector.feed(data)
        if kind is not None:
            self._decided(kind)

    def wasSilent(self) -> None:
        """The client has had its moment."""
        self._unattended(self._handOver, "silent", b"")

    def wasUndecided(self) -> None:
        """The client began something and has not gone on: take it for what it looks like."""
        if self._proxy is not None:
            self._sayOf("its PROXY header never ended.")
            self.transport.abortConnection()
        else:
            self._unattended(self._decided, self._detector.decide())

    def _unattended(self, call: Callable[..., object], *args: object) -> None:
        """Call where no transport is looking; what is raised ends this connection, as elsewhere."""
        try:
            call(*args)
        except BaseException:
            protocolFailed(self.transport, "makeConnection")
            self.transport.abortConnection()

    def readConnectionLost(self) -> None:
        """The client has said all it will."""
        if self._proxy is not None:
            self.transport.loseConnection()
            return
        if not self._heard:
            self._handOver("silent", b"")
        else:
            self._decided(self._detector.decide())
        if self._handedOver and not self.transport.disconnecting:
            # Whoever has the connection now has not heard of its end yet.
            self.transport.readConnectionLost(Failure(main.CONNECTION_DONE))

    def writeConnectionLost(self) -> None:
        """Never asked for."""

    def connectionLost(self, reason: Failure = Failure(main.CONNECTION_DONE)) -> None:  # noqa: B008
        """It ended before anything was decided."""
        self._stopWaiting()

    def _stopWaiting(self) -> None:
        self.factory.silent.stop(self)
        self.factory.undecided.stop(self)

    def _decided(self, kind: Kind) -> None:
        data = self._detector.data
        if kind is Kind.TLS and self.factory.terminator is not None:
            if self._isInside:
                self._sayOf("TLS within TLS.")
                self._stopWaiting()
                self.transport.loseConnection()
            else:
                self._handOverTo(TLSLayer(self.factory.tls, self._inside), data)
        elif kind is Kind.PROXY and Kind.PROXY.value not in self.factory.routes:
            if self._unwrapped:
                self._sayOf("a second PROXY header.")
                self._stopWaiting()
                self.transport.abortConnection()
                return
            self._proxy = ProxyParser()
            self._readHeader(self._proxy, data)
        else:
            self._handOver(kind.value, data)

    def _readHeader(self, parser: ProxyParser, data: bytes) -> None:
        try:
            header = parser.feed(data)
        except ProxyHeaderError as error:
            self._sayOf(str(error))
            self._stopWaiting()
            self.transport.abortConnection()
            return
        if header is not None:
            self._unwrap(header, parser.rest)

    def _unwrap(self, header: ProxyHeader, rest: bytes) -> None:
        self._stopWaiting()
        self._proxy = None
        self._unwrapped = True
        self._heard = False
        self._detector = Detector()
        connection = connectionOf(self.transport)
        if connection is not None and isinstance(header.source, tuple):
            host, port = header.source
            # The path of a unix socket can have any characters; this is shown to people.
            connection.claimed = host.encode("unicode_escape").decode("ascii"), port
            connection.changed("peer")
        self.factory.silent.start(self)
        if rest:
            self.dataReceived(rest)

    def _inside(self, peer: IAddress) -> Auto:
        """What looks at the first bytes again, now that TLS is off."""
        inside = self.factory.buildInside()
        inside._unwrapped = self._unwrapped
        return inside

    def _handOver(self, kind: str, data: bytes) -> None:
        """Go on with the protocol of a route."""
        self._stopWaiting()
        protocol = self.factory.routes[kind].buildProtocol(self.transport.getPeer())
        if protocol is None:
            self.transport.abortConnection()
        else:
            self._handOverTo(protocol, data)

    def _handOverTo(self, protocol: Any, data: bytes) -> None:
        """Make another protocol the transport's, and give it what was heard so far."""
        self._stopWaiting()
        transport = self.transport
        self._handedOver = True
        switchProtocol(transport, protocol)
        protocol.makeConnection(transport)
        if ISSLTransport.providedBy(transport) and IHandshakeListener.providedBy(protocol):
            protocol.handshakeCompleted()
        connection = connectionOf(transport)
        if connection is not None:
            connection.changed("protocol")
        if data and not transport.disconnecting:
            protocol.dataReceived(data)

    def _name(self) -> object:
        return connectionOf(self.transport) or self.transport.getPeer()

    def _sayOf(self, what: str) -> None:
        more = self.factory.lines.more()
        if more is not None:
            _log.warn(
                "{connection}: {what}{more}",
                connection=self._name(),
                what=what,
                more=more,
            )


@implementer(IServedFactory)
class AutoFactory(Factory):
    """
    Builds L{Auto}.

    @param greeting_delay: seconds after which a client that said nothing is greeted.
    @param detect_timeout: seconds from a client's first byte until it must be clear what it speaks;
        then it is taken for what it looks like.
    @ivar routes: the factory for each L{Kind}'s value and for C{"silent"}; without one for
        C{"proxy"} PROXY headers are taken off.
    @ivar terminator: ends TLS; L{None} where it has a route.
    @raise ValueError: a time is not positive.
    """

    noisy = False
    protocol = Auto  # type: ignore[assignment]
    silent: Deadlines[Auto]
    undecided: Deadlines[Auto]
    tls: TLSEnd
    lines: OncePerSecond

    def __init__(self, *, greeting_delay: float = 0.5, detect_timeout: float = 1.0) -> None:
        for name, value in (("greeting_delay", greeting_delay), ("detect_timeout", detect_timeout)):
            if (
                isinstance(value, bool)
                or not isinstance(value, int | float)
                or not 0 < value < 3600
            ):
                raise ValueError(f"{name} = {value!r}: write seconds, more than 0, less than 3600")
        self._greetingDelay = greeting_delay
        self._detectTimeout = detect_timeout
        self.routes: dict[str, Any] = {}
        self.terminator: Terminator | None = None

    def servedBy(self, surroundings: Surroundings) -> None:
        """See L{IServedFactory}; the factories of the routes are told as well."""
        clock = surroundings.reactor
        self.silent = Deadlines(clock, self._greetingDelay, Auto.wasSilent)
        self.undecided = Deadlines(clock, self._detectTimeout, Auto.wasUndecided)
        self.lines = OncePerSecond(clock)
        if self.terminator is not None:
            self.tls = TLSEnd(self.terminator, clock)
        for factory in self.routes.values():
            if IServedFactory.providedBy(factory):
                factory.servedBy(surroundings)

    def buildInside(self) -> Auto:
        """For a connection that TLS was taken off."""
        inside = Auto(isInside=True)
        inside.factory = self
        return inside

    def startFactory(self) -> None:
        """The service starts: so do the routes."""
        for factory in self.routes.values():
            factory.doStart()

    def stopFactory(self) -> None:
        """The service is gone: so are the routes."""
        for factory in self.routes.values():
            factory.doStop()
