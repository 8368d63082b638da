"""Connections of the test service, and what a configuration changes about them."""

from __future__ import annotations

from pathlib import Path

from loopbackd.http.factory import Bounds, HTTPFactory
from loopbackd.http.head import Limits
from loopbackd.http.patience import Patience
from loopbackd.httpsettings import GoSettings, HTTPSettings
from loopbackd.iloopbackd import Surroundings
from loopbackd.protocols.httpbin.broken.breakages import BREAKAGES
from loopbackd.protocols.httpbin.site import makeSite
from loopbackd.stubs.building import stubSite, wantsStubs
from loopbackd.stubs.site import StubSite


class HTTPServiceFactory(HTTPFactory):
    """
    Builds the connections of the test service.

    @ivar stubbed: its stubs and its journal, once there are any.
    """

    stubbed: StubSite | None = None

    def __init__(self) -> None:
        super().__init__(makeSite())
        self._asked, self._directory = HTTPSettings(), Path()

    def configure(self, asked: HTTPSettings, directory: Path) -> None:
        """
        Do as the configuration says.

        @param directory: what paths in it are relative to.
        @raise ValueError: something is wrong with it; the message begins with the key.
        """
        self._asked, self._directory = asked, directory
        self.limits = limitsOf(asked)
        self.bounds = boundsOf(asked)
        self.patience = patienceOf(asked)
        if asked.go != GoSettings():
            self.site = makeSite(asked.go)
        if wantsStubs(asked):
            self.stubs()

    def stubs(self) -> StubSite:
        """The stubs and the journal, to be changed while the service runs; made if need be."""
        if self.stubbed is None:
            found = stubSite(self.site, self._asked, self._directory, BREAKAGES)
            found.stubs.resources.reactor = self.clock
            self.site = self.stubbed = found
        return self.stubbed

    def servedBy(self, surroundings: Surroundings) -> None:
        """See L{IServedFactory}."""
        super().servedBy(surroundings)
        if self.stubbed is not None:
            self.stubbed.stubs.resources.reactor = surroundings.reactor

    def stopFactory(self) -> None:
        """No more connections will come."""
        if self.stubbed is not None:
            self.stubbed.stubs.resources.close()


def limitsOf(asked: HTTPSettings) -> Limits:
    """How much of a request is taken."""
    return Limits(head=asked.max_head, line=asked.max_line, fields=asked.max_fields)


def boundsOf(asked: HTTPSettings) -> Bounds:
    """
    How much there may be of a body, and of all together.

    @raise ValueError: one body could have more than all.
    """
    if asked.max_bodies < asked.max_body:
        raise ValueError(
            f"max_bodies = {asked.max_bodies}: it is for all bodies together, and one may have"
            f" max_body = {asked.max_body}; make it larger, or that smaller"
        )
    return Bounds(body=asked.max_body, bodies=asked.max_bodies)


def patienceOf(asked: HTTPSettings) -> Patience:
    """How long a client may take."""
    return Patience(
        head=asked.head_timeout,
        body=asked.body_timeout,
        request=asked.request_timeout,
        sending=asked.send_timeout,
        rate=asked.min_rate,
        idle=asked.idle_timeout,
    )
