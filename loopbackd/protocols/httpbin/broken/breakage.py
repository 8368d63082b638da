"""What a breakage is: how it is written, what a right client makes of it, and who says so."""

from __future__ import annotations

import inspect
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from loopbackd.http.messages import Request, Wire


class Verdict(Enum):
    """What a right client does."""

    REFUSES = "refuses"
    TAKES = "takes"
    EITHER = "either"


@dataclass(frozen=True, slots=True)
class Span:
    """A number that a breakage takes, and its bounds."""

    default: float
    least: float
    most: float


@dataclass(frozen=True, slots=True)
class Options:
    """
    What was asked of a breakage; what it does not take is 0.

    @ivar bytes: how much of something.
    @ivar seconds: for how long.
    @ivar count: how many of something.
    @ivar seed: the same seed gives the same chance.
    """

    bytes: int = 0
    seconds: float = 0.0
    count: int = 0
    seed: int = 0


SEED: Final = Span(0, 0, (1 << 63) - 1)
"""For breakages in which there is chance; the default is a new one each time."""

Script = Callable[[Wire, Request, Options], Awaitable[None]]
"""Writes an answer; when it returns, the connection is closed (FIN) unless it was reset."""


@dataclass(frozen=True, slots=True)
class Breakage:
    """
    One way to be wrong.

    @ivar group: the heading it stands under.
    @ivar does: what is on the wire, in one sentence.
    @ivar verdict: what a right client does.
    @ivar rightly: the same in words, for people.
    @ivar source: who says so.
    @ivar takes: which of L{Options}, and within which bounds.
    """

    name: str
    group: str
    does: str
    verdict: Verdict
    rightly: str
    source: str
    takes: Mapping[str, Span]
    script: Script

    def options(self, given: Mapping[str, float]) -> Options:
        """
        What is asked of it, completed by its defaults.

        @param given: names of L{Options}.
        @raise ValueError: it does not take one of them, or not such a value.
        """
        values: dict[str, Any] = {}
        for name in given:
            if name not in self.takes:
                taken = " and ".join(self.takes) or "nothing"
                raise ValueError(f"{self.name} does not take {name}; it takes {taken}")
        for name, span in self.takes.items():
            value = given.get(name)
            if value is None:
                value = secrets.randbits(32) if span is SEED else span.default
            elif not span.least <= value <= span.most:
                bounds = f"{span.least:g} and {span.most:g}"
                raise ValueError(f"{self.name}: {name} = {value:g} is not within {bounds}")
            values[name] = value if name == "seconds" else int(value)
        return Options(**values)


class Family:
    """
    Breakages of one kind, as they are written down.

    @param group: the heading they stand under.
    """

    def __init__(self, group: str) -> None:
        self.group = group
        self.breakages: list[Breakage] = []

    def script(
        self, name: str, verdict: Verdict, *, rightly: str, source: str, **takes: Span
    ) -> Callable[[Script], Script]:
        """Enter the decorated coroutine function; its docstring says what it does."""

        def entered(script: Script) -> Script:
            does = " ".join((inspect.getdoc(script) or "").split())
            one = Breakage(name, self.group, does, verdict, rightly, source, takes, script)
            self.breakages.append(one)
            return script

        return entered

    def made(
        self, name: str, verdict: Verdict, *, rightly: str, source: str, **takes: Span
    ) -> Callable[[Callable[[Options], bytes]], Callable[[Options], bytes]]:
        """Enter the decorated function; what it returns is sent, and then FIN."""

        def entered(make: Callable[[Options], bytes]) -> Callable[[Options], bytes]:
            async def script(wire: Wire, request: Request, options: Options) -> None:
                wire.write(make(options))
                await wire.drained()

            script.__doc__ = make.__doc__
            self.script(name, verdict, rightly=rightly, source=source, **takes)(script)
            return make

        return entered

    def constant(
        self, name: str, data: bytes, verdict: Verdict, *, does: str, rightly: str, source: str
    ) -> None:
        """Enter an answer that is always the same bytes, and then FIN."""

        def make(options: Options) -> bytes:
            return data

        make.__doc__ = does
        self.made(name, verdict, rightly=rightly, source=source)(make)
