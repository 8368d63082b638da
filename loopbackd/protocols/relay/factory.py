"""What the relays of one service share."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from zope.interface import implementer

from loopbackd.iloopbackd import IServedFactory, Surroundings
from loopbackd.logs import OncePerSecond
from loopbackd.net.deadlines import Deadlines
from loopbackd.protocols.relay.ahead import Ahead
from loopbackd.protocols.relay.client import Relay
from loopbackd.protocols.relay.reaching import Way
from loopbackd.protocols.relay.target import Target, parseTarget
from loopbackd.relaysettings import RelaySettings
from loopbackd.targetsettings import TargetTLSSettings
from loopbackd.tls.ahead import IAsksAhead
from loopbackd.tls.hello import ClientHello
from loopbackd.tls.store import AuthorityStore
from loopbackd.tls.targets import TLSWay, parseTLSTarget

_log = Logger()
_NO_TARGET: Final = 'a relay leads to a target; write target = "127.0.0.1:6379"'


@implementer(IServedFactory, IAsksAhead)
class RelayFactory(Factory):
    """
    Builds L{Relay}.

    @ivar clock: the reactor, as something that tells the time.
    @ivar deadlines: the relays that must get on by a time.
    @ivar pipes: for streams that go through one.
    @ivar way: the way to the target.
    @ivar tlsWay: the same where it is spoken to with TLS, before there is a reactor.
    """

    noisy = False
    settings = RelaySettings()
    target: Target | None = None
    tlsWay: TLSWay | None = None

    clock: IReactorTime
    deadlines: Deadlines[Any]
    way: Way

    def configure(
        self, target: str, settings: RelaySettings, store: AuthorityStore, directory: Path
    ) -> None:
        """
        Say where it leads to.

        @param store: has the authority that targets with TLS may be trusted by.
        @param directory: that of the configuration.
        @raise ValueError: the target is none.
        @raise SettingsError: it cannot be spoken to with TLS in that way.
        """
        if not target:
            raise ValueError(_NO_TARGET)
        self.target = parseTarget(target)
        self.settings = settings
        if target.startswith("tls:"):
            tls = settings.tls or TargetTLSSettings()
            self.tlsWay = parseTLSTarget(target, tls, store, directory)

    def servedBy(self, surroundings: Surroundings) -> None:
        """See L{IServedFactory}."""
        if self.target is None:
            raise ValueError(_NO_TARGET)
        self.clock = surroundings.reactor
        self.pipes = surroundings.reactor.pipes
        self._service = surroundings.service
        self._lines = OncePerSecond(self.clock)
        self._lingering: set[Relay] = set()
        self.deadlines = Deadlines(self.clock, self.settings.connect_timeout, _overdue)
        seconds = self.settings.connect_timeout
        self.way = Way(surroundings.reactor, self.target, seconds, self.tlsWay)

    def ahead(self, hello: ClientHello) -> Deferred[Any] | None:
        """See L{IAsksAhead}: the target has to choose among what the client offers."""
        if self.tlsWay is None or not self.tlsWay.passesOn:
            return None
        one = Ahead(self)
        one.dial(hello)
        return one.ready

    def buildProtocol(self, addr: Any) -> Relay:
        """A relay, which dials when it is connected."""
        return Relay(self)

    def doStop(self) -> None:
        """The service is gone: so are targets that have only last words to hear."""
        super().doStop()
        for relay in list(self._lingering):
            relay.overdue()

    def linger(self, relay: Relay) -> None:
        """The client of a relay is gone, and the target has a time to take the last words."""
        self._lingering.add(relay)
        self.deadlines.start(relay)

    def lingered(self, relay: Relay) -> None:
        """The target of a relay is gone."""
        if relay in self._lingering:
            self._lingering.discard(relay)
            self.deadlines.stop(relay)

    def sayUnreachable(self, why: str) -> None:
        """A target could not be reached."""
        untold = self._lines.take(self._service)
        if untold is not None:
            _log.warn(
                "{service}: the target {target} cannot be reached: {why}; the client is"
                " {done}.{more}",
                service=self._service,
                target=str(self.target),
                why=why,
                done="reset" if self.settings.refused == "reset" else "closed",
                more=f" ({untold} more like it since the last such line)" if untold else "",
            )


def _overdue(one: Any) -> None:
    one.overdue()
