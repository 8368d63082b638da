"""Any toxics, on any connections, in any order: what arrives was sent, and in that order."""

from __future__ import annotations

import errno
import os
import random
import select
import socket
from typing import Any

import msgspec
import pytest
import pytest_twisted
from hypothesis import given
from hypothesis import strategies as st
from sockets import until
from suffering import Line, reactor, serving
from twisted.internet.task import deferLater

from loopbackd.faults import kinds
from loopbackd.faults.kind import Mark
from loopbackd.faults.kinds import makeKind
from loopbackd.faults.line import effectOf
from loopbackd.faults.toxics import Toxics
from loopbackd.faultsettings import MatchSettings, Stream, ToxicSettings

# What leaves a stream as it is, or ends it; and what throws some of it away until it is closed.
HONEST = {
    "bandwidth": {"rate": [0, 1, 50, 5000.5], "shared": [True, False]},
    "blackhole": {},
    "corrupt": {"rate": [0]},
    "cut": {"after": [0, 5, 50], "reset": [True, False], "per_connection": [True, False]},
    "duplicate": {"rate": [0]},
    "latency": {"latency": [0, 1, 20], "jitter": [0, 10], "distribution": ["uniform", "pareto"]},
    "limit_data": {"bytes": [0, 100, 100_000]},
    "loss": {"rate": [0, 0.01, 0.3, 1], "rto": [200, 250]},
    "noop": {},
    "refuse": {"delay": [0, 10]},
    "reset_peer": {"timeout": [0, 20]},
    "slicer": {"average_size": [1, 100, 5000], "size_variation": [0, 1], "delay": [0, 10, 500]},
    "slow_close": {"delay": [0, 30]},
    "slow_open": {"delay": [0, 20], "jitter": [0, 10]},
    "timeout": {"timeout": [0, 20]},
}
ENDS = frozenset(["cut", "limit_data", "refuse", "reset_peer", "timeout"])
"""What may keep some of a stream from arriving."""

ON_LINKS = sorted(HONEST.keys() - {"blackhole", "noop", "refuse", "slow_open"})

MATCHES = [None, None, MatchSettings(nth=2), MatchSettings(every=2), MatchSettings(pid=os.getpid())]
STREAMS: tuple[Stream, ...] = ("upstream", "downstream")
RESET = b"\1\0\0\0\0\0\0\0"


def attributesOf(type: str, chance: random.Random) -> dict[str, Any]:
    known: dict[str, list[Any]] = HONEST[type]
    return {key: chance.choice(values) for key, values in known.items()}


class Client:
    """Sends what it likes to an echo, and looks at what comes back."""

    def __init__(self, address: Any, chance: random.Random) -> None:
        self.socket = socket.create_connection((address.host, address.port), 10)
        self.socket.setblocking(False)
        self.sent, self.came = b"", b""
        self.finished = self.over = self.broken = False
        self.chance = chance

    def act(self) -> None:
        """Do one of the things clients do."""
        what = self.chance.choices(["send", "read", "finish", "close", "reset"], [60, 35, 2, 1, 1])[
            0
        ]
        try:
            if what == "send" and not self.finished:
                chunk = self.chance.randbytes(self.chance.choice([1, 100, 3000, 50_000]))
                self.sent += chunk[: self.socket.send(chunk)]
            elif what == "read":
                self.read()
            elif what == "finish" and not self.finished:
                self.socket.shutdown(socket.SHUT_WR)
                self.finished = True
            elif what in ("close", "reset"):
                if what == "reset":
                    self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                self.leave()
        except BlockingIOError:
            pass
        except OSError as error:
            assert error.errno in (errno.ECONNRESET, errno.EPIPE, errno.ENOTCONN)
            self.broken = True
            self.leave()

    def read(self) -> None:
        while select.select([self.socket], [], [], 0)[0]:
            part = self.socket.recv(65536)
            self.came += part
            assert self.sent.startswith(self.came)
            if not part:
                self.leave()
                return

    def leave(self) -> None:
        self.over = True
        self.socket.close()


def meddle(toxics: Toxics, chance: random.Random) -> None:
    """Put a toxic on, change one or take one away."""
    names = [one.name for one in toxics]
    what = chance.choice(["add", "add", "change", "toxicity", "remove", "remove", "clear"])
    if what == "add" and len(names) < 6:
        type = chance.choice(list(HONEST))
        settings = ToxicSettings(
            type=type,
            name=str(chance.random()),
            stream=chance.choice(STREAMS),
            toxicity=chance.choice([0.3, 1.0]),
            attributes=attributesOf(type, chance),
            match=chance.choice(MATCHES),
        )
        toxics.add(settings)
    elif what == "clear" and chance.random() < 0.1:
        toxics.clear()
    elif names and what == "change":
        one = toxics.get(chance.choice(names))
        toxics.change(one.name, attributesOf(one.type, chance))
    elif names and what == "toxicity":
        toxics.change(chance.choice(names), None, chance.choice([0.0, 0.5, 1.0]))
    elif names and what == "remove":
        toxics.remove(chance.choice(names))


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("seed", range(4))
async def test_real_connections(seed: int) -> None:
    """Nothing is doubled, nothing out of order, nobody is left; who was not cut has everything."""
    chance = random.Random(seed)
    async with serving() as loopback:
        toxics = loopback.live("main").toxics
        address: Any = loopback.addresses["main"][0]
        clients: list[Client] = []
        for _ in range(500):
            if len(clients) < 8:
                clients.append(Client(address, chance))
            for client in clients:
                client.act()
            meddle(toxics, chance)
            clients = [client for client in clients if not client.over]
            await deferLater(reactor, 0.001)
        toxics.clear()
        last = Client(address, chance)
        clients.append(last)
        last.socket.send(b"hello")
        last.sent = b"hello"
        for client in clients:
            try:
                client.socket.shutdown(socket.SHUT_WR)
            except OSError:
                client.broken = True

        def allOver() -> bool:
            for client in clients:
                if not client.over:
                    try:
                        client.read()
                    except OSError:
                        client.broken = True
                        client.leave()
            return all(client.over for client in clients)

        await until(allOver)
        assert last.came == b"hello" and not last.broken
        await until(lambda: not len(loopback.connections))
        assert not toxics._wires and not toxics._waiting


@given(st.data())
def test_links(data: st.DataObject) -> None:
    """On a link in memory, too, whatever is put on, changed and taken away at whatever time."""
    line, fed, cuttable = Line(), b"", False
    put: list[tuple[str, Any]] = []
    chance = random.Random(data.draw(st.integers(0, 1 << 30)))
    for step in range(data.draw(st.integers(1, 30))):
        what = data.draw(st.sampled_from(["feed", "put", "change", "take", "pause", "go", "wait"]))
        if what == "feed":
            chunk = bytes([step]) * data.draw(st.integers(1, 5000))
            fed += chunk
            line.link.feed(chunk)
        elif what == "put" and len(put) < 5:
            type = data.draw(st.sampled_from(ON_LINKS))
            effect = effectOf(
                makeKind(type, attributesOf(type, chance)),
                seed=step,
                since=line.clock.seconds(),
            )
            position = data.draw(st.integers(0, len(put)))
            line.link.put(effect, position)
            put.insert(position, (type, effect))
            cuttable |= type in ENDS
        elif what == "change" and put:
            type, effect = data.draw(st.sampled_from(put))
            kind = makeKind(type, attributesOf(type, chance))
            line.link.change(effect, kind)
        elif what == "take" and put:
            _, effect = put.pop(data.draw(st.integers(0, len(put) - 1)))
            line.link.take(effect)
        elif what == "pause":
            line.link.pause()
        elif what == "go":
            line.link.resume()
        elif what == "wait":
            line.until(line.clock.seconds() + data.draw(st.sampled_from([0.001, 0.1, 3])))
        assert fed.startswith(line.data)
    line.link.feed(Mark.END)
    for _, effect in put:
        line.link.take(effect)
    line.link.resume()
    line.until(line.clock.seconds() + 1)
    if not line.outlet.cuts and not cuttable:
        assert line.data == fed and line.came[-1][1] is Mark.END
    assert not line.clock.getDelayedCalls()


def test_all_kinds_are_meant() -> None:
    """The tables here have every kind there is, and every attribute."""
    assert HONEST.keys() == kinds._BUILT_IN.keys()
    for type, known in HONEST.items():
        fields = {field.encode_name for field in msgspec.structs.fields(kinds.kindClass(type))}
        assert fields - known.keys() <= {"every"}
