"""What the HTTP connections of a service share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory
from zope.interface import implementer

from loopbackd.http.bodies import Bodies
from loopbackd.http.head import Limits
from loopbackd.http.holding import Holding
from loopbackd.http.patience import TICK, Patience
from loopbackd.http.routes import Site
from loopbackd.http.serving import HTTP
from loopbackd.http.writing import DateLine
from loopbackd.iloopbackd import IServedFactory, Surroundings
from loopbackd.logs import OncePerSecond
from loopbackd.net.deadlines import Deadlines
from loopbackd.net.turns import Turns
from loopbackd.tls.store import AuthorityStore


@dataclass(frozen=True, slots=True)
class Bounds:
    """
    How much there may be.

    @ivar body: bytes of a body that a handler takes whole.
    @ivar bodies: bytes of all of them that are in memory at one time.
    """

    body: int = 16 << 20
    bodies: int = 256 << 20


@implementer(IServedFactory)
class HTTPFactory(Factory):
    """
    Builds the L{HTTP} connections of one site.

    @param site: answers the requests.
    @param always: fields of the answers that no site sees: to what is no request, and to one that
        does not come in time.
    @ivar clock: the reactor, once the factory is served.
    @ivar authority: where the local authority is kept; L{None} where there is none.
    """

    noisy = False
    clock: Any = None
    authority: AuthorityStore | None = None

    def __init__(
        self,
        site: Site,
        *,
        limits: Limits | None = None,
        bounds: Bounds | None = None,
        patience: Patience | None = None,
        always: Sequence[tuple[str, str]] = (),
    ) -> None:
        self.site = site
        self.always = always
        self.limits = limits or Limits()
        self.bounds = bounds or Bounds()
        self.patience = patience or Patience()

    def servedBy(self, surroundings: Surroundings) -> None:
        """See L{IServedFactory}."""
        clock = self.clock = surroundings.reactor
        self.authority = surroundings.authority
        self.date = DateLine(clock.seconds)
        self.holding = Holding(clock)
        self.bodies = Bodies(self.bounds.bodies)
        self.turns = Turns(clock)
        self.lines = OncePerSecond(clock)
        patience = self.patience
        first = patience.idle if patience.first is None else patience.first
        self.first = Deadlines[HTTP](clock, first, HTTP.isIdle)
        self.idle = Deadlines[HTTP](clock, patience.idle, HTTP.isIdle)
        self.head = Deadlines[HTTP](clock, patience.head, HTTP.headIsLate)
        self.watch = Deadlines[HTTP](clock, TICK, HTTP.look)

    def buildProtocol(self, addr: IAddress | None) -> HTTP:
        """One connection."""
        return HTTP(self)
