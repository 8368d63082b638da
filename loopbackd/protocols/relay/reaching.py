"""The way to a target: a new one for each connection, name resolution included."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError
from twisted.internet.endpoints import HostnameEndpoint, clientFromString
from twisted.internet.error import ConnectingCancelledError
from twisted.internet.interfaces import IAddress, IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure

from loopbackd.net.dial import Dial
from loopbackd.protocols.relay.target import Target
from loopbackd.tls.targeterrors import TargetTLSError
from loopbackd.tls.targets import TLSWay


class _One(Factory):
    """Gives away the one protocol that it has."""

    noisy = False

    def __init__(self, protocol: Any) -> None:
        self._protocol = protocol

    def buildProtocol(self, addr: IAddress | None) -> Any:
        return self._protocol


class Way:
    """
    The way to a target.

    @param core: the reactor that streams are built on.
    @param seconds: how long it may take.
    @param tlsWay: the way where the target is spoken to with TLS.
    @raise ValueError: Twisted does not know this endpoint.
    """

    def __init__(
        self, core: Any, target: Target, seconds: float, tlsWay: TLSWay | None = None
    ) -> None:
        self._core = core
        self.target = target
        self._endpoint: IStreamClientEndpoint | None = None
        # Whoever goes this way has a deadline for all of it, which comes first.
        self._reach = None if tlsWay is None else tlsWay.on(core, seconds + 1)
        if self._reach is not None:
            return
        if target.name is not None:
            self._endpoint = HostnameEndpoint(core, *target.name, timeout=seconds + 1)
        elif target.endpoint:
            try:
                self._endpoint = clientFromString(core, target.endpoint)
            except Exception as error:
                what = str(error) or type(error).__name__
                raise ValueError(f"target {target.text!r} cannot be used: {what}") from error

    def go(
        self,
        protocol: Any,
        failed: Callable[[str], object],
        name: str = "",
        alpn: tuple[bytes, ...] = (),
    ) -> Callable[[], object]:
        """
        Connect a protocol to the target.

        @param protocol: gets the transport; perhaps before this has returned.
        @param failed: called with the reason if that cannot be, perhaps before this has returned;
            and not after it was cancelled.
        @param name: what the client asked for by its TLS (SNI); only for a target with TLS.
        @param alpn: the application protocols for the target to choose from, likewise.
        @return: what cancels it; to be called at most once, and not after it was done.
        """
        endpoint = self._endpoint if self._reach is None else self._reach(name, alpn)
        if endpoint is None:
            dial = Dial(
                self._core, self.target.addresses, protocol, lambda error: failed(reasonOf(error))
            )
            dial.start()
            return dial.cancel
        connecting = endpoint.connect(_One(protocol))

        def unreachable(failure: Failure) -> None:
            if not failure.check(CancelledError, ConnectingCancelledError):
                failed(reasonOf(failure.value))  # type: ignore[arg-type]

        connecting.addErrback(unreachable)
        return connecting.cancel


def reasonOf(error: BaseException) -> str:
    """Why a target cannot be reached, in a few words."""
    if isinstance(error, TargetTLSError):
        # Without the target, which is named where this is shown.
        return error.why
    inner = getattr(error, "osError", None)
    if isinstance(inner, socket.gaierror | OSError):
        error = inner
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error).rstrip(".") or type(error).__name__
