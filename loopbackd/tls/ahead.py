"""
Asking ahead: what to agree on with a client can depend on somebody else, such as a relay's target.

Then its ClientHello is answered when that is known.
"""

from __future__ import annotations

from typing import Any, Protocol

from twisted.internet.defer import Deferred
from zope.interface import Interface

from loopbackd.tls.hello import ClientHello


class Ready(Protocol):
    """
    What was found out.

    @ivar alpn: the application protocol to agree on with the client; empty for none.
    """

    alpn: bytes

    def build(self) -> Any:
        """The protocol inside; called once, unless it is L{drop}ped."""

    def drop(self) -> None:
        """There is no client any more."""


class NotReady(Exception):
    """
    The client cannot be served; whoever says so has told the operator.

    @ivar resets: whether to tell the client by a reset, rather than by closing.
    """

    def __init__(self, resets: bool) -> None:
        super().__init__()
        self.resets = resets


class IAsksAhead(Interface):
    """A factory that wants to hear what a client asks for before the client is answered."""

    def ahead(hello: ClientHello) -> Deferred[Ready] | None:
        """
        Ask ahead.

        @return: fires with what was found out, or fails with L{NotReady}, and can be cancelled;
            L{None} where there is nothing to be asked, and C{buildProtocol} comes later as usual.
        """
