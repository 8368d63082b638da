"""Tests for L{loopbackd.protocols.httpbin.own.retrying}."""

from __future__ import annotations

from email.utils import parsedate_to_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from visiting import Answered, Visit, ask, request

from loopbackd.protocols.httpbin.own.retrying import Tries
from loopbackd.protocols.httpbin.site import makeSite


def again(visit: Visit, target: str) -> Answered:
    """One more request on the same connection."""
    visit.transport.clear()
    visit.say(request(target))
    (answer,) = visit.answers("GET")
    return answer


def test_failsThenWorks() -> None:
    """So many failures, each with the time to wait; then it works, and begins anew."""
    visit = Visit(makeSite())
    statuses = []
    for _ in range(6):
        answer = again(visit, "/retry-after/2?key=a&after=7")
        statuses.append(answer.status)
        assert answer.get("retry-after") == (None if answer.status == 200 else "7")
    assert statuses == [503, 503, 200, 503, 503, 200]
    visit.end()


def test_keys() -> None:
    """Those with other keys, other paths or none do not count."""
    visit = Visit(makeSite())
    for target in ("/retry-after/1?key=a", "/retry-after/1?key=b", "/retry-after/1"):
        assert again(visit, target).status == 503
        assert again(visit, "/retry-after/2?key=a").status in (503, 200)
        assert again(visit, target).status == 200
    visit.end()


def test_longPaths() -> None:
    """Many ways to write a path are one, and take no more room."""
    site = makeSite()
    assert ask(site, "/retry-after/1?key=a").status == 503
    assert ask(site, "/" * 5000 + "retry-after/1?key=a").status == 200


def test_lasting() -> None:
    """It works for good, if asked to."""
    visit = Visit(makeSite())
    found = [again(visit, "/retry-after/1?key=a&lasting=true").status for _ in range(4)]
    assert found == [503, 200, 200, 200]
    visit.end()


def test_strict() -> None:
    """Who comes too early is told so again, and has failed for nothing."""
    visit = Visit(makeSite())
    target = "/retry-after/1?key=a&after=10&strict=true"
    assert [again(visit, target).status for _ in range(3)] == [503, 503, 503]
    visit.later(9)
    assert again(visit, target).json["failures"] == 1
    visit.later(1.1)
    assert again(visit, target).status == 200
    visit.end()


def test_date() -> None:
    """The time to try again can be a date."""
    visit = Visit(makeSite())
    visit.later(50)
    answer = again(visit, "/retry-after/1?after=20&date=true&status=429")
    assert answer.status == 429
    when = parsedate_to_datetime(answer.get("retry-after") or "").timestamp()
    assert 70 <= when <= 71
    visit.end()


def test_sitesDoNotShare() -> None:
    """What one site remembers, another does not."""
    one, other = makeSite(), makeSite()
    assert ask(one, "/retry-after/1?key=a").status == 503
    assert ask(other, "/retry-after/1?key=a").status == 503
    assert ask(one, "/retry-after/1?key=a").status == 200


def test_rateLimit() -> None:
    """So many in a window, and the fields count down; then it begins anew."""
    visit = Visit(makeSite())
    left = []
    for _ in range(3):
        answer = again(visit, "/rate-limit/3/10")
        assert (answer.status, answer.get("retry-after")) == (200, None)
        left.append(answer.get("ratelimit-remaining"))
        visit.later(1)
    assert left == ["2", "1", "0"]
    answer = again(visit, "/rate-limit/3/10")
    assert (answer.status, answer.get("retry-after")) == (429, "7")
    assert answer.get("ratelimit") == '"window";r=0;t=7'
    assert answer.get("ratelimit-policy") == '"window";q=3;w=10'
    assert again(visit, "/rate-limit/3/10?key=other").status == 200
    visit.later(7.1)
    assert again(visit, "/rate-limit/3/10").status == 200
    visit.end()


def test_retryAfterIsEnough() -> None:
    """Who waits as long as it was told is let in."""
    visit = Visit(makeSite())
    target = "/rate-limit/1/0.5"
    again(visit, target)
    answer = again(visit, target)
    assert (answer.status, answer.get("retry-after")) == (429, "1")
    visit.later(1)
    assert again(visit, target).status == 200
    visit.end()


@pytest.mark.parametrize(
    "target",
    [
        "/rate-limit/0/1",
        "/rate-limit/1/0",
        "/rate-limit/1/nan",
        "/retry-after/1001",
        "/retry-after/1?status=200",
        "/retry-after/1?key=" + "x" * 201,
    ],
)
def test_whatCannotBe(target: str) -> None:
    """Beyond the bounds there is no such thing."""
    assert ask(makeSite(), target).status in (400, 404)


@given(st.lists(st.integers(0, 30), max_size=200), st.integers(1, 10))
def test_bounded(keys: list[int], most: int) -> None:
    """There are never more keys than may be; the newest is always known."""
    tries = Tries(most)
    for key in keys:
        tries.fails(str(key), 5, 0.0, 1, False, False)
        tries.use(str(key), 5, 10.0, 0.0)
        assert len(tries.failures) <= most
        assert len(tries.limits) <= most
        assert str(key) in tries.limits


@given(st.lists(st.floats(0, 30), max_size=60), st.integers(1, 5))
def test_neverMore(pauses: list[float], n: int) -> None:
    """In no window of a key are there more than so many."""
    tries, now, let = Tries(), 0.0, []
    for pause in pauses:
        now += pause
        works, left, seconds = tries.use("a", n, 10.0, now)
        assert 0 <= left < n or (left == 0 and not works)
        assert 0 < seconds <= 10.001
        if works:
            let.append(now)
    starts: list[float] = []
    for when in let:
        if not starts or when >= starts[-1] + 10:
            starts.append(when)
    assert len(let) <= n * len(starts)


def test_aClockSetBack() -> None:
    """A window does not last longer because the clock was set back."""
    tries = Tries()
    assert tries.use("a", 1, 10.0, 1000.0)[0]
    assert tries.use("a", 1, 10.0, 0.0)[0]
    assert not tries.use("a", 1, 10.0, 1.0)[0]
