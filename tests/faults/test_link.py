"""A link: what it holds comes out in order, in time, whole, and within its bounds."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from suffering import Line, effectOf
from twisted.internet.task import Clock

from loopbackd.faults.kind import NEVER, Effect, Mark
from loopbackd.faults.kinds import makeKind
from loopbackd.faults.link import Link


class Never(Effect):
    """Nothing goes on until it is taken away."""

    window = 1000

    def data(self, arrived: float, now: float, chunk: bytes) -> Any:
        return [(NEVER, chunk)]

    def end(self, arrived: float, now: float) -> float:
        return NEVER


class Alarming(Effect):
    """Ends the connection after a second."""

    def begin(self, now: float) -> None:
        self.alarm = (now + 1, Mark.RESET)


def test_bare() -> None:
    """Without toxics everything comes out at once."""
    line = Line()
    line.at(0, b"a", b"b", Mark.END)
    assert line.came == [(0, b"a"), (0, b"b"), (0, Mark.END)]
    assert line.link.isEmpty and line.link.isBare


def test_chain() -> None:
    """Delays of several toxics add up, and the order is kept."""
    line = Line(effectOf("latency", latency=100), effectOf("latency", latency=50))
    line.at(0, b"a")
    line.at(0.02, b"b", Mark.END)
    line.until(1)
    assert line.came == [(0.15, b"a"), (0.17, b"b"), (0.17, Mark.END)]


def test_taken_away() -> None:
    """What a toxic holds goes on at once when it is taken away, and meets the next one."""
    first, second = Never(), effectOf("latency", latency=100)
    line = Line(first, second)
    line.at(0, b"a", b"b")
    line.at(1, b"c")
    line.link.take(first)
    line.until(2)
    assert line.came == [(1.1, b"a"), (1.1, b"b"), (1.1, b"c")]
    line.link.take(second)
    assert line.link.isBare and line.link.isEmpty
    assert not line.clock.getDelayedCalls()


def test_changed() -> None:
    """What waits is looked at again when the attributes change, from when it came."""
    effect = effectOf("latency", latency=10_000)
    line = Line(effect)
    line.at(0, b"a")
    line.at(1, b"b")
    line.link.change(effect, makeKind("latency", {"latency": 500}))
    line.until(3)
    assert line.came == [(1, b"a"), (1.5, b"b")]


def test_source_is_held() -> None:
    """Who holds much asks the source to wait, and lets it go on when half of it is gone."""
    effect = Never()
    line = Line(effect)
    line.at(0, bytes(700))
    assert not line.outlet.held
    line.link.feed(bytes(700))
    assert line.outlet.held
    line.link.take(effect)
    assert not line.outlet.held
    assert len(line.outlet.data) == 1400


def test_small_pieces_are_bounded() -> None:
    """Many small pieces fill a window as few big ones do."""
    line = Line(Never())
    fed = 0
    while not line.outlet.held:
        line.link.feed(b"x")
        fed += 1
    assert fed < 10


def test_full_stops_the_one_before() -> None:
    """A toxic that is full lets the one before it wait, whose time has come."""
    second = Never()
    line = Line(effectOf("latency", latency=1), second)
    for _ in range(100):
        line.at(line.clock.seconds(), bytes(100))
    line.until(1)
    assert line.came == []
    line.link.take(second)
    line.until(1)
    assert len(line.outlet.data) == 10_000


def test_toxics_that_come_and_go_do_not_pump() -> None:
    """Nothing is asked of the source for a toxic that is new while what others held still waits."""
    line = Line()
    line.link.pause()
    fed = 0
    for _ in range(50):
        effect = effectOf("latency")
        line.link.put(effect, 0)
        while not line.outlet.held:
            line.link.feed(bytes(65536))
            fed += 65536
        line.link.take(effect)
    assert fed < 3 * effect.window
    line.link.resume()
    assert len(line.data) == fed and not line.outlet.held


def test_paused_outlet() -> None:
    """Nothing comes out while the outlet takes nothing; then all does."""
    line = Line(effectOf("latency", latency=10))
    line.link.pause()
    line.at(0, b"a", b"b", Mark.END)
    line.until(1)
    assert line.came == [] and not line.link.isEmpty
    line.link.resume()
    assert [piece for _, piece in line.came] == [b"a", b"b", Mark.END]


def test_alarm() -> None:
    """An alarm ends the connection in time, whatever is held."""
    line = Line(Never(), Alarming())
    line.at(0, b"a")
    line.until(5)
    assert line.outlet.cuts == [(1, Mark.RESET)]
    assert line.came == []
    assert not line.clock.getDelayedCalls()


def test_others_get_a_turn() -> None:
    """However many pieces are due, a link goes on with them after everybody else's turn."""
    line = Line(effectOf("slicer", average_size=1))
    passOn = line.outlet.passOn
    seen: list[int] = []

    def passOnSlowly(chunk: bytes) -> None:
        passOn(chunk)
        line.clock.rightNow += 0.0001

    line.outlet.passOn = passOnSlowly  # type: ignore[method-assign]
    data = bytes(range(250)) * 40
    line.clock.callLater(0.003, lambda: seen.append(len(line.data)))
    line.at(0, data, Mark.END)
    line.until(5)
    assert 1 < seen[0] < 100
    assert line.data == data
    assert line.came[-1][1] is Mark.END
    assert line.link.isEmpty and not line.clock.getDelayedCalls()


def test_others_get_a_turn_when_one_is_taken_away() -> None:
    """What was held goes through the next toxic after and after, where that takes its time."""
    seen: list[int] = []

    class Thinking(Effect):
        def data(self, arrived: float, now: float, chunk: bytes) -> Any:
            line.clock.rightNow += 0.0005
            return [(now, chunk)]

    holding, thinking = effectOf("latency", latency=60_000), Thinking()
    line = Line(holding, thinking)
    pieces = [b"%d," % number for number in range(100)]
    line.at(0, *pieces)
    line.clock.callLater(1, lambda: seen.append(len(line.came)))
    line.clock.rightNow = 1.0
    line.link.take(holding)
    assert len(line.came) < 20
    late = effectOf("latency", latency=10)
    line.link.put(late, 1)
    line.at(1.01, b"end", Mark.END)
    line.until(5)
    assert seen[0] < 20
    assert line.data == b"".join(pieces) + b"end"
    line.link.take(late)
    line.link.take(thinking)
    assert line.link.isBare and line.link.isEmpty and not line.clock.getDelayedCalls()


@pytest.mark.parametrize("piece", ["text", 3, None])
def test_no_bytes(piece: Any, loggedFailures: Any) -> None:
    """A toxic that gives something else than bytes is wrong, and its connection is reset."""

    class Garbling(Effect):
        def data(self, arrived: float, now: float, chunk: bytes) -> Any:
            return [(now, piece)]

    line = Line(Garbling())
    line.at(0, b"a")
    assert line.outlet.cuts == [(0, Mark.RESET)] and not line.came
    assert len(loggedFailures.flush(Exception)) == 1


def test_as_good_as_bytes() -> None:
    """A toxic may give what it made of the bytes without a copy; of nothing, nothing comes."""

    class Viewing(Effect):
        def data(self, arrived: float, now: float, chunk: bytes) -> Any:
            return [(now, memoryview(chunk)[1:]), (now, b""), (now, bytearray(chunk))]

    line = Line(Viewing(), effectOf("slicer", average_size=10))
    line.at(0, b"abc")
    assert line.came == [(0, b"bc"), (0, b"abc")]
    assert line.link.isEmpty


class _NoTime(Effect):
    def data(self, arrived: float, now: float, chunk: bytes) -> Any:
        return [(math.nan, chunk)]


class _NoTurn(Effect):
    takesTurns = True

    def turn(self, arrived: float, now: float, size: int) -> tuple[int, float]:
        return 1, math.nan


class _NoAlarm(Effect):
    def begin(self, now: float) -> None:
        self.alarm = 5  # type: ignore[assignment]


@pytest.mark.parametrize("kind", [_NoTime, _NoTurn, _NoAlarm])
def test_no_times(kind: type[Effect], loggedFailures: Any) -> None:
    """A toxic whose times are none is wrong, too; nothing waits for them."""
    line = Line(kind())
    line.at(0, b"a")
    assert line.outlet.cuts == [(0, Mark.RESET)] and not line.came
    assert len(loggedFailures.flush(Exception)) == 1


@pytest.mark.parametrize("window", [None, 0, -5, math.nan])
def test_no_window(window: Any, loggedFailures: Any) -> None:
    """A toxic that has room for nothing, from the beginning or after a change, is wrong as well."""

    class Narrow(Effect):
        def changed(self, kind: Any, now: float) -> None:
            self.window = window

    line, changed = Line(), Narrow()
    line.link.put(changed, 0)
    assert not line.outlet.cuts
    line.link.change(changed, None)
    assert line.outlet.cuts == [(0, Mark.RESET)]
    other, narrow = Line(), Narrow()
    narrow.window = window
    other.link.put(narrow, 0)
    assert other.outlet.cuts == [(0, Mark.RESET)]
    assert len(loggedFailures.flush(Exception)) == 2


def test_reentrant() -> None:
    """What is fed, paused and taken from within the outlet keeps its order."""
    clock = Clock()
    came: list[Any] = []

    class Again:
        def passOn(self, chunk: bytes) -> None:
            came.append(chunk)
            if chunk == b"a":
                link.feed(b"c")
                link.pause()
                link.resume()
                link.take(effect)

        def ended(self, mark: Mark) -> None:
            came.append(mark)

        cut = ended

        def holdSource(self) -> None: ...
        def releaseSource(self) -> None: ...
        def emptied(self) -> None: ...

    link = Link(clock, Again())
    effect = effectOf("latency", latency=10)
    link.put(effect, 0)
    for piece in (b"a", b"b", Mark.END):
        link.feed(piece)
    clock.advance(0.01)
    assert came[:2] == [b"a", b"b"] and came[2:] in ([Mark.END, b"c"], [b"c", Mark.END])
    assert link.isEmpty and not clock.getDelayedCalls()


@given(st.data())
def test_any_order_of_events(data: st.DataObject) -> None:
    """Whatever is put on, taken away and paused: all that was fed comes out in order."""
    line = Line()
    effects: list[Effect] = []
    fed = b""
    for step in range(data.draw(st.integers(1, 40))):
        what = data.draw(st.sampled_from(["feed", "put", "take", "pause", "resume", "wait"]))
        if what == "feed":
            chunk = bytes([step]) * data.draw(st.integers(1, 3000))
            fed += chunk
            line.link.feed(chunk)
        elif what == "put":
            effect = data.draw(
                st.sampled_from([Never(), effectOf("latency", latency=step, jitter=step)])
            )
            line.link.put(effect, data.draw(st.integers(0, len(effects))))
            effects.append(effect)
        elif what == "take" and effects:
            line.link.take(effects.pop(data.draw(st.integers(0, len(effects) - 1))))
        elif what == "pause":
            line.link.pause()
        elif what == "resume":
            line.link.resume()
        elif what == "wait":
            line.clock.advance(data.draw(st.sampled_from([0.001, 0.01, 1])))
        assert fed.startswith(line.outlet.data)
    line.link.feed(Mark.END)
    for effect in effects:
        line.link.take(effect)
    line.link.resume()
    assert line.outlet.data == fed
    assert line.came[-1][1] is Mark.END
    assert line.link.isEmpty and line.link.isBare and not line.clock.getDelayedCalls()
