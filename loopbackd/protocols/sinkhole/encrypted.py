"""Those who ask by TLS, or by nothing that is known: named, and left."""

from __future__ import annotations

from typing import Any, Final

from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from loopbackd.protocols.oneshot import LastWords, LastWordsFactory
from loopbackd.protocols.sinkhole.asking import Asking
from loopbackd.protocols.sinkhole.rules import Decision, Rules
from loopbackd.protocols.tripwire import firstWords
from loopbackd.tls.hello import HelloError, readHello

_log = Logger()

UNRECOGNIZED_NAME: Final = bytes([21, 3, 1, 0, 2, 2, 112])
"""The alert, fatal and not encrypted (RFC 8446 section 6, RFC 6066 section 3)."""


class _Leaving(LastWords):
    """Names its client once, gives it its answer, and is done."""

    transport: Any
    _isDeciding = False
    _isAnswered = False
    _hasEnded = False
    _sawEnd = False

    def _decide(self, host: str, how: str, decision: Decision, lastWords: bytes) -> None:
        self._isDeciding = True
        self._inTime()
        self.transport.pauseProducing()
        what = "reset" if decision.answer == "reset" else "close"
        if lastWords and decision.answer in ("page", "204"):
            what = "an alert"
        told = self.factory.asking.told(self.transport, host, how, decision.gets(what))
        told.addCallback(lambda _: self._answer(decision, lastWords)).addErrback(self._failed)

    def _failed(self, failure: Failure) -> None:
        _log.failure("{service}: it could not be told.", failure, service=self.factory.service)
        if not self._hasEnded:
            self.transport.abortConnection()

    def _answer(self, decision: Decision, lastWords: bytes) -> None:
        if self._hasEnded:
            return
        self._isAnswered = True
        if decision.answer == "reset":
            self.transport.abortConnection()
            return
        self.finish(b"" if decision.answer == "close" else lastWords, expectsMore=True)
        self.transport.resumeProducing()
        if self._sawEnd:
            self.transport.loseConnection()

    def readConnectionLost(self) -> None:
        """It has said all it will; what it is to get comes first."""
        self._sawEnd = True
        if self._isAnswered or not self._isDeciding:
            super().readConnectionLost()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """It is gone."""
        super().connectionLost(reason)
        self._hasEnded = True


class SinkTLS(_Leaving):
    """
    Reads the ClientHello, for the name in it, and shakes no hand.

    The local authority signs no foreign name, so that all a client could see is a certificate that
    it does not believe; an alert says the same at once.
    """

    def __init__(self) -> None:
        self._hello = bytearray()

    def connectionMade(self) -> None:
        """It has its time for the ClientHello."""
        self.within(self.factory.patience, self._late)

    def dataReceived(self, data: bytes) -> None:
        """More of it; what comes behind it is thrown away."""
        if self._isDeciding:
            super().dataReceived(data)
            return
        self._hello += data
        try:
            hello = readHello(self._hello)
        except HelloError as error:
            self._named("", f"TLS: {error}")
            return
        if hello is not None:
            self._named(hello.serverName, "TLS")

    def _late(self) -> None:
        self._named("", "TLS: its ClientHello never ended")

    def _named(self, host: str, how: str) -> None:
        self._hello.clear()
        self._decide(host, how, self.factory.rules.decide(host), UNRECOGNIZED_NAME)


class SinkRest(_Leaving):
    """Whoever says what is neither HTTP nor TLS, or nothing: there is no name in it."""

    def connectionMade(self) -> None:
        """What was said, if anything was, comes at once."""
        self.within(0, lambda: self._unnamed("nothing"))

    def dataReceived(self, data: bytes) -> None:
        """It is not known what that is."""
        if self._isDeciding:
            super().dataReceived(data)
        else:
            self._unnamed(f"neither HTTP nor TLS: {firstWords(data)}")

    def _unnamed(self, how: str) -> None:
        self._decide("", how, self.factory.rules.decide(""), b"")


class LeavingFactory(LastWordsFactory):
    """Builds one of the two."""

    asking: Asking

    def __init__(self, protocol: type[_Leaving], rules: Rules, patience: float) -> None:
        self._kind = protocol
        self.rules = rules
        self.patience = patience

    def buildProtocol(self, addr: IAddress | None) -> _Leaving:
        """One connection."""
        made = self._kind()
        made.factory = self
        return made
