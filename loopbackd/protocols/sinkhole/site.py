"""Those who ask by HTTP: the stack is that of the test service, with one answer for all paths."""

from __future__ import annotations

from twisted.internet.interfaces import IAddress
from twisted.logger import Logger

from loopbackd.http.endpoints import Endpoint, Takes
from loopbackd.http.errors import HTTPError
from loopbackd.http.factory import HTTPFactory
from loopbackd.http.hosts import splitHost
from loopbackd.http.messages import Answer, Request, Response
from loopbackd.http.patience import Patience
from loopbackd.http.routes import Found, plainly
from loopbackd.http.serving import HTTP
from loopbackd.protocols.sinkhole.answers import ALWAYS, answerFor
from loopbackd.protocols.sinkhole.asking import Asking
from loopbackd.protocols.sinkhole.rules import Rules
from loopbackd.protocols.whois import Whois

_log = Logger()


class SinkSite:
    """Answers every request by the name it asks for."""

    asking: Asking

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._found = Found(
            Endpoint("*", ("GET",), self._answer, Takes.NOTHING, (), (), "", None, {}, ()), ()
        )

    def find(self, request: Request) -> Found:
        """There is one for all."""
        return self._found

    async def _answer(self, request: Request) -> Answer:
        host = splitHost(request.host)[0]
        decision = self._rules.decide(host)
        target = request.head.target.decode("latin-1")
        how = f"{request.method} {target}"
        answer = answerFor(decision, request.method, host, self.asking.service)
        what = f"status {answer.status}" if isinstance(answer, Response) else decision.answer
        on = request.on
        assert isinstance(on, SinkHTTP)
        gets = decision.gets(what)
        on.who = await self.asking.told(on.transport, host, how, gets, on.who) or on.who
        return answer

    def failed(self, request: Request, error: HTTPError) -> Answer:
        """What cannot be answered is told in a line."""
        return plainly(request, error)

    def finish(self, request: Request, answer: Response) -> None:
        """What every answer has."""
        there = {name for name, _ in answer.fields}
        answer.fields += [field for field in ALWAYS if field[0] not in there]


class SinkHTTP(HTTP):
    """
    One connection; also who asks wrongly is named.

    @ivar who: its client, once somebody has looked.
    """

    who: Whois | None = None

    def _refuse(self, error: HTTPError) -> None:
        site: SinkSite = self.factory.site
        how, gets = f"HTTP: {error.detail}", f"status {error.status}"
        told = site.asking.told(self.transport, "", how, gets, self.who)
        told.addErrback(lambda failure: _log.failure("It could not be told.", failure))
        super()._refuse(error)


class SinkHTTPFactory(HTTPFactory):
    """Builds L{SinkHTTP}."""

    site: SinkSite

    def __init__(self, rules: Rules, patience: float) -> None:
        super().__init__(SinkSite(rules), patience=Patience(head=patience))

    def buildProtocol(self, addr: IAddress | None) -> HTTP:
        """One connection."""
        return SinkHTTP(self)
