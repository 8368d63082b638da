"""Our TLS towards a target: L{loopbackd.tls.records} after a handshake as the client."""

from __future__ import annotations

from typing import Any, Protocol

from twisted.internet.interfaces import IAddress, IProtocol
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from loopbackd.tls.end import End
from loopbackd.tls.hello import ClientHello
from loopbackd.tls.records import Records
from loopbackd.tls.targeterrors import HandshakeRefused, TargetTLSError
from loopbackd.tls.targethandshake import TargetHandshake

_log = Logger()


class IAttempt(Protocol):
    """Who wants to know how a handshake went; told once."""

    def build(self, address: IAddress) -> IProtocol | None:
        """The protocol inside."""

    def succeeded(self) -> None:
        """It is connected, and has heard nothing yet."""

    def failed(self, reason: Failure) -> None:
        """There will be no protocol inside, or it was lost as soon as it was connected."""


class TargetLayer(Records):
    """
    Our end of a target's TLS.

    @param handshake: not begun yet.
    @param target: what to call it in the log.
    @ivar hello: what the target was asked for.
    """

    def __init__(
        self, end: End, attempt: IAttempt, handshake: TargetHandshake, target: str
    ) -> None:
        super().__init__(end, attempt.build)
        self._attempt = attempt
        self._handshake: TargetHandshake | None = handshake
        self._target = target
        policy = handshake.policy
        self.hello = ClientHello(policy.serverName, policy.alpn)

    def connectionMade(self) -> None:
        """Say Hello."""
        self._shake(None)

    def _shake(self, data: bytes | None) -> None:
        handshake = self._handshake
        if handshake is None:
            return
        try:
            answer = handshake.begin() if data is None else handshake.feed(data)
        except TargetTLSError as error:
            if error.lastWords:
                self.transport.write(error.lastWords)
            self._shakeFailed(error)
            return
        if handshake.isDone:
            self._handshake = None
            self._begin(handshake.tls, answer)
        elif answer:
            self.transport.write(answer)

    def _shakeFailed(self, error: TargetTLSError) -> None:
        self._handshake = None
        self.transport.loseConnection()
        self._attempt.failed(Failure(error))

    def _begun(self) -> None:
        self._attempt.succeeded()

    def _shakeEnded(self) -> None:
        if self._handshake is not None:
            why = "it ended the connection before the TLS handshake was done"
            self._shakeFailed(HandshakeRefused(self._target, why))

    def connectionLost(self, reason: Any = connectionDone) -> None:
        """The stream beneath is gone."""
        if self._handshake is not None:
            self._handshake = None
            words = reason.getErrorMessage().rstrip(".")
            why = f"the connection was lost in the TLS handshake: {words}"
            self._attempt.failed(Failure(HandshakeRefused(self._target, why)))
        super().connectionLost(reason)
        # No more than that the protocol inside was not told of its success.
        self._attempt.failed(reason)

    def _name(self) -> object:
        return self._target

    def _sayOf(self, what: str) -> None:
        more = self._end.untold()
        if more is not None:
            _log.warn("{target} {what}.{more}", target=self._target, what=what, more=more)
