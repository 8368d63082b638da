"""Many deadlines on one timer."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock

from loopbackd.net.deadlines import Deadlines


def test_each_thing_is_due_after_its_own_full_time() -> None:
    """Things started at different times fall due at different times, on one timer."""
    clock, due = Clock(), []
    deadlines = Deadlines[str](clock, 10, due.append)
    deadlines.start("a")
    clock.advance(4)
    deadlines.start("b")
    assert len(clock.getDelayedCalls()) == 1
    clock.advance(6)
    assert due == ["a"]
    clock.advance(4)
    assert due == ["a", "b"]
    assert clock.getDelayedCalls() == []


def test_a_stopped_thing_is_never_due() -> None:
    """Stopping the last thing stops the timer too."""
    clock, due = Clock(), []
    deadlines = Deadlines[str](clock, 10, due.append)
    deadlines.start("a")
    deadlines.stop("a")
    deadlines.stop("never started")
    assert clock.getDelayedCalls() == []
    clock.advance(20)
    assert due == []


def test_starting_again_gives_the_full_time_again() -> None:
    """A thing that waits already begins anew."""
    clock, due = Clock(), []
    deadlines = Deadlines[str](clock, 10, due.append)
    deadlines.start("a")
    clock.advance(9)
    deadlines.start("a")
    clock.advance(9)
    assert due == []
    clock.advance(1)
    assert due == ["a"]


def test_a_failing_deadline_does_not_hold_up_the_others(loggedFailures) -> None:
    """What one raises is logged; the next is told."""
    clock, due = Clock(), []

    def ring(thing: str) -> None:
        due.append(thing)
        if thing == "a":
            raise ZeroDivisionError

    deadlines = Deadlines[str](clock, 10, ring)
    deadlines.start("a")
    deadlines.start("b")
    clock.advance(10)
    assert due == ["a", "b"]
    assert len(loggedFailures.flush(ZeroDivisionError)) == 1


def test_one_that_starts_itself_again_does_not_hold_up_the_others() -> None:
    """The next to ring is the first that waits, not the last that was started."""
    clock, due = Clock(), []

    def ring(thing: str) -> None:
        due.append((clock.seconds(), thing))
        if len(due) == 1:
            deadlines.start("a")

    deadlines = Deadlines[str](clock, 10, ring)
    deadlines.start("a")
    clock.advance(1)
    deadlines.start("b")
    for _ in range(30):
        clock.advance(1)
    assert due == [(10, "a"), (11, "b"), (20, "a")]


def test_closing_forgets_everything() -> None:
    """Nothing is due after it, and no timer is left."""
    clock, due = Clock(), []
    deadlines = Deadlines[str](clock, 10, due.append)
    deadlines.start("a")
    deadlines.close()
    clock.advance(20)
    assert due == [] and clock.getDelayedCalls() == []


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["start", "stop", "advance"]), st.integers(0, 5), st.integers(1, 12)
        )
    )
)
def test_like_a_timer_for_each(steps: list[tuple[str, int, int]]) -> None:
    """Any order of events has the outcome that one timer for each thing would have."""
    clock, got, wanted = Clock(), [], []
    deadlines = Deadlines[int](clock, 10, lambda thing: got.append((clock.seconds(), thing)))
    model: dict[int, float] = {}
    for step, thing, seconds in steps:
        if step == "start":
            deadlines.start(thing)
            model[thing] = clock.seconds() + 10
        elif step == "stop":
            deadlines.stop(thing)
            model.pop(thing, None)
        else:
            for _ in range(seconds):
                clock.advance(1)
                for one, when in list(model.items()):
                    if when <= clock.seconds():
                        wanted.append((when, one))
                        del model[one]
    assert sorted(got) == sorted(wanted)
    assert len(clock.getDelayedCalls()) == bool(model)
