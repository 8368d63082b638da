"""What the peer says on a TLS connection: decrypted and given on, as much as is wanted."""

from __future__ import annotations

from typing import Any

from OpenSSL import SSL
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.logger import Logger

from loopbackd.net.delivering import protocolFailed
from loopbackd.tls.end import End
from loopbackd.tls.handshake import explained
from loopbackd.tls.speaking import Speaking

_log = Logger()

# The plaintext of a record (RFC 8446 5.1).
_RECORD = 1 << 14


class Truncated(ConnectionLost):
    """The peer ended without close_notify; what it said may have been cut short."""


class Hearing(Speaking):
    """
    The half of a TLS layer that hears, on top of the one that speaks.

    @ivar wrappedProtocol: the protocol inside; not there before the handshake is done.
    @ivar truncated: the peer has ended without saying so.
    """

    wrappedProtocol: Any

    def __init__(self, end: End) -> None:
        super().__init__()
        self._end = end
        self._readDone = False
        self._finBeneath = False
        self._paused = False
        self._held = False
        self._delivering = False
        self.truncated = False

    def _sayOf(self, what: str) -> None:
        """Tell the operator what the peer did."""
        raise NotImplementedError

    def _deliver(self) -> None:
        """Give the protocol inside what there is, until it has had enough."""
        if self._delivering or self.tls is None:
            return
        self._delivering = self._collecting = True
        try:
            while not (self._paused or self._readDone or self.disconnecting):
                try:
                    data = self.tls.recv(_RECORD)
                except SSL.WantReadError:
                    if self._finBeneath:
                        self._peerFinished(truncated=True)
                    break
                except SSL.ZeroReturnError:
                    self._peerFinished(truncated=False)
                    break
                except SSL.Error as error:
                    self._broke(explained(error))
                    break
                self.wrappedProtocol.dataReceived(data)
                if self.tls is None:
                    return
        finally:
            self._delivering = False
            # Also what TLS itself has to answer.
            self._flush()
        self._held = self._paused

    def _deliverHeld(self) -> None:
        """Go on where nobody is looking; what is raised ends this connection, as elsewhere."""
        if self.tls is None or self._paused:
            return
        try:
            self._deliver()
        except BaseException:
            protocolFailed(self, "dataReceived")
            self.transport.abortConnection()

    def _peerFinished(self, truncated: bool) -> None:
        self._readDone = True
        self.truncated = truncated
        if truncated:
            _log.debug(
                "{connection} ended without close_notify; what it said may have been cut short.",
                connection=self._name(),
            )
        elif not getattr(self.transport, "peerFinished", True):
            # So that the table shows it: what still comes beneath is not for anybody.
            self.transport.peerFinished = True
            if self.connection is not None:
                self.connection.changed("half-closed")
        self._tellEnd()

    def _tellEnd(self) -> None:
        if IHalfCloseableProtocol.providedBy(self.wrappedProtocol):
            self.wrappedProtocol.readConnectionLost()
        else:
            self.loseConnection()

    def pauseProducing(self) -> None:
        """Deliver nothing more; nothing more is read either."""
        self._paused = True
        if self.tls is not None:
            self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        """Deliver again, what was held back first."""
        self._paused = False
        if self.tls is None or self.disconnecting:
            return
        self.transport.resumeProducing()
        if (self._held or self._finBeneath) and not self._delivering:
            self._held = False
            self._end.soon(self._deliverHeld)

    def stopProducing(self) -> None:
        """
        Close; in a moment, so that whoever knows how the consumer ended can still reset.

        See L{IPushProducer}.
        """
        self._end.soon(self.loseConnection)

    @property
    def peerFinished(self) -> bool:
        """Whether the peer has finished sending."""
        return self._readDone

    def _name(self) -> object:
        return self.connection or self.transport.getPeer()
