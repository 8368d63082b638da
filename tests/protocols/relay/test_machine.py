"""Every order of events a relay can meet (`loopbackd.protocols.relay.machine`)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

import pytest

from loopbackd.protocols.relay.machine import Ends, Events, machine

EVENTS = [name for name in vars(Events) if not name.startswith("_")]
ACTIONS = [name for name in vars(Ends) if not name.startswith("_")]
LONGEST = 7


class Done:
    """Notes what is done."""

    def __init__(self) -> None:
        self.actions: list[str] = []

    def __getattr__(self, name: str) -> object:
        assert name in ACTIONS
        return lambda: self.actions.append(name)


def after(*events: str) -> list[list[str]]:
    """What is done at each of these events."""
    done = Done()
    relay = machine(done)  # type: ignore[arg-type]
    steps = []
    for event in events:
        before = len(done.actions)
        getattr(relay, event)()
        steps.append(done.actions[before:])
    return steps


def isPossible(events: tuple[str, ...]) -> bool:
    """Whether this can happen: an end says nothing after it is lost, nor before it is there."""
    reached = failed = False
    lost: set[str] = set()
    finished: set[str] = set()
    for event in events:
        if event in ("connected", "failed"):
            if reached or failed:
                return False
            reached, failed = event == "connected", event == "failed"
        elif event == "overdue":
            # Of the dial, or of last words to the target, or too late to be stopped.
            if reached and "client" not in lost:
                return False
        else:
            end = event[:6]
            if end in lost or (end == "target" and not reached):
                return False
            if event.endswith("Finished"):
                if end in finished:
                    return False
                finished.add(end)
            else:
                lost.add(end)
    return True


def possible(before: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """All that can happen, in every order, up to a length that reaches every state."""
    yield before
    if len(before) < LONGEST:
        for event in EVENTS:
            if isPossible((*before, event)):
                yield from possible((*before, event))


def test_an_end_is_ended_once_and_left_alone_when_it_is_gone() -> None:
    """Nothing is done to an end before it is there and after it is lost; nothing twice."""
    for events in possible():
        there, gone = {"client"}, set()
        everything: list[str] = []
        for event, actions in zip(events, after(*events), strict=True):
            if event == "connected":
                there.add("target")
            if event.endswith(("Lost", "Reset")):
                gone.add(event[:6])
            for action in actions:
                everything.append(action)
                for end in ("client", "target"):
                    if action.lower().endswith(end):
                        assert end in there and end not in gone, events
            if "closeBoth" in actions:
                assert not gone and len(there) == 2, events
        assert len(everything) == len(set(everything)), events


def test_what_becomes_of_one_end_becomes_of_the_other() -> None:
    """An end is told as an end, both ends close both, a reset is a reset, a loss closes."""
    joined = 0
    for events in possible():
        steps = after(*events)
        begin = next((at for at, actions in enumerate(steps) if "join" in actions), len(events))
        finished = {event[:6] for event in events[:begin] if event.endswith("Finished")}
        if begin < len(events):
            joined += 1
            assert steps[begin] == ["join", *["finishTarget"] * len(finished)], events
        for event, actions in zip(events[begin + 1 :], steps[begin + 1 :], strict=True):
            other = "Target" if event.startswith("client") else "Client"
            if event.endswith("Finished"):
                finished.add(event[:6])
                assert actions == ([f"finish{other}"] if len(finished) == 1 else ["closeBoth"])
            else:
                how = "close" if event.endswith("Lost") else "reset"
                assert actions == [f"{how}{other}"], events
                break
    assert joined > 500


@pytest.mark.parametrize(
    ("events", "actions"),
    [
        ("failed", ["refuse"]),
        ("clientFinished failed", ["refuse"]),
        ("overdue", ["cancelDial", "refuse"]),
        ("overdue failed", ["cancelDial", "refuse"]),
        ("overdue connected", ["cancelDial", "refuse", "resetTarget"]),
        ("clientReset", ["cancelDial"]),
        ("clientReset connected", ["cancelDial", "resetTarget"]),
        ("clientLost failed", ["cancelDial"]),
        ("connected clientLost overdue", ["join", "closeTarget", "resetTarget"]),
        ("connected clientLost targetReset overdue", ["join", "closeTarget"]),
        ("connected targetLost clientReset", ["join", "closeClient"]),
        (
            "clientFinished connected targetFinished targetLost clientLost",
            ["join", "finishTarget", "closeBoth", "closeClient"],
        ),
    ],
)
def test_examples(events: str, actions: list[str]) -> None:
    """What is done in all."""
    assert list(chain(*after(*events.split()))) == actions
