"""
Answers that depend on what was asked before: failures that pass, and limits to how often.

What is counted belongs to one site, and is bounded: who is too many pushes out who was first.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass
from email.utils import formatdate
from typing import Annotated, Any, Final, Generic, TypeVar

from msgspec import Meta

from loopbackd.http.messages import Request, Response
from loopbackd.http.routes import Routes
from loopbackd.protocols.httpbin.dialect import METHODS, answerJSON

T = TypeVar("T")

MOST_KEYS: Final = 10_000

Failures = Annotated[int, Meta(ge=0, le=1000)]
Delay = Annotated[int, Meta(ge=0, le=86400)]
Failing = Annotated[int, Meta(ge=401, le=599)]
Key = Annotated[str, Meta(max_length=200)]
Quota = Annotated[int, Meta(ge=1, le=1_000_000)]
Window = Annotated[float, Meta(ge=0.1, le=86400)]


class Bounded(OrderedDict[str, T], Generic[T]):
    """A table with so many entries at most; who was entered first goes first."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def __setitem__(self, key: str, value: T) -> None:
        super().__setitem__(key, value)
        if len(self) > self._most:
            self.popitem(last=False)


@dataclass(slots=True)
class Tried:
    """
    Attempts that were made.

    @ivar count: how many of them failed.
    @ivar earliest: before which the next is too early.
    """

    count: int = 0
    earliest: float = 0.0


@dataclass(slots=True)
class Used:
    """
    How much of a limit is used.

    @ivar ends: when it begins anew.
    """

    count: int
    ends: float


class Tries:
    """What one site remembers of those who try."""

    def __init__(self, most: int = MOST_KEYS) -> None:
        self.failures: Bounded[Tried] = Bounded(most)
        self.limits: Bounded[Used] = Bounded(most)

    def fails(
        self, key: str, n: int, now: float, after: float, strict: bool, lasting: bool
    ) -> tuple[bool, int]:
        """
        Count an attempt.

        @param n: how many are to fail.
        @param after: seconds until the next makes sense.
        @param strict: one that comes too early does not count.
        @param lasting: once it has worked, it works for good; else it begins anew.
        @return: whether it fails, and the number of failures so far, this one included.
        """
        tried = self.failures.get(key)
        if tried is None:
            tried = Tried()
        early = strict and now < tried.earliest
        if tried.count >= n and not early:
            if lasting:
                self.failures[key] = tried
            else:
                self.failures.pop(key, None)
            return False, tried.count
        if not early:
            tried.count += 1
            tried.earliest = now + after
        self.failures[key] = tried
        return True, tried.count

    def use(self, key: str, n: int, window: float, now: float) -> tuple[bool, int, float]:
        """
        Use one of C{n} in a window, which begins with the first.

        @return: whether there was one left, how many are left now, and the seconds to the next.
        """
        used = self.limits.get(key)
        if used is None or now >= used.ends or used.ends > now + window:
            used = Used(0, now + window)
            self.limits.pop(key, None)
            self.limits[key] = used
        if used.count >= n:
            return False, 0, used.ends - now
        used.count += 1
        return True, n - used.count, used.ends - now


def keyOf(request: Request, key: str | None) -> str:
    """Who is meant: the name that was given, else the client's address; with the path."""
    who = f"address {request.remoteHost}" if key is None else f"key {key}"
    # Two slashes lead here as well, and what is kept must not be as long as somebody likes.
    return f"/{request.path.lstrip('/')[:100]} {who}"


def makeRoutes() -> Routes:
    """A table that has its own memory."""
    routes = Routes("trying again")
    tries = Tries()

    @routes.add(
        "/retry-after/{n}",
        methods=METHODS,
        group="trying again",
        example="/retry-after/2?key=mine",
        answers={0: "try again after Retry-After: 503, or any 4xx or 5xx that was asked for"},
    )
    def retryAfter(
        request: Request,
        n: Failures,
        *,
        key: Key | None = None,
        after: Delay = 1,
        status: Failing = 503,
        date: bool = False,
        strict: bool = False,
        lasting: bool = False,
    ) -> Response:
        """
        Fails C{n} times for each C{key}, says when to try again, and then works.

        C{date} has C{Retry-After} as a date.  With C{strict}, an attempt that comes too early fails
        and does not count; with C{lasting}, it works for good once it has, else it begins anew.
        """
        now = request.on.seconds()
        failed, count = tries.fails(keyOf(request, key), n, now, after, strict, lasting)
        shown = {"failures": count, "of": n, "key": key}
        if not failed:
            return answerJSON({"ok": True, **shown})
        answer = answerJSON({"ok": False, **shown}, status)
        when = formatdate(math.ceil(now + after), usegmt=True) if date else str(after)
        answer.fields.append(("Retry-After", when))
        return answer

    @routes.add(
        "/rate-limit/{n}/{window}",
        methods=METHODS,
        group="trying again",
        example="/rate-limit/5/10?key=mine",
        answers={429: "too many in this window; try again after Retry-After"},
    )
    def rateLimit(
        request: Request, n: Quota, window: Window, *, key: Key | None = None
    ) -> Response:
        """Works C{n} times in C{window} seconds for each C{key}; fields say how many are left."""
        now = request.on.seconds()
        works, left, seconds = tries.use(keyOf(request, key), n, window, now)
        wait = math.ceil(seconds)
        shown: dict[str, Any] = {"ok": works, "limit": n, "window": window, "left": left}
        answer = answerJSON({**shown, "reset": round(seconds, 3)}, 200 if works else 429)
        answer.fields += [
            ("RateLimit-Limit", str(n)),
            ("RateLimit-Remaining", str(left)),
            ("RateLimit-Reset", str(wait)),
            ("RateLimit-Policy", f'"window";q={n};w={math.ceil(window)}'),
            ("RateLimit", f'"window";r={left};t={wait}'),
        ]
        if not works:
            answer.fields.append(("Retry-After", str(max(1, wait))))
        return answer

    return routes
