"""A test service with stubs, in memory."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import msgspec
from visiting import Answered, Visit, request

from loopbackd.httpsettings import HTTPSettings
from loopbackd.protocols.httpbin.factory import HTTPServiceFactory
from loopbackd.stubs.site import StubSite


def settings(toml: str) -> HTTPSettings:
    """C{[service.http]} as a configuration has it."""
    return msgspec.convert(tomllib.loads(toml), HTTPSettings)


class Stubbed:
    """
    The test service with these settings, and one connection to it.

    @ivar visit: the connection.
    """

    def __init__(self, toml: str = "", directory: Path | None = None) -> None:
        self.factory = HTTPServiceFactory()
        self.factory.configure(settings(toml), directory or Path())
        self.visit = Visit(self.factory)
        self._methods: list[str] = []
        self._seen = 0

    @property
    def site(self) -> StubSite:
        """The stubs and the journal."""
        return self.factory.stubs()

    def send(
        self,
        target: str,
        method: str = "GET",
        fields: list[tuple[str, str]] | None = None,
        body: bytes = b"",
    ) -> None:
        """Ask, and do not wait."""
        self._methods.append(method)
        self.visit.say(request(target, method, fields, body))

    def news(self) -> list[Answered]:
        """The answers that have come since they were last looked at."""
        if not self.visit.heard:
            return []
        found = self.visit.answers(*self._methods)
        new, self._seen = found[self._seen :], len(found)
        return new

    def ask(self, target: str, method: str = "GET", **others: Any) -> Answered:
        """Ask, and have the answer at once."""
        self.send(target, method, **others)
        (answered,) = self.news()
        return answered
