"""A visit to an HTTP site in memory: a connection on a string transport and a clock of its own."""

from __future__ import annotations

import json
from copy import copy
from dataclasses import dataclass
from typing import Any

import h11
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from loopbackd.connections import Connections
from loopbackd.http.factory import HTTPFactory
from loopbackd.http.routes import Site
from loopbackd.iloopbackd import Surroundings

HERE = IPv4Address("TCP", "127.0.0.1", 62893)
CLIENT = IPv4Address("TCP", "127.0.0.1", 40000)


class MemoryTransport(StringTransport):
    """
    A transport in memory that can be half-closed and reset.

    @ivar finished: whether our side was closed.
    @ivar aborted: whether it was reset.
    """

    finished = False
    aborted = False

    def __init__(self) -> None:
        super().__init__(hostAddress=HERE, peerAddress=CLIENT)

    def loseWriteConnection(self) -> None:
        """Our side is closed."""
        self.finished = True

    def abortConnection(self) -> None:
        """The connection is reset."""
        self.aborted = self.disconnecting = True


@dataclass
class Answered:
    """One answer, as h11 reads it: it must be whole, and well-formed."""

    status: int
    reason: str
    fields: list[tuple[str, str]]
    body: bytes
    trailers: list[tuple[str, str]]

    def get(self, name: str) -> str | None:
        """The only value of a field; L{None} without one."""
        values = [value for key, value in self.fields if key.lower() == name.lower()]
        assert len(values) <= 1, f"{name} is there {len(values)} times"
        return values[0] if values else None

    def all(self, name: str) -> list[str]:
        """All values of a field."""
        return [value for key, value in self.fields if key.lower() == name.lower()]

    @property
    def json(self) -> Any:
        """The body, which must be JSON."""
        return json.loads(self.body)

    @property
    def text(self) -> str:
        """The body, which must be UTF-8."""
        return self.body.decode()


def answers(data: bytes, methods: list[str], ended: bool = False) -> list[Answered]:
    """
    All final answers in what a server sent; interim ones are passed over.

    @param methods: of the requests they answer.
    @param ended: whether the server has closed.
    """
    client = h11.Connection(h11.CLIENT)
    found: list[Answered] = []
    client.receive_data(data)
    if ended:
        client.receive_data(b"")
    for method in methods:
        client.send(h11.Request(method=method, target="/", headers=[("Host", "x")]))
        client.send(h11.EndOfMessage())
        one: Answered | None = None
        while True:
            event = client.next_event()
            if event is h11.NEED_DATA or isinstance(event, h11.ConnectionClosed):
                return found
            if isinstance(event, h11.Response):
                fields = [(n.decode(), v.decode("latin-1")) for n, v in event.headers.raw_items()]
                one = Answered(event.status_code, event.reason.decode("latin-1"), fields, b"", [])
            elif isinstance(event, h11.Data):
                assert one is not None
                one.body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                assert one is not None
                one.trailers = [(n.decode(), v.decode("latin-1")) for n, v in event.headers]
                found.append(one)
                break
        if client.our_state is not h11.DONE or client.their_state is not h11.DONE:
            break
        client.start_next_cycle()
    return found


class Visit:
    """
    A connection to a site.

    @param site: a table, or a ready factory.
    @param clock: in place of a plain one.
    """

    def __init__(self, site: Site | HTTPFactory, clock: Any = None) -> None:
        self.clock: Any = Clock() if clock is None else clock
        self.factory = site if isinstance(site, HTTPFactory) else HTTPFactory(site)
        connections = Connections(lambda sock: None, self.clock.seconds)  # type: ignore[arg-type,return-value]
        self.factory.servedBy(Surroundings("test", self.clock, connections))
        self.connect()

    def connect(self) -> None:
        """Have a connection; where there is one already, it is gone."""
        if hasattr(self, "http"):
            self.http.connectionLost(Failure(ConnectionDone()))
        self.transport = MemoryTransport()
        self.http = self.factory.buildProtocol(CLIENT)
        self.http.makeConnection(self.transport)  # type: ignore[arg-type]

    def another(self) -> Visit:
        """Another connection to the same site, at the same time."""
        visit: Visit = copy(self)
        del visit.http
        visit.connect()
        return visit

    def say(self, data: bytes, size: int = 1 << 30) -> None:
        """Send this, in pieces of that size."""
        for at in range(0, len(data), size):
            if not self.transport.disconnecting:
                self.http.dataReceived(data[at : at + size])

    def later(self, seconds: float) -> None:
        """Let time go by, a tenth of a second at a time."""
        for _ in range(round(seconds * 10)):
            self.clock.advance(0.1)
        # What ten tenths lack to be one.
        self.clock.advance(1e-6)

    @property
    def heard(self) -> bytes:
        """Everything that was sent to us."""
        return self.transport.value()

    @property
    def hasEnded(self) -> bool:
        """Whether the server has closed, or its side of it."""
        return self.transport.finished or self.transport.disconnecting

    def answers(self, *methods: str) -> list[Answered]:
        """The answers to requests with these methods."""
        return answers(self.heard, list(methods), self.hasEnded)

    def end(self) -> None:
        """The connection is gone, and no delayed call is left."""
        self.http.connectionLost(Failure(ConnectionDone()))
        assert self.clock.getDelayedCalls() == []


def request(
    target: str, method: str = "GET", fields: list[tuple[str, str]] | None = None, body: bytes = b""
) -> bytes:
    """A request, as a client writes it; it has a C{Host} if the fields have none."""
    lines = [f"{method} {target} HTTP/1.1"]
    if all(name.lower() != "host" for name, _ in fields or []):
        lines.append("Host: 127.0.0.1:62893")
    lines += [f"{name}: {value}" for name, value in fields or []]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def ask(
    site: Site | HTTPFactory,
    target: str,
    method: str = "GET",
    fields: list[tuple[str, str]] | None = None,
    body: bytes = b"",
    *,
    seconds: float = 0.0,
) -> Answered:
    """
    The answer to one request.

    @param seconds: how long the answer may take; the clock runs that far.
    """
    visit = Visit(site)
    visit.say(request(target, method, fields, body))
    visit.later(seconds)
    (answered,) = visit.answers(method)
    visit.end()
    return answered
