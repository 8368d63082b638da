"""Tests for L{loopbackd.net.firstof}."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionRefusedError, TimeoutError
from twisted.internet.interfaces import IStreamClientEndpoint
from zope.interface.verify import verifyObject

from loopbackd.net.firstof import FirstOf


class Saying:
    """An endpoint with an answer; counts how often it was asked."""

    def __init__(self, answer: Any) -> None:
        self.answer, self.asked = answer, 0

    def connect(self, factory: Any) -> Deferred[Any]:
        self.asked += 1
        failed = isinstance(self.answer, Exception)
        return fail(self.answer) if failed else succeed((factory, self.answer))


def result(*endpoints: Any) -> Any:
    """What comes of connecting to them: the protocol, or the exception."""
    found: list[Any] = []
    verifyObject(IStreamClientEndpoint, FirstOf(*endpoints))
    FirstOf(*endpoints).connect("factory").addBoth(found.append)  # type: ignore[arg-type]
    return getattr(found[0], "value", found[0])


def test_the_first_that_is_there() -> None:
    """Nobody behind it is asked."""
    first, second, third = Saying(ConnectionRefusedError()), Saying("b"), Saying("c")
    assert result(first, second, third) == ("factory", "b")
    assert (first.asked, second.asked, third.asked) == (1, 1, 0)


def test_nobody_is_there() -> None:
    """The last error is the one that is told."""
    refused = ConnectionRefusedError()
    assert result(Saying(TimeoutError()), Saying(refused)) is refused


def test_what_is_no_failure_to_connect_is_told_at_once() -> None:
    """Such as a mistake of the factory's."""
    broken, other = ZeroDivisionError(), Saying("b")
    assert result(Saying(broken), other) is broken
    assert other.asked == 0
