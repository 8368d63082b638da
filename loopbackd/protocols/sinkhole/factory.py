"""The sinkhole put together: what a client speaks is found out as C{auto} does."""

from __future__ import annotations

from typing import Any

from loopbackd.iloopbackd import Surroundings
from loopbackd.protocols.auto import AutoFactory
from loopbackd.protocols.http2 import HTTP2Factory
from loopbackd.protocols.sinkhole.asking import Asking
from loopbackd.protocols.sinkhole.encrypted import LeavingFactory, SinkRest, SinkTLS
from loopbackd.protocols.sinkhole.rules import Rules, sinkSettings
from loopbackd.protocols.sinkhole.site import SinkHTTPFactory


class SinkholeFactory(AutoFactory):
    """
    Answers for names that are led here.

    @param answer: what names get that no rule is about: C{page}, C{204}, C{close} or C{reset}; by
        TLS the first two are an alert.
    @param status: of the page.
    @param rules: tables with C{host}, C{answer} and perhaps C{status}; the first that fits decides.
    @param patience: seconds until a client must have said what it wants.
    @raise ValueError: an option makes no sense.
    """

    def __init__(self, **options: Any) -> None:
        settings = sinkSettings(options)
        rules, patience = Rules(settings), float(settings.patience)
        super().__init__(greeting_delay=patience, detect_timeout=patience)
        self._tls = LeavingFactory(SinkTLS, rules, patience)
        self._rest = LeavingFactory(SinkRest, rules, patience)
        self._http = SinkHTTPFactory(rules, patience)
        self.routes = {
            "tls": self._tls,
            "http": self._http,
            "http2": HTTP2Factory(),
            "other": self._rest,
            "silent": self._rest,
        }

    def servedBy(self, surroundings: Surroundings) -> None:
        """See L{loopbackd.iloopbackd.IServedFactory}."""
        asking = Asking(surroundings.reactor, surroundings.service)
        self._tls.asking = self._rest.asking = self._http.site.asking = asking
        self._tls.clock = self._rest.clock = surroundings.reactor
        super().servedBy(surroundings)
