"""
For tests of HTTP clients: say what should be asked, what it gets, and see whether it was asked.

With pytest-twisted::

    @pytest_twisted.ensureDeferred
    async def test_retries():
        from twisted.internet import reactor

        async with serving(reactor, "http") as loopback:
            api = expecting(loopback)
            user = api.expect("GET", "/users/{id}")
            user.answer(status=503, times=2).answer(json={"name": "Ann"})
            assert await fetchUser(api.url, 5) == "Ann"
            api.check()

The words are those of C{[[service.http.stub]]} in a configuration.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from loopbackd.hostport import bracketed, joined
from loopbackd.httpsettings import Conditions, StubSettings
from loopbackd.service import Loopback
from loopbackd.stubs.journal import Entry
from loopbackd.stubs.matching import Matcher
from loopbackd.stubs.site import StubSite

T = TypeVar("T")


def expecting(loopback: Loopback, service: str = "test") -> Expecting:
    """
    What is expected of a service.

    @raise KeyError: there is no such service.
    @raise TypeError: it has no HTTP test service.
    """
    factory = loopback.live(service).prepared.http
    if factory is None:
        raise TypeError(f"service {service!r} is no HTTP test service; make it protocol 'http'")
    address = loopback.addresses[service][0]
    host = getattr(address, "host", "localhost")
    port = getattr(address, "port", None)
    where = joined(host, port) if port else bracketed(host)
    return Expecting(factory.stubs(), f"http://{where}")


class Expectation:
    """
    Requests that are expected, and what they get.

    @ivar name: of the stub.
    @ivar what: which requests, for people; the name, where one was given.
    """

    def __init__(self, site: StubSite, wanted: dict[str, Any]) -> None:
        self._site = site
        self._wanted = wanted
        self._answers: list[dict[str, Any]] = []
        self.name = self._site.stubs.add(self._settings()).name
        self.what = wanted.get("name") or f"{wanted['method']} {wanted['path']}"
        self._wanted.setdefault("name", self.name)

    def answer(self, **answer: Any) -> Expectation:
        """
        What they get; said again, the answers take turns, and the last one stays.

        @param answer: keys of an answer in a configuration: C{status}, C{json}, C{times}, ...
        @raise ValueError: something is wrong with it.
        """
        self._answers.append(answer)
        try:
            settings = self._settings()
            # Whether it can be had is known before the stub is missed.
            self._site.stubs.replace(settings)
        except ValueError:
            self._answers.pop()
            raise
        return self

    def _settings(self) -> StubSettings:
        return _converted({**self._wanted, "answer": [*self._answers] or [{}]}, StubSettings)

    @property
    def count(self) -> int:
        """How many requests there were."""
        return self._site.stubs[self.name].count


class Expecting:
    """
    What is expected of an HTTP test service.

    @ivar url: where it is, without a slash at the end.
    @ivar site: its stubs and its journal.
    """

    def __init__(self, site: StubSite, url: str) -> None:
        self.site = site
        self.url = url
        self._expected: list[Expectation] = []

    def expect(self, method: str, path: str, **wanted: Any) -> Expectation:
        """
        Requests that should come; until it is said what they get, they get an empty 200.

        @param wanted: other keys of a stub: C{query}, C{headers}, C{body}, C{name}, ...
        @raise ValueError: something is wrong with it.
        """
        one = Expectation(self.site, {"method": method, "path": path, **wanted})
        self._expected.append(one)
        return one

    def requests(self, **wanted: Any) -> list[Entry]:
        """
        What was asked so far and is like that; all of it by default.

        @param wanted: keys of a stub's conditions: C{method}, C{path}, C{body}, ...
        """
        return self.site.journal.find(Matcher(_converted(wanted, Conditions)))

    def check(self) -> None:
        """
        Fail unless each expectation was asked for, and nothing went past them all.

        @raise AssertionError: names each that was not, and each request with the stub it came
            closest to.
        """
        wrong = [f"nobody asked for {one.what}" for one in self._expected if not one.count]
        for entry in self.site.journal:
            if entry.stub is None:
                closest = self.site.stubs.closest(entry.asked)
                wrong.append(f"{entry.head.method} {entry.url} was not expected; {closest}")
        if wrong:
            raise AssertionError("\n".join(wrong))


def _converted(asked: dict[str, Any], kind: type[T]) -> T:
    try:
        return msgspec.convert(asked, kind)
    except msgspec.ValidationError as error:
        raise ValueError(str(error).replace("`", "")) from None
