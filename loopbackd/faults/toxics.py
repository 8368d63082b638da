"""The toxics of one service, put on its connections, changed and taken away while they are live."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from twisted.internet.interfaces import IProtocol
from twisted.internet.protocol import Protocol
from twisted.logger import Logger

from loopbackd.connection import Connection
from loopbackd.connections import Connections
from loopbackd.faults.kind import NEVER, Opening
from loopbackd.faults.kinds import makeKind
from loopbackd.faults.link import Link
from loopbackd.faults.matching import Matcher
from loopbackd.faults.opening import Keeping, Postponed, together
from loopbackd.faults.toxic import Case, Toxic
from loopbackd.faults.wire import Wire
from loopbackd.faultsettings import ToxicSettings

_log = Logger()


class NameTaken(ValueError):
    """The service has a toxic of that name already."""


class Toxics:
    """
    The toxics of one service.

    Iterating gives the upstream ones in the order they were added, then the downstream ones.

    @param service: its name.
    @param clock: an L{IReactorTime} that keeps the time of the toxics.
    @param asked: those it begins with.
    """

    def __init__(
        self,
        service: str,
        connections: Connections,
        clock: Any,
        asked: tuple[ToxicSettings, ...] = (),
    ) -> None:
        self._service = service
        self._connections = connections
        self._clock = clock
        self._toxics: dict[str, Toxic] = {}
        self._wires: dict[Connection, Wire] = {}
        self._waiting: dict[Connection, Postponed] = {}
        for settings in asked:
            self.add(settings)

    def __iter__(self) -> Iterator[Toxic]:
        return iter(sorted(self._toxics.values(), key=lambda toxic: toxic.stream != "upstream"))

    def __len__(self) -> int:
        return len(self._toxics)

    @property
    def isEmpty(self) -> bool:
        """Whether there are none."""
        return not self._toxics

    def get(self, name: str) -> Toxic:
        """
        The toxic of that name.

        @raise KeyError: there is none.
        """
        return self._toxics[name]

    def add(self, settings: ToxicSettings) -> Toxic:
        """
        Put one more on, behind those of its direction, on live connections too.

        @raise NameTaken: there is one of that name.
        @raise ValueError: there is no such type, or its attributes are wrong.
        """
        kind = makeKind(settings.type, settings.attributes)
        settings = named(settings)
        if settings.name in self._toxics:
            raise NameTaken(
                f"there is a toxic {settings.name!r} already; change that, or choose another name"
            )
        toxic = Toxic(settings, kind, self._clock)
        self._toxics[toxic.name] = toxic
        for connection in self._live():
            toxic.meet(connection)
        self._apply(toxic)
        self._review()
        self._say(toxic, "put on")
        return toxic

    def change(
        self, name: str, attributes: dict[str, Any] | None = None, toxicity: float | None = None
    ) -> Toxic:
        """
        Change how much of it there is, on live connections too.

        @param attributes: the new values of some; the others stay.
        @raise KeyError: there is no such toxic.
        @raise ValueError: they are wrong; nothing was changed.
        """
        toxic = self._toxics[name]
        merged = {**toxic.settings.attributes, **(attributes or {})}
        asked = {**msgspec.structs.asdict(toxic.settings), "attributes": merged}
        if toxicity is not None:
            asked["toxicity"] = toxicity
        return self._turn(toxic, msgspec.convert(asked, ToxicSettings))

    def _turn(self, toxic: Toxic, settings: ToxicSettings) -> Toxic:
        """Have one be more or less of the same kind."""
        kind = makeKind(settings.type, settings.attributes)
        toxic.settings = settings
        if kind != toxic.kind:
            toxic.kind = kind
            for connection, case in toxic.cases():
                case.opening = None
                if case.effect is not None and connection in self._wires:
                    self._link(connection, toxic).change(case.effect, kind)
        self._apply(toxic)
        self._review()
        self._say(toxic, "changed")
        return toxic

    def remove(self, name: str) -> None:
        """
        Take one away; what it holds goes on at once.

        @raise KeyError: there is no such toxic.
        """
        toxic = self._toxics.pop(name)
        for connection, case in toxic.cases():
            self._takeOff(connection, toxic, case)
        self._review()
        self._say(toxic, "taken away")

    def reload(self, before: tuple[ToxicSettings, ...], after: tuple[ToxicSettings, ...]) -> None:
        """
        The configuration had those and has these now, which were found good (see L{check}).

        What is the same in both is not touched, nor is what is in neither.
        """
        old = {settings.name: settings for settings in map(named, before)}
        new = {settings.name: settings for settings in map(named, after)}
        for name in [name for name in old if name not in new and name in self._toxics]:
            self.remove(name)
        for name, settings in new.items():
            if settings == old.get(name):
                continue
            running = self._toxics.get(name)
            if running is not None and _isMoreOrLess(running.settings, settings):
                self._turn(running, settings)
                continue
            if running is not None:
                self.remove(name)
            self.add(settings)

    def clear(self) -> None:
        """Take all away."""
        for name in list(self._toxics):
            self.remove(name)

    def close(self) -> None:
        """No connection is served any more: forget those whose peers went before their words."""
        for wire in list(self._wires.values()):
            wire.drop()

    def attach(self, transport: Any, protocol: IProtocol) -> None:
        """
        Connect a protocol with the transport of a new connection, the toxics in between.

        That is done later, or never, where a toxic is at work on how connections begin.
        """
        connection = transport.connection
        for toxic in self:
            toxic.meet(connection)
            self._applyTo(connection, toxic)
        if not _isOpen(connection):
            # Its end has come before its beginning.
            transport.protocol = Protocol()
            return
        opening = self._opening(connection)
        if opening is None:
            protocol.makeConnection(transport)
            return
        wire = self._wire(connection)
        keeping = Keeping()
        upstream = [t for t in self if t.stream == "upstream" and t.hits(connection)]
        wire.upstream.put(keeping, len(upstream))
        self._waiting[connection] = waiting = Postponed(
            transport, protocol, wire, keeping, self._clock, self._connections.identify
        )
        waiting.whenOver = lambda: self._waiting.pop(connection, None)
        waiting.expect(opening)

    def _opening(self, connection: Connection) -> Opening | None:
        """How a new connection begins, all toxics taken together; L{None} for at once."""
        found = []
        for toxic in self:
            try:
                one = toxic.opening(connection)
            except Exception:
                self._failed(connection, toxic)
                one = Opening(NEVER)
            if one is not None:
                found.append(one)
        return together(found, self._clock.seconds())

    def _review(self) -> None:
        """The toxics are others: connections that wait for their beginning may wait no more."""
        for connection, waiting in list(self._waiting.items()):
            waiting.expect(self._opening(connection))

    def _live(self) -> Iterator[Connection]:
        for connection in self._connections:
            if connection.service == self._service and _isOpen(connection):
                yield connection

    def _apply(self, toxic: Toxic) -> None:
        for connection, _ in toxic.cases():
            self._applyTo(connection, toxic)

    def _applyTo(self, connection: Connection, toxic: Toxic) -> None:
        """Let a connection have the toxic, or not, as was decided for it."""
        case = toxic.meet(connection)
        if not toxic.wants(case):
            self._takeOff(connection, toxic, case)
        elif case.effect is None and _isOpen(connection):
            try:
                case.effect = toxic.effect(connection, case)
            except Exception:
                self._failed(connection, toxic)
            if case.effect is not None:
                position = self._position(connection, toxic)
                self._link(connection, toxic).put(case.effect, position)

    def _position(self, connection: Connection, toxic: Toxic) -> int:
        """How many toxics that came earlier are on its link."""
        before = 0
        for other in self._toxics.values():
            if other is toxic:
                break
            before += other.stream == toxic.stream and other.hits(connection)
        return before

    def _takeOff(self, connection: Connection, toxic: Toxic, case: Case) -> None:
        effect, case.effect = case.effect, None
        if effect is not None and connection in self._wires:
            self._link(connection, toxic).take(effect)

    def _link(self, connection: Connection, toxic: Toxic) -> Link:
        """Its link, on a wire that is put in where there is none."""
        wire = self._wire(connection)
        return wire.upstream if toxic.stream == "upstream" else wire.downstream

    def _wire(self, connection: Connection) -> Wire:
        wire = self._wires.get(connection)
        if wire is None:
            wire = Wire(connection.transport, self._clock, lambda _: self._gone(connection))
            self._wires[connection] = wire
        return wire

    def _gone(self, connection: Connection) -> None:
        self._wires.pop(connection, None)
        for toxic in self._toxics.values():
            toxic.left(connection)

    def _failed(self, connection: Connection, toxic: Toxic) -> None:
        _log.failure(
            "{connection}: toxic {name} failed; the connection is reset.",
            connection=connection,
            name=toxic.name,
        )
        connection.abort()

    def _say(self, toxic: Toxic, what: str) -> None:
        _log.info(
            "{service}: toxic {name} {what}: {type} {stream} {attributes}, toxicity {toxicity},"
            " seed {seed}",
            service=self._service,
            name=toxic.name,
            what=what,
            type=toxic.type,
            stream=toxic.stream,
            attributes=toxic.attributes,
            toxicity=toxic.toxicity,
            seed=toxic.seed,
        )


def _isOpen(connection: Connection) -> bool:
    """Whether its stream can still be given toxics."""
    return connection.transport is not None and not connection.transport.disconnecting


def _isMoreOrLess(one: ToxicSettings, other: ToxicSettings) -> bool:
    """Whether two toxics differ in nothing but how much there is of them."""
    return one == msgspec.structs.replace(other, attributes=one.attributes, toxicity=one.toxicity)


def named(settings: ToxicSettings) -> ToxicSettings:
    """With the name that it has if none was given (Toxiproxy's)."""
    if settings.name:
        return settings
    return msgspec.structs.replace(settings, name=f"{settings.type}_{settings.stream}")


def check(asked: tuple[ToxicSettings, ...]) -> None:
    """
    Find out whether these can be the toxics of a service.

    @raise ValueError: they cannot; the message names the toxic.
    """
    names: set[str] = set()
    for settings in asked:
        name = named(settings).name
        try:
            makeKind(settings.type, settings.attributes)
            if settings.match is not None:
                Matcher(settings.match)
        except ValueError as error:
            raise ValueError(f"toxic {name!r}: {error}") from error
        if name in names:
            raise ValueError(f"two toxics are named {name!r}; give each its own name")
        names.add(name)
