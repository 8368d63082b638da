"""A service that speaks TLS from the first byte, whatever it speaks inside."""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IProtocolFactory
from twisted.internet.protocol import Factory
from zope.interface import implementer

from loopbackd.iloopbackd import IServedFactory, Surroundings
from loopbackd.settings import SettingsError
from loopbackd.tls.ahead import IAsksAhead
from loopbackd.tls.end import TLSEnd
from loopbackd.tls.layer import TLSLayer
from loopbackd.tls.terminator import Terminator


@implementer(IServedFactory)
class TLSFactory(Factory):
    """
    Puts TLS in front of the protocols of another factory.

    @ivar wrappedFactory: the other.
    """

    noisy = False
    _tls: TLSEnd
    _ahead: Any = None

    def __init__(self, terminator: Terminator, wrappedFactory: IProtocolFactory) -> None:
        self.terminator = terminator
        self.wrappedFactory: Any = wrappedFactory

    def servedBy(self, surroundings: Surroundings) -> None:
        """See L{IServedFactory}; the other factory is told as well."""
        try:
            self.terminator.store.root()
        except SettingsError as error:
            raise ValueError(f"tls: {error}") from error
        self._tls = TLSEnd(self.terminator, surroundings.reactor)
        if self.terminator.policy.alpn and IAsksAhead.providedBy(self.wrappedFactory):
            self._ahead = self.wrappedFactory.ahead
        if IServedFactory.providedBy(self.wrappedFactory):
            self.wrappedFactory.servedBy(surroundings)

    def buildProtocol(self, addr: Any) -> Any:
        """A layer; the protocol inside comes when the handshake is done."""
        return TLSLayer(self._tls, self.wrappedFactory.buildProtocol, self._ahead)

    def doStart(self) -> None:
        """The service starts: so does the other factory."""
        super().doStart()
        self.wrappedFactory.doStart()

    def doStop(self) -> None:
        """The service is gone: so is the other factory."""
        super().doStop()
        self.wrappedFactory.doStop()
