"""The interfaces that code outside loopbackd implements, and what they are told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IProtocolFactory
from zope.interface import Interface

if TYPE_CHECKING:
    from loopbackd.connection import Connection
    from loopbackd.connections import Connections
    from loopbackd.tls.store import AuthorityStore


@dataclass(frozen=True, slots=True)
class Surroundings:
    """
    What a factory that provides L{IServedFactory} is told.

    @ivar service: the name of the service.
    @ivar reactor: provides C{IReactorTime}, C{IReactorThreads} and the streams.
    @ivar connections: the live table of the whole daemon.
    @ivar authority: where the local authority is kept; L{None} where there is none.
    """

    service: str
    reactor: Any
    connections: Connections
    authority: AuthorityStore | None = None


class IServedFactory(IProtocolFactory):
    """A protocol factory that wants to know the service it is used by."""

    def servedBy(surroundings: Surroundings) -> None:
        """
        Called once, before the service listens.

        @param surroundings: the reactor, the live table of connections, the service's name.
        @raise ValueError: the factory cannot be used there; the message is shown to the operator.
        """


class IConnectionWatcher(Interface):
    """Somebody who is told what happens in the table of connections."""

    def connectionOpened(connection: Connection) -> None:
        """A connection was let in; its protocol has not run yet."""

    def connectionChanged(connection: Connection, what: str) -> None:
        """
        Something other than a count changed.

        @param what: C{"protocol"}, C{"peer"}, C{"target"} or C{"half-closed"}.
        """

    def connectionClosed(connection: Connection) -> None:
        """A connection is gone; its counts are final and C{connection.reason} says why."""
