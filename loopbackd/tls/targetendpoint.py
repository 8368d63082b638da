"""An endpoint that speaks TLS to whatever another endpoint reaches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from OpenSSL import SSL
from twisted.internet.defer import Deferred, fail
from twisted.internet.error import ConnectingCancelledError, NoProtocol
from twisted.internet.interfaces import (
    IAddress,
    IProtocol,
    IProtocolFactory,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure
from zope.interface import implementer

from loopbackd.net.transport import tellDirectly
from loopbackd.settings import SettingsError
from loopbackd.tls.end import End
from loopbackd.tls.targeterrors import HandshakeLate, TargetTLSError
from loopbackd.tls.targethandshake import TargetHandshake
from loopbackd.tls.targetlayer import TargetLayer
from loopbackd.tls.targetpolicy import TargetPolicy


@implementer(IStreamClientEndpoint)
class TargetEndpoint:
    """
    TLS through another endpoint.

    @param plain: the other endpoint.
    @param end: has the deadline, from C{connect} to the end of the handshake; one for many.
    @param context: gives what L{loopbackd.tls.targetpolicy.targetContext} made of the policy.
    @param target: what to call it in errors and in the log.
    """

    def __init__(
        self,
        plain: Any,
        end: End,
        context: Callable[[], SSL.Context],
        policy: TargetPolicy,
        target: str,
    ) -> None:
        self._plain = plain
        self._end = end
        self._context = context
        self._policy = policy
        self._target = target

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """
        See L{IStreamClientEndpoint}.

        The protocol is built, and the Deferred fires, when the target has shown that it is who it
        should be. Half-closes of the protocol's transport are close_notify and FIN; its
        C{abortConnection} is a reset. In TLS 1.3 a target that does not accept our certificate
        says so later: then the connection is lost with its reason.

        The Deferred fails with a L{TargetTLSError}, or with what the other endpoint fails with; it
        can be cancelled.
        """
        try:
            handshake = TargetHandshake(self._context(), self._policy, self._target)
        except TargetTLSError as error:
            return fail(error)
        except SettingsError as error:
            return fail(TargetTLSError(self._target, str(error)))
        attempt = _Attempt(protocolFactory, self._end, handshake, self._target)
        attempt.start(self._plain)
        return attempt.result


class _Attempt(Factory):
    """
    One connection on its way.

    @ivar result: fires once.
    """

    noisy = False

    def __init__(self, factory: Any, end: End, handshake: TargetHandshake, target: str) -> None:
        self.result: Deferred[IProtocol] = Deferred(self._cancelled)
        self._factory = factory
        self._end = end
        self._handshake = handshake
        self._target = target
        self._isOver = self._isGivenUp = False
        self._connecting: Deferred[Any] | None = None
        self._layer: TargetLayer | None = None
        self._inside: Any = None

    def start(self, plain: Any) -> None:
        """Connect, and say Hello."""
        self._end.handshakes.start(self)
        self._connecting = plain.connect(self)
        self._connecting.addCallbacks(self._connected, self.failed)

    def doStart(self) -> None:
        """As a factory: so is the other one."""
        self._factory.doStart()

    def doStop(self) -> None:
        """As a factory: so is the other one."""
        self._factory.doStop()

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """The layer."""
        self._layer = TargetLayer(self._end, self, self._handshake, self._target)
        return self._layer

    def _connected(self, layer: Any) -> None:
        tellDirectly(layer.transport, layer)
        if self._isGivenUp:
            layer.transport.abortConnection()

    # What ends it.

    def handshakeDue(self) -> None:
        """It has had its time."""
        why = "it cannot be reached in time"
        if self._layer is not None:
            why = "it did not finish its TLS handshake in time"
        self._giveUp(Failure(HandshakeLate(self._target, why)))

    def _cancelled(self, result: object) -> None:
        self._giveUp(Failure(ConnectingCancelledError(self._target)))

    def _giveUp(self, reason: Failure) -> None:
        self._isGivenUp = True
        # What comes of the rest is not news.
        self.failed(reason)
        if self._layer is not None and self._layer.transport is not None:
            self._layer.transport.abortConnection()
        elif self._connecting is not None:
            self._connecting.cancel()

    # What the layer tells (see L{loopbackd.tls.targetlayer.IAttempt}).

    def build(self, address: IAddress) -> IProtocol | None:
        """The protocol inside; where there is none it is over."""
        try:
            self._inside = self._factory.buildProtocol(address)
            if self._inside is None:
                raise NoProtocol
        except BaseException:
            self._inside = None
            self.failed(Failure())
        return self._inside  # type: ignore[no-any-return]

    def succeeded(self) -> None:
        """There is TLS with the target."""
        if not self._isOver:
            self._finish()
            self.result.callback(self._inside)

    def failed(self, reason: Failure) -> None:
        """There will be none."""
        if not self._isOver:
            self._finish()
            self.result.errback(reason)

    def _finish(self) -> None:
        self._isOver = True
        self._end.handshakes.stop(self)
