"""What answers look like, and what bodies must: one struct each, with which OpenAPI is written."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from loopbackd.faultsettings import Stream, ToxicSettings
from loopbackd.settings import ServiceSettings
from loopbackd.watching.events import Event

Toxicity = Annotated[float, msgspec.Meta(ge=0, le=1)]


class Refused(msgspec.Struct, kw_only=True):
    """
    How an error is told.

    @ivar error: what is wrong.
    @ivar status: the status of the answer.
    """

    error: str
    status: int


class ProxyToxic(msgspec.Struct, kw_only=True):
    """A toxic, as Toxiproxy's clients know it."""

    attributes: dict[str, Any]
    name: str
    type: str
    stream: Stream
    toxicity: int | float


class Proxy(msgspec.Struct, kw_only=True):
    """
    A relay, as Toxiproxy's clients know it.

    @ivar listen: where it listens, C{host:port}; the port that was chosen, once it was.
    @ivar upstream: where it leads to.
    """

    name: str
    listen: str
    upstream: str
    enabled: bool
    toxics: list[ProxyToxic]


class Populated(msgspec.Struct, kw_only=True):
    """What became of C{/populate}: the proxies that are as asked."""

    proxies: list[Proxy]


class Failed(msgspec.Struct, kw_only=True):
    """A proxy that could not be had, and why."""

    name: str
    error: str


class NotAll(msgspec.Struct, kw_only=True):
    """
    What became of C{/populate} or C{/reset} where something could not be done.

    @ivar error: the first reason.
    @ivar proxies: those that are as asked.
    @ivar failed: the others.
    """

    error: str
    status: int
    proxies: list[Proxy]
    failed: list[Failed]


class Version(msgspec.Struct, kw_only=True):
    """The version of Toxiproxy whose API this is."""

    version: str


class Token(msgspec.Struct, kw_only=True):
    """What a page of ours shows, in the field or as the second subprotocol of a WebSocket."""

    token: str
    field: str
    subprotocols: list[str]


class ProxyToxicAsked(msgspec.Struct, kw_only=True):
    """A toxic to put on; C{type_stream} is its name if it is given none."""

    type: str
    name: str | None = None
    stream: Stream | None = None
    toxicity: Toxicity | None = None
    attributes: dict[str, Any] | None = None
    seed: int | None = None


class ProxyAsked(msgspec.Struct, kw_only=True):
    """A proxy to make; its toxics are in force before its first connection."""

    name: str
    upstream: str
    listen: str | None = None
    enabled: bool | None = None
    toxics: list[ProxyToxicAsked] | None = None


class ProxyChange(msgspec.Struct, kw_only=True):
    """What shall be otherwise; what is left out stays."""

    listen: str | None = None
    upstream: str | None = None
    enabled: bool | None = None


class ToxicChange(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What shall be otherwise; what is left out stays, of the attributes, too."""

    attributes: dict[str, Any] | None = None
    toxicity: Toxicity | None = None


class Toxic(msgspec.Struct, kw_only=True):
    """
    A toxic.

    @ivar seed: with it the same connections suffer the same again.
    @ivar match: which connections it may hit; C{null} for all.
    """

    attributes: dict[str, Any]
    name: str
    type: str
    stream: Stream
    toxicity: float
    seed: int
    match: dict[str, Any] | None


class Counts(msgspec.Struct, kw_only=True):
    """The connections of a service, and their bytes, those of open ones included."""

    open: int
    opened: int
    refused: int
    bytes_received: int
    bytes_sent: int


class Service(msgspec.Struct, kw_only=True):
    """
    A service.

    @ivar added: it is not in the configuration.
    @ivar listening: the addresses it listens on now.
    @ivar profile: the network whose toxics it has, all of them unchanged.
    @ivar settings: what was asked, as in a configuration, where it is not the default.
    """

    name: str
    protocol: str
    endpoint: str
    enabled: bool
    added: bool
    listening: list[str]
    target: str
    profile: str | None
    toxics: list[Toxic]
    connections: Counts
    settings: dict[str, Any]


class Services(msgspec.Struct, kw_only=True):
    """All services, those of the configuration first."""

    services: list[Service]


class Toxics(msgspec.Struct, kw_only=True):
    """The toxics of a service: the upstream ones in the order they were added, then the others."""

    toxics: list[Toxic]


Text = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class ServiceAsked(ServiceSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A service to add; the members are those of C{[[service]]} in a configuration."""

    name: Text


ToxicAsked = ToxicSettings


class Connection(msgspec.Struct, kw_only=True):
    """
    An open connection.

    @ivar opened: when it was accepted, in seconds since the epoch.
    @ivar uid: whose the other end is; C{null} where that is unknown.
    @ivar pid: a process that has the other end open; C{null} where none can be seen.
    @ivar command: its command line.
    @ivar toxics: the names of those it has.
    """

    id: int
    remote: str
    opened: float
    state: str
    protocol: str
    uid: int | None
    pid: int | None
    command: str | None
    bytes_received: int
    bytes_sent: int
    toxics: list[str]


class Connections(msgspec.Struct, kw_only=True):
    """The open connections of a service, the oldest first."""

    connections: list[Connection]


class Stub(msgspec.Struct, kw_only=True):
    """
    A stub.

    @ivar count: how many requests it got.
    @ivar settings: what was asked, where it is not the default.
    """

    name: str
    count: int
    settings: dict[str, Any]


class Stubs(msgspec.Struct, kw_only=True):
    """The stubs of a service in the order they are asked, and the states of their scenarios."""

    stubs: list[Stub]
    states: dict[str, str]


class ProfileChoice(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The profile that a service has, or is to have; C{null} for none."""

    profile: str | None


class ProfileKind(msgspec.Struct, kw_only=True):
    """
    A network by name.

    @ivar what: what it is like.
    @ivar source: who has published its figures.
    @ivar round_trip: milliseconds there and back.
    @ivar jitter: milliseconds by which each way is longer or shorter.
    @ivar down: kilobits a second towards the client; 0 for as many as there are.
    @ivar up: the same from the client.
    @ivar loss: the probability that a segment is lost, each way.
    @ivar toxics: what it amounts to.
    """

    name: str
    what: str
    source: str
    round_trip: float
    jitter: float
    down: float
    up: float
    loss: float
    toxics: list[ToxicSettings]


class ProfileKinds(msgspec.Struct, kw_only=True):
    """The networks there are by name, slow to fast, then the troublesome."""

    profiles: list[ProfileKind]


class ToxicKind(msgspec.Struct, kw_only=True):
    """
    A kind of toxic.

    @ivar origin: the package it comes from.
    @ivar attributes: a JSON Schema for each attribute: its type, bounds and default.
    """

    type: str
    origin: str
    what: str
    attributes: dict[str, Any]


class ToxicKinds(msgspec.Struct, kw_only=True):
    """The kinds of toxics there are."""

    toxics: list[ToxicKind]


class Finding(msgspec.Struct, kw_only=True):
    """
    What is wrong.

    @ivar kind: what was found, by a name that stays.
    @ivar says: what is the case.
    @ivar evidence: how that is known, a line each.
    @ivar remedy: what to do about it, a line each.
    """

    kind: str
    severity: str
    says: str
    evidence: list[str]
    remedy: list[str]


class WatchedListener(msgspec.Struct, kw_only=True):
    """
    Somebody who listens on this machine.

    @ivar pid: C{null} where it cannot be seen.
    @ivar command: its command line.
    @ivar program: its executable.
    @ivar since: when it was first seen, in seconds since the epoch.
    @ivar older: it was there before anybody looked.
    @ivar connections: how many are open at its port, where that is looked at.
    @ivar suspicious: the kinds of its findings.
    """

    host: str
    port: int
    uid: int
    user: str
    pid: int | None
    command: str | None
    program: str | None
    since: float
    older: bool
    connections: int
    suspicious: list[str]


WatchEvent = Event


class Watch(msgspec.Struct, kw_only=True):
    """
    What the watch sees.

    @ivar enabled: there is one.
    @ivar missing: why nothing can be seen; empty if it can.
    @ivar listeners: who listens now.
    @ivar findings: what is suspicious about them.
    @ivar events: what was new, the oldest first.
    """

    enabled: bool
    missing: str
    listeners: list[WatchedListener]
    findings: list[Finding]
    events: list[WatchEvent]
