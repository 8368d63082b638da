"""Timers: in order, in time, as precise as promised, and nothing of them is left."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any

import pytest
import pytest_twisted
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from twisted.internet import reactor as realReactor
from twisted.internet.defer import Deferred
from twisted.internet.error import AlreadyCalled, AlreadyCancelled
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import deferLater
from zope.interface.verify import verifyObject

from loopbackd.net import alarms as module
from loopbackd.net.alarms import Alarm, Alarms
from loopbackd.net.batch import BatchReactor
from loopbackd.net.reactor import PlainReactor

reactor: Any = realReactor

CORES = ["batch", "plain", "without timerfd", "libc"]


@pytest.fixture(params=CORES)
def alarms(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Alarms]:
    """Timers on each reactor there is, and where the system has none."""
    if request.param == "without timerfd":

        def missing() -> int:
            raise AttributeError("timerfd_create")

        monkeypatch.setattr(module, "_timerDescriptor", missing)
    if request.param == "libc":
        # As before Python 3.13.
        monkeypatch.delattr(os, "timerfd_create", raising=False)
        monkeypatch.delattr(os, "timerfd_settime", raising=False)
    core = BatchReactor(reactor) if request.param == "batch" else PlainReactor(reactor)
    made = Alarms(core)
    yield made
    made.close()
    core.close()


async def passing(seconds: float) -> None:
    await deferLater(reactor, seconds)


@pytest_twisted.ensureDeferred
async def test_in_time_and_order(alarms: Alarms) -> None:
    """Each rings once, in the order of their times, and never early."""
    verifyObject(IReactorTime, alarms)
    rang: list[tuple[float, float]] = []
    done: Deferred[None] = Deferred()
    began = alarms.seconds()
    for wanted in (0.02, 0.0, 0.005, 0.02, 0.01):
        alarms.callLater(wanted, lambda w=wanted: rang.append((w, alarms.seconds() - began)))
    alarms.callLater(0.025, done.callback, None)
    assert len(alarms.getDelayedCalls()) == 6
    await done
    assert [wanted for wanted, _ in rang] == [0.0, 0.005, 0.01, 0.02, 0.02]
    assert all(0 <= when - wanted < 1 for wanted, when in rang)
    assert alarms.getDelayedCalls() == []


@pytest_twisted.ensureDeferred
async def test_arguments(alarms: Alarms) -> None:
    """Arguments are passed, as Twisted does."""
    done: Deferred[object] = Deferred()
    alarms.callLater(0, lambda *args, **named: done.callback((args, named)), 1, 2, three=3)
    assert await done == ((1, 2), {"three": 3})


@pytest_twisted.ensureDeferred
async def test_moved_and_cancelled(alarms: Alarms) -> None:
    """A timer can be moved both ways, and cancelled; afterwards it cannot."""
    rang: list[str] = []
    sooner = alarms.callLater(60, rang.append, "sooner")
    later = alarms.callLater(0.001, rang.append, "later")
    gone = alarms.callLater(0.001, rang.append, "gone")
    verifyObject(IDelayedCall, gone)
    sooner.reset(0.005)
    later.delay(0.1)
    gone.cancel()
    assert not gone.active() and sooner.active()
    while len(rang) < 2:
        await passing(0.01)
    assert rang == ["sooner", "later"]
    for act in (gone.cancel, lambda: gone.reset(1), lambda: gone.delay(1)):
        with pytest.raises(AlreadyCancelled):
            act()
    with pytest.raises(AlreadyCalled):
        later.cancel()


@pytest_twisted.ensureDeferred
async def test_from_within(alarms: Alarms) -> None:
    """A timer that is set, moved or cancelled while others ring does as it was told."""
    rang: list[str] = []
    done: Deferred[None] = Deferred()

    def first() -> None:
        rang.append("first")
        victim.cancel()
        mover.reset(0)
        alarms.callLater(0, rang.append, "new")
        alarms.callLater(0.01, done.callback, None)

    alarms.callLater(0.001, first)
    victim = alarms.callLater(0.001, rang.append, "victim")
    mover = alarms.callLater(60, rang.append, "mover")
    await done
    assert sorted(rang) == ["first", "mover", "new"]


@pytest_twisted.ensureDeferred
async def test_failure(alarms: Alarms, loggedFailures: Any) -> None:
    """One that fails is logged; the others ring."""
    done: Deferred[None] = Deferred()
    alarms.callLater(0, lambda: 1 / 0)
    alarms.callLater(0.001, done.callback, None)
    await done
    assert len(loggedFailures.flush(ZeroDivisionError)) == 1


@pytest_twisted.ensureDeferred
async def test_closed_while_ringing(alarms: Alarms) -> None:
    """Being closed by one of them, it forgets the others."""
    rang: list[str] = []
    alarms.callLater(0.001, alarms.close)
    alarms.callLater(0.001, rang.append, "no")
    await passing(0.02)
    assert rang == [] and alarms.getDelayedCalls() == []
    assert not [call for call in reactor.getDelayedCalls() if "Alarms" in repr(call)]


@pytest_twisted.ensureDeferred
async def test_precise(missing: Any) -> None:
    """They ring well within a millisecond, where Twisted's would need one."""
    waker = module._waker(PlainReactor(reactor), print)
    waker.close()
    if isinstance(waker, module._Later):
        missing("this system has no timerfd(2)")
    core = BatchReactor(reactor)
    alarms = Alarms(core)
    late = []
    for _ in range(50):
        done: Deferred[None] = Deferred()
        when = alarms.callLater(0.0013, done.callback, None).getTime()
        await done
        late.append(alarms.seconds() - when)
    alarms.close()
    core.close()
    assert min(late) >= 0
    assert sorted(late)[len(late) // 4] < 0.0005


def test_no_descriptor_before_it_is_needed() -> None:
    """A daemon without toxics has no timerfd."""
    before = os.listdir("/proc/self/fd")
    alarms = Alarms(PlainReactor(reactor))
    assert os.listdir("/proc/self/fd") == before
    assert abs(alarms.seconds() - time.monotonic()) < 1
    alarms.close()


def test_many_cancelled_are_swept() -> None:
    """What was cancelled or moved does not pile up until its time."""
    alarms = Alarms(PlainReactor(reactor))
    kept = alarms.callLater(3600, print)
    for _ in range(10_000):
        alarms.callLater(3600, print).cancel()
    for number in range(10_000):
        kept.reset(3600 - number / 10)
    assert len(alarms._queue) < 200
    assert alarms.getDelayedCalls() == [kept]
    alarms.close()


class Machine(RuleBasedStateMachine):
    """Timers in virtual time beside a plain list of what should ring when."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.alarms = Alarms(None)
        self.alarms.seconds = lambda: self.now  # type: ignore[method-assign]
        self.alarms._waker = self  # type: ignore[assignment]
        self.awaited = float("inf")
        self.wanted: dict[Alarm, float] = {}
        self.rang: list[Alarm] = []

    def wake(self, when: float) -> None:
        self.awaited = when

    def close(self) -> None: ...

    @rule(delay=st.integers(0, 20))
    def set(self, delay: int) -> None:
        alarm = self.alarms.callLater(delay, lambda: self.rang.append(alarm))
        self.wanted[alarm] = self.now + delay

    @precondition(lambda self: self.wanted)
    @rule(data=st.data(), delay=st.integers(0, 20))
    def reset(self, data: st.DataObject, delay: int) -> None:
        alarm = data.draw(st.sampled_from(list(self.wanted)))
        alarm.reset(delay)
        self.wanted[alarm] = self.now + delay

    @precondition(lambda self: self.wanted)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        alarm = data.draw(st.sampled_from(list(self.wanted)))
        alarm.cancel()
        del self.wanted[alarm]

    @rule(seconds=st.integers(0, 15))
    def wait(self, seconds: int) -> None:
        end = self.now + seconds
        while self.awaited <= end:
            self.now = max(self.now, self.awaited)
            self.awaited = float("inf")
            self.alarms.ring()
        self.now = end
        due = {alarm for alarm, when in self.wanted.items() if when <= end}
        assert set(self.rang) == due and len(self.rang) == len(due)
        times = [self.wanted.pop(alarm) for alarm in self.rang]
        assert times == sorted(times)
        self.rang.clear()

    @invariant()
    def known(self) -> None:
        assert set(self.alarms.getDelayedCalls()) == set(self.wanted)


TestMachine = Machine.TestCase
