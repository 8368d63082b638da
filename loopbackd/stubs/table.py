"""All stubs of a service: which one a request gets, whose turn it is, and in what state."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from loopbackd.explaining import shown
from loopbackd.httpsettings import AnswerSettings, StubSettings
from loopbackd.stubs.answering import PreparedAnswer, prepare
from loopbackd.stubs.asked import Asked
from loopbackd.stubs.matching import Condition, Matcher, distance
from loopbackd.stubs.resources import Resources

MOST_STUBS: Final = 10_000
_BEGINNING: Final = "started"
_AFTER: Final = ("repeat", "cycle", "not_found", "skip")


class Stub:
    """
    One stub, in use.

    @ivar settings: what was asked for.
    @ivar count: how many requests it got so far.
    """

    def __init__(self, name: str, settings: StubSettings, resources: Resources) -> None:
        self.name = name
        self.settings = settings
        self.matcher = Matcher(settings)
        self.answers = _answers(settings, resources)
        if settings.after not in _AFTER:
            raise ValueError(f"after = {shown(settings.after)}: write one of {', '.join(_AFTER)}")
        if settings.scenario is None and (settings.when_state or settings.then_state):
            raise ValueError("when_state and then_state need a scenario; name it")
        if settings.after != "repeat" and self.answers[-1].times is None:
            raise ValueError(
                f"after = {settings.after!r}: the last answer has no end; give it times = 1 or so"
            )
        self.reset()

    def __repr__(self) -> str:
        return f"<Stub {self.name} {self.count}>"

    def reset(self) -> None:
        """As if nothing had been asked yet."""
        self.count = 0
        self._turn = 0
        self._given = 0

    @property
    def isUsedUp(self) -> bool:
        """Whether its sequence has ended, and it leaves its requests to others."""
        return self.settings.after == "skip" and self._turn == len(self.answers)

    def take(self) -> PreparedAnswer | None:
        """The answer for the next request; L{None} where the sequence has ended in nothing."""
        self.count += 1
        if self._turn == len(self.answers):
            return None
        answer = self.answers[self._turn]
        self._given += 1
        if answer.times is not None and self._given >= answer.times:
            self._given = 0
            self._turn += 1
            if self._turn == len(self.answers):
                if self.settings.after == "repeat":
                    self._turn -= 1
                elif self.settings.after == "cycle":
                    self._turn = 0
        return answer


def _answers(settings: StubSettings, resources: Resources) -> list[PreparedAnswer]:
    given = settings.answer
    if isinstance(given, AnswerSettings):
        return [_prepared(given, resources, "answer")]
    if not given:
        raise ValueError("answer = []: give at least one")
    made = [_prepared(one, resources, f"answer {n}") for n, one in enumerate(given, 1)]
    for number, one in enumerate(made[:-1], 1):
        if one.times is None:
            # It would never be the next one's turn.
            made[number - 1] = PreparedAnswer(1, one.delay, one.target, one.make, one.usesNames)
    return made


def _prepared(settings: AnswerSettings, resources: Resources, key: str) -> PreparedAnswer:
    try:
        return prepare(settings, resources)
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from None


class Stubs:
    """
    The stubs of a service; they can be changed while it runs.

    @param resources: what their answers are made with.
    @ivar states: of each scenario that has left its first state.
    """

    def __init__(self, resources: Resources) -> None:
        self.resources = resources
        self.states: dict[str, str] = {}
        self._byName: dict[str, Stub] = {}
        self._order: list[Stub] = []
        self._made = 0

    def __len__(self) -> int:
        return len(self._order)

    def __iter__(self) -> Iterator[Stub]:
        """In the order in which they are asked."""
        return iter(list(self._order))

    def __getitem__(self, name: str) -> Stub:
        """@raise KeyError: there is none."""
        return self._byName[name]

    def add(self, settings: StubSettings) -> Stub:
        """
        Another stub; without a name it gets one.

        @raise ValueError: something is wrong with it, its name is taken, or there are too many; the
            message begins with the key that is wrong.
        """
        if len(self) >= MOST_STUBS:
            raise ValueError(f"there are {MOST_STUBS} stubs already; remove some")
        self._made += 1
        name = settings.name
        if name is None:
            name = self._freeName()
        elif name in self._byName:
            raise ValueError(f"name = {shown(name)}: it is taken; give each its own")
        stub = Stub(name, settings, self.resources)
        self._byName[name] = stub
        self._order.append(stub)
        self._order.sort(key=lambda one: one.settings.priority)
        return stub

    def _freeName(self) -> str:
        """After its place in the configuration, if that is free."""
        while (name := f"stub-{self._made}") in self._byName:
            self._made += 1
        return name

    def replace(self, settings: StubSettings) -> Stub:
        """
        Another stub of the same name, in the same place, with counts of its own.

        @raise KeyError: there is none of that name.
        @raise ValueError: something is wrong with it; the old one stays.
        """
        assert settings.name is not None
        before = self._byName[settings.name]
        stub = Stub(settings.name, settings, self.resources)
        self._byName[stub.name] = self._order[self._order.index(before)] = stub
        self._order.sort(key=lambda one: one.settings.priority)
        return stub

    def remove(self, name: str) -> Stub:
        """
        Be without one.

        @raise KeyError: there is none of that name.
        """
        stub = self._byName.pop(name)
        self._order.remove(stub)
        return stub

    def clear(self) -> None:
        """Be without any."""
        self._byName.clear()
        self._order.clear()
        self.states.clear()

    def reset(self) -> None:
        """Counts, sequences and scenarios begin anew."""
        self.states.clear()
        for stub in self._order:
            stub.reset()

    def check(self) -> None:
        """
        Whether every state can come about.

        @raise ValueError: a stub waits for one that no other leads to.
        """
        reached: Counter[tuple[str, str]] = Counter()
        for stub in self._order:
            if stub.settings.scenario and stub.settings.then_state:
                reached[stub.settings.scenario, stub.settings.then_state] += 1
        for stub in self._order:
            scenario, state = stub.settings.scenario, stub.settings.when_state
            if scenario and state not in (None, _BEGINNING) and (scenario, state) not in reached:
                raise ValueError(
                    f"stub {shown(stub.name)}: when_state = {shown(state)}: no then_state of"
                    f" scenario {shown(scenario)} leads there; it begins in {_BEGINNING!r}"
                )

    def stateOf(self, scenario: str) -> str:
        """The state of a scenario."""
        return self.states.get(scenario, _BEGINNING)

    def candidates(self, asked: Asked) -> list[Stub]:
        """Those that a request could get, as far as its head tells, in their order."""
        return [
            stub for stub in self._order if stub.matcher.matchesHead(asked) and self._isOpen(stub)
        ]

    def choose(self, asked: Asked, among: list[Stub] | None = None) -> Stub | None:
        """
        The one that a request gets; its body must be known.

        @param among: its L{candidates}, if they were asked for before.
        """
        for stub in self.candidates(asked) if among is None else among:
            # The state may be another one since then.
            if self._isOpen(stub) and stub.matcher.matchesBody(asked):
                return stub
        return None

    def take(self, stub: Stub) -> PreparedAnswer | None:
        """The stub's next answer; its scenario goes on."""
        scenario, state = stub.settings.scenario, stub.settings.then_state
        if scenario is not None and state is not None:
            self.states[scenario] = state
        return stub.take()

    def _isOpen(self, stub: Stub) -> bool:
        if stub.isUsedUp:
            return False
        scenario, state = stub.settings.scenario, stub.settings.when_state
        return scenario is None or state is None or self.stateOf(scenario) == state

    def closest(self, asked: Asked) -> str | None:
        """In words, the stub that comes closest to a request, and where it differs."""
        best: tuple[int, Stub, list[Condition]] | None = None
        for stub in self._order:
            differences = stub.matcher.differences(asked)
            away = distance(differences) + (not self._isOpen(stub))
            if best is None or away < best[0]:
                best = away, stub, differences
        if best is None:
            return None
        _, stub, differences = best
        said = [one.difference(asked) for one in differences]
        if stub.isUsedUp:
            said.append("its answers are used up")
        elif not self._isOpen(stub):
            scenario, state = stub.settings.scenario, stub.settings.when_state
            assert scenario is not None
            said.append(
                f"scenario {scenario} is in state {shown(self.stateOf(scenario))},"
                f" wanted is {shown(state)}"
            )
        return f"closest is stub {stub.name}: {'; '.join(said)}"
