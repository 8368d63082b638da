"""Which stub a request gets, whose turn it is, and in what state."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopbackd.http.fields import Fields
from loopbackd.httpsettings import StubSettings
from loopbackd.stubs.asked import Asked
from loopbackd.stubs.resources import Resources
from loopbackd.stubs.table import MOST_STUBS, Stubs
from stubs.stubbing import Stubbed


def make(*wanted: dict[str, Any]) -> Stubs:
    """Stubs as a configuration has them."""
    stubs = Stubs(Resources(Path(), {}))
    for one in wanted:
        stubs.add(msgspec.convert(one, StubSettings))
    return stubs


def at(path: str) -> Asked:
    """A request for a path."""
    return Asked("GET", path.encode(), b"", Fields([]))


def chosen(stubs: Stubs, path: str = "/") -> str | None:
    """The name of the stub that a path gets."""
    stub = stubs.choose(at(path))
    return None if stub is None else stub.name


def test_theFirstThatMatches() -> None:
    """By priority, and then as they were written."""
    stubs = make(
        {"name": "a", "path": "/a"},
        {"name": "late", "priority": 1},
        {"name": "b", "path": "/{x}"},
        {"name": "early", "path": "/early", "priority": -1},
    )
    assert [stub.name for stub in stubs] == ["early", "a", "b", "late"]
    got = [chosen(stubs, path) for path in ("/a", "/b", "/early", "/x/y")]
    assert got == ["a", "b", "early", "late"]


def test_changedWhileItRuns() -> None:
    """Added, found by name, removed, and forgotten."""
    stubs = make({"name": "a"}, {})
    assert [stub.name for stub in stubs] == ["a", "stub-2"]
    assert stubs["a"] in list(stubs)
    stubs.remove("a")
    assert chosen(stubs) == "stub-2"
    with pytest.raises(KeyError):
        stubs.remove("a")
    stubs.clear()
    assert (len(stubs), chosen(stubs)) == (0, None)


def test_theyAreBounded() -> None:
    """There is an end to how many there can be."""
    stubs = make(*[{}] * MOST_STUBS)
    with pytest.raises(ValueError, match="remove some"):
        stubs.add(StubSettings())
    assert len(stubs) == MOST_STUBS


def statuses(answers: list[dict[str, Any]], after: str, count: int) -> list[int | None]:
    """What so many requests get; L{None} where they go past the stub."""
    toml = f"[[stub]]\npath = '/get'\nafter = '{after}'\n"
    for answer in answers:
        toml += "[[stub.answer]]\n" + "".join(f"{k} = {v}\n" for k, v in answer.items())
    one = Stubbed(toml)
    return [one.ask("/get").status for _ in range(count)]


def test_failsTwiceThenWorks() -> None:
    """The last answer stays."""
    answers = [{"status": 503, "times": 2}, {"status": 201}]
    assert statuses(answers, "repeat", 5) == [503, 503, 201, 201, 201]


def test_oneEachWhereNothingIsSaid() -> None:
    """But the last, which stays."""
    assert statuses([{"status": 501}, {"status": 502}], "repeat", 3) == [501, 502, 502]


def test_whatComesAfter() -> None:
    """From the beginning, nothing, or whoever else matches: here the test service itself."""
    answers = [{"status": 501}, {"status": 502, "times": 1}]
    assert statuses(answers, "cycle", 5) == [501, 502, 501, 502, 501]
    assert statuses(answers, "not_found", 4) == [501, 502, 404, 404]
    assert statuses(answers, "skip", 4) == [501, 502, 200, 200]


def test_resetBeginsAnew() -> None:
    """Counts, sequences and scenarios."""
    one = Stubbed(
        """
        [[stub]]
        name = "one"
        path = "/x"
        scenario = "s"
        then_state = "t"
        answer = [{ status = 500 }, { status = 200 }]
        """
    )
    stubs = one.site.stubs
    for _ in range(2):
        assert stubs.stateOf("s") == "started"
        assert [one.ask("/x").status for _ in range(3)] == [500, 200, 200]
        assert (stubs["one"].count, stubs.stateOf("s")) == (3, "t")
        stubs.reset()
        assert stubs["one"].count == 0


CART = """
[[stub]]
name = "pay"
method = "POST"
path = "/pay"
scenario = "cart"
then_state = "paid"
answer = { status = 201 }
[[stub]]
path = "/cart"
scenario = "cart"
when_state = "started"
answer = { text = "open" }
[[stub]]
name = "paid"
path = "/cart"
scenario = "cart"
when_state = "paid"
answer = { text = "paid" }
"""


def test_scenario() -> None:
    """A stub answers in its state, and moves to the next."""
    one = Stubbed(CART)
    assert one.ask("/cart").text == "open"
    one.ask("/pay", "POST")
    assert one.ask("/cart").text == "paid"


def test_theClosestIsNamed() -> None:
    """With what is not as wanted, and in which state the scenario is."""
    one = Stubbed(CART)
    stubs = one.site.stubs
    said = stubs.closest(at("/pay"))
    assert said == "closest is stub pay: the method is GET, wanted is POST"
    stubs.states["cart"] = "else"
    said = stubs.closest(at("/cart"))
    assert said is not None
    assert said.endswith("scenario cart is in state 'else', wanted is 'started'")
    assert make().closest(at("/")) is None


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ("after = 'stop'", "after = 'stop': write one of repeat, cycle, not_found, skip"),
        ("after = 'skip'", "after = 'skip': the last answer has no end; give it times = 1"),
        ("then_state = 'x'", "when_state and then_state need a scenario"),
        (
            "scenario = 's'\nwhen_state = 'paid'",
            "when_state = 'paid': no then_state of scenario 's' leads there; it begins in",
        ),
        ("name = 'a'\n[[stub]]\nname = 'a'", "stub 'a': name = 'a': it is taken"),
        ("name = 'a'\npath_regex = '['", "stub 'a': path_regex = '['"),
    ],
)
def test_mistakes(toml: str, said: str) -> None:
    """Each is told with the stub."""
    with pytest.raises(ValueError, match=r"^stub ") as caught:
        Stubbed(f"[[stub]]\n{toml}\n")
    assert said in str(caught.value)


@given(
    st.lists(st.tuples(st.integers(200, 599), st.integers(1, 3)), min_size=1, max_size=4),
    st.sampled_from(["repeat", "cycle"]),
    st.integers(1, 30),
)
def test_anySequence(answers: list[tuple[int, int]], after: str, count: int) -> None:
    """Each answer as often as it says, then as it is said what comes after."""
    given = [{"status": status, "times": times} for status, times in answers]
    stubs = make({"answer": given, "after": after})
    (stub,) = stubs
    prepared = {id(one): status for one, (status, _) in zip(stub.answers, answers, strict=True)}
    got = [prepared[id(one)] for _ in range(count) if (one := stubs.take(stub)) is not None]
    once = [status for status, times in answers for _ in range(times)]
    endless = once * count if after == "cycle" else once + [once[-1]] * count
    assert got == endless[:count]
    assert stub.count == count
