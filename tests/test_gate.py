"""Who may come in, and for how long; the kernel's half of it at the end, with two users."""

from __future__ import annotations

import resource
import socket
import subprocess
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import pytest_twisted
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet import reactor as realReactor
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import IAddress
from twisted.internet.task import Clock
from twisted.internet.threads import deferToThread

from loopbackd import gate as gateModule
from loopbackd.connection import Connection
from loopbackd.connections import Connections
from loopbackd.gate import Gate, Room, raiseDescriptorLimit
from loopbackd.peer.identity import PeerIdentity
from loopbackd.peer.networks import Networks
from loopbackd.settings import ServiceSettings
from loopbackd.testing import addressOf, serving

reactor: Any = realReactor
PEER = IPv4Address("TCP", "127.0.0.1", 4711)


class Sock:
    """A socket whose peer is known by its uid."""

    def __init__(self, uid: int | None) -> None:
        self.uid = uid
        self.closed = False
        self.lingers = b""

    def setsockopt(self, level: int, option: int, value: bytes) -> None:
        assert (level, option) == (socket.SOL_SOCKET, socket.SO_LINGER)
        self.lingers = value

    def close(self) -> None:
        self.closed = True

    @property
    def wasReset(self) -> bool:
        """Whether the peer saw a reset (on, no seconds) and not an end."""
        return self.closed and self.lingers == b"\1\0\0\0\0\0\0\0"


class Stream:
    """What the gate and the table need of a transport."""

    def __init__(self, sock: Sock) -> None:
        self.sock = sock
        self.bytesReceived = self.bytesSent = 0
        self.peerFinished = self.disconnecting = False
        self.protocol: Any = None
        self.connection: Connection | None = None

    @property
    def socket(self) -> Any:
        return self.sock

    def abortConnection(self) -> None:
        assert self.connection is not None
        self.connection.ended("aborted")


def identify(sock: Any) -> PeerIdentity:
    """The uid that was written on the socket."""
    if sock.uid is None:
        return PeerIdentity(None, 0, None, "", "nobody can tell")
    return PeerIdentity(sock.uid, 1, None, "ESTABLISHED", "")


class House:
    """A gate with all around it."""

    def __init__(
        self,
        allowed: frozenset[int] | None = None,
        room: int = 1000,
        networks: Networks | None = None,
        **settings: Any,
    ) -> None:
        self.clock = Clock()
        self.asked = 0
        self.connections = Connections(self.identify, self.clock.seconds)
        self.room = Room(self.connections)
        self.room.limit = room
        self.room.share.limit = max(1, room // 2)
        self._networks = networks
        self.gate = self.anotherGate(allowed, **settings)
        self.totals = self.connections.totals("a")

    def anotherGate(self, allowed: frozenset[int] | None = None, **settings: Any) -> Gate:
        """A gate of the same service, as after a reload."""
        asked = ServiceSettings(name="a", **settings)
        clock: Any = self.clock
        self.gate = Gate(
            asked, allowed, self.connections, self.room, clock, networks=self._networks
        )
        return self.gate

    def identify(self, sock: Any) -> PeerIdentity:
        self.asked += 1
        return identify(sock)

    def knock(self, uid: int | None = 0, remote: IAddress = PEER) -> Connection | None:
        """Somebody connects; whoever is refused must see a reset."""
        sock: Any = Sock(uid)
        connection = self.gate.admit(sock, remote)
        if connection is None:
            assert sock.wasReset
        else:
            assert not sock.closed
            self.stream = Stream(sock)
            self.stream.connection = connection
            connection.carriedBy(self.stream)  # type: ignore[arg-type]
        return connection


@pytest.fixture
def warnings(logged: Callable[[str], list[str]]) -> list[str]:
    """What the gates log."""
    return logged("loopbackd.gate")


def test_without_limits_everybody_comes_in_and_nobody_is_asked_who_they_are() -> None:
    """Asking costs time, so it is done only where it matters."""
    house = House()
    assert house.knock() and house.knock(None)
    assert house.asked == 0
    assert house.totals.open == 2


def test_allow_uids(warnings: list[str]) -> None:
    """Those listed come in; others and the unknown are reset, with the reason in the log."""
    house = House(frozenset([1, 2]))
    known = house.knock(1)
    assert known is not None and known.peer is not None and known.peer.uid == 1
    assert house.asked == 1
    assert house.knock(3) is None
    house.clock.advance(1)
    assert house.knock(None) is None
    assert house.knock(2)
    assert len(warnings) == 2
    assert "uid 3 is not in allow_uids" in warnings[0] and "127.0.0.1" in warnings[0]
    assert "who connects is unknown: nobody can tell" in warnings[1]
    assert (house.totals.open, house.totals.refused) == (2, 2)


def test_allow_addresses(warnings: list[str]) -> None:
    """Machines that are not listed are reset, once a second with a line, before anything else."""
    house = House(frozenset([1]), networks=Networks(["192.0.2.0/24"]))
    strangers = [IPv4Address("TCP", "192.0.3.1", 5), IPv6Address("TCP", "2001:db8::1", 5)]
    for stranger in strangers * 2:
        assert house.knock(1, stranger) is None
    assert house.asked == 0 and house.totals.refused == 4
    (line,) = warnings
    assert "refused 192.0.3.1:5: that machine is not in allow_addresses" in line
    assert house.knock(1, IPv6Address("TCP", "::ffff:192.0.2.9", 5))
    assert house.knock(1) and house.knock(1, UNIXAddress(None))
    assert house.knock(2, IPv4Address("TCP", "192.0.2.9", 5)) is None
    house.clock.advance(1)
    house.knock(1, strangers[1])
    assert "refused [2001:db8::1]:5" in warnings[-1] and "4 more" in warnings[-1]


def test_an_empty_list_of_uids_lets_nobody_in() -> None:
    """It is not the same as no list."""
    assert House(frozenset()).knock(0) is None


def test_max_connections(warnings: list[str]) -> None:
    """One more is reset; when one has ended there is room for one."""
    house = House(max_connections=2, max_connections_per_uid=9)
    first = house.knock()
    assert first and house.knock()
    assert house.knock() is None
    assert "max_connections = 2 is reached" in warnings[0]
    first.ended("done")
    assert house.knock()
    assert house.knock() is None


def test_the_room_of_the_whole_daemon(warnings: list[str]) -> None:
    """The connections of other services fill it too."""
    house = House(room=2, max_connections_per_uid=9)
    other = house.connections.add("b", PEER)
    assert house.knock()
    assert house.knock() is None
    assert "the daemon has no room" in warnings[0]
    other.ended("done")
    assert house.knock(5)


def test_one_user_gets_half(warnings: list[str]) -> None:
    """Without max_connections_per_uid; others still come in, until all is full."""
    house = House(max_connections=4)
    assert house.knock(1) and house.knock(1)
    assert house.asked == 0
    assert house.knock(1) is None
    assert "uid 1 may have no more than 2 connections" in warnings[0]
    assert house.knock(2) and house.knock(2)
    assert house.knock(3) is None


def test_one_user_gets_half_of_the_room() -> None:
    """Where the service has no limit of its own."""
    house = House(room=4)
    assert [bool(house.knock(7)) for _ in range(4)] == [True, True, False, False]


def test_the_unknown_share_one_allowance(warnings: list[str]) -> None:
    """They could all be one."""
    house = House(max_connections_per_uid=1)
    assert house.knock(None)
    assert house.knock(None) is None
    assert "peers that are unknown may have no more than 1 connections" in warnings[0]
    assert house.knock(5)


def test_peers_are_asked_for_only_while_it_is_crowded() -> None:
    """Counting starts where one user could have reached the limit, and stops at half of it."""
    house = House(max_connections_per_uid=4)
    open = [house.knock(uid) for uid in (1, 1, 2, 2)]
    assert house.asked == 0
    open.append(house.knock(3))
    assert house.asked == 5
    while len(open) > 1:
        open.pop().ended("done")  # type: ignore[union-attr]
    house.knock(1)
    assert house.asked == 5
    assert not house.gate._share._ofUid and not house.gate._share._counting


@given(
    st.integers(0, 6),
    st.integers(0, 6),
    st.integers(1, 8),
    st.lists(
        st.one_of(
            st.tuples(st.just("knock"), st.sampled_from([None, 1, 2, 3])),
            st.tuples(st.sampled_from(["end", "reload"]), st.integers(0, 99)),
        ),
        max_size=60,
    ),
)
def test_like_counting_everybody_all_the_time(
    most: int, mostOfOne: int, room: int, steps: list[tuple[str, Any]]
) -> None:
    """However it comes and goes, the outcome is that of the simplest gate there could be."""
    house = House(room=room, max_connections=most, max_connections_per_uid=mostOfOne)
    limit = mostOfOne or max(1, most // 2) if mostOfOne or most else room
    limit = min(limit, max(1, room // 2))
    open: list[tuple[int | None, Connection]] = []
    for step, value in steps:
        if step == "knock":
            full = len(open) >= room or (most and len(open) >= most)
            ofOne = Counter(uid for uid, _ in open)[value]
            connection = house.knock(value)
            assert (connection is None) == bool(full or ofOne >= limit)
            if connection is not None:
                open.append((value, connection))
        elif step == "reload":
            house.anotherGate(max_connections=most, max_connections_per_uid=mostOfOne)
        elif open:
            open.pop(value % len(open))[1].ended("done")
    while open:
        open.pop()[1].ended("done")
    assert house.totals.open == 0
    assert not +house.room.share._ofUid


def test_one_log_line_a_second_with_the_number_of_the_untold(warnings: list[str]) -> None:
    """Whoever knocks a thousand times fills no disk."""
    house = House(frozenset([1]))
    for _ in range(5):
        house.knock(2)
    assert len(warnings) == 1
    house.clock.advance(0.9)
    house.knock(2)
    assert len(warnings) == 1
    house.clock.advance(0.1)
    house.knock(2)
    assert len(warnings) == 2
    assert "(5 more refusals since the last such line)" in warnings[1]
    house.clock.advance(5)
    house.knock(2)
    assert "more refusals" not in warnings[2]
    assert house.totals.refused == 8


def test_a_flood_is_counted_and_told(warnings: list[str]) -> None:
    """Those that no descriptor was left for."""
    house = House()
    house.gate.flooded(12)
    assert house.totals.refused == 12
    assert "no file descriptors are left; 12 connections were reset" in warnings[0]


def test_first_byte_timeout(warnings: list[str]) -> None:
    """Who says nothing in time is reset; who said one byte is not, however long it is silent."""
    house = House(first_byte_timeout=5)
    silent = house.knock()
    house.clock.advance(1)
    speaks = house.knock()
    house.stream.bytesReceived = 1
    assert silent and speaks
    house.clock.advance(3.9)
    assert silent.state == "open"
    house.clock.advance(0.1)
    assert silent.reason == "aborted"
    assert "said nothing in time" in warnings[0]
    house.clock.advance(100)
    assert speaks.state == "open"
    assert house.clock.getDelayedCalls() == []


@given(st.floats(0.5, 1000), st.lists(st.floats(0.01, 0.9), max_size=12), st.integers(1, 40))
def test_idle_timeout_is_kept_within_a_quarter(
    limit: float, pauses: list[float], parts: int
) -> None:
    """Never before the time is up, and at the latest when it is up by a quarter."""
    house = House(idle_timeout=limit)
    connection = house.knock()
    assert connection is not None
    active = 0.0
    for pause in pauses:
        for _ in range(parts):
            house.clock.advance(pause * limit / parts)
        assert connection.closed is None
        active = house.clock.seconds()
        house.stream.bytesSent += 1
    step = limit / 50
    while connection.closed is None:
        house.clock.advance(step)
        assert house.clock.seconds() < active + 2 * limit, "was never found out"
    assert active + limit <= connection.closed * (1 + 1e-9)
    # The clock moves in steps here, and each of the looks may be late by one.
    assert connection.closed <= active + 1.25 * limit + 6 * step
    assert connection.reason == "aborted"
    assert house.clock.getDelayedCalls() == []


def test_nothing_is_kept_of_what_has_ended() -> None:
    """No timer, no entry, whatever the limits."""
    house = House(first_byte_timeout=5, idle_timeout=5, max_connections_per_uid=2)
    open = [house.knock(uid) for uid in (1, 2, 3, 4, 5)]
    for connection in open:
        assert connection is not None
        connection.ended("done")
    assert house.clock.getDelayedCalls() == []
    assert len(house.gate._first) == len(house.gate._idle) == 0
    assert not house.gate._share._ofUid


def test_a_user_that_has_gone_is_forgotten_while_others_are_counted() -> None:
    """A crowd that lasts does not make the count grow with everybody who ever came."""
    house = House(max_connections_per_uid=2)
    for _ in range(2):
        assert house.knock(1)
    for uid in range(100, 200):
        passing = house.knock(uid)
        assert passing is not None
        passing.ended("done")
    assert set(house.gate._share._ofUid) == {1}


def test_after_a_reload_the_old_gate_keeps_nothing_of_those_the_new_one_counts() -> None:
    """The timers of the first gate end with their connections, too."""
    house = House(idle_timeout=100, first_byte_timeout=50)
    open = [house.knock(1) for _ in range(3)]
    house.anotherGate(max_connections_per_uid=2)
    assert house.knock(1) is None
    for connection in open:
        assert connection is not None
        connection.ended("done")
    assert house.clock.getDelayedCalls() == []


def test_closing_stops_the_timers() -> None:
    """The connections stay as they are."""
    house = House(first_byte_timeout=5, idle_timeout=5)
    connection = house.knock()
    house.gate.close()
    assert house.clock.getDelayedCalls() == []
    assert connection is not None and connection.state == "open"


@pytest.mark.parametrize(
    ("descriptors", "asked", "limit"),
    [
        (1000, 0, 500),
        (1000, 10, 10),
        (1000, 5000, 968),
        (64, 0, 32),
        (64, 64, 32),
        (40, 0, 8),
        (10, 0, 1),
        (10, 7, 1),
    ],
)
def test_room(monkeypatch: Any, descriptors: int, asked: int, limit: int) -> None:
    """Half of the descriptors, or what was asked, with some always left for files."""
    monkeypatch.setattr(gateModule, "raiseDescriptorLimit", lambda: descriptors)
    room = Room(House().connections)
    room.resize(asked)
    assert room.limit == limit
    room.resize(0)
    assert room.limit == Room(House().connections).limit


@pytest.mark.parametrize(
    ("limits", "inForce", "raised"),
    [
        ((10, 100), 100, (100, 100)),
        ((100, 100), 100, None),
        ((10, -1), 1 << 20, (1 << 20, -1)),
        ((-1, -1), 1 << 20, None),
        ((2 << 20, 4 << 20), 1 << 20, None),
    ],
)
def test_the_descriptor_limit_is_raised(
    monkeypatch: Any, limits: tuple[int, int], inForce: int, raised: tuple[int, int] | None
) -> None:
    """To the hard limit, at most a million; never lowered."""
    assert resource.RLIM_INFINITY == -1
    told: list[Any] = []
    monkeypatch.setattr(gateModule.resource, "getrlimit", lambda _: limits)
    monkeypatch.setattr(gateModule.resource, "setrlimit", lambda _, new: told.append(new))
    assert raiseDescriptorLimit() == inForce
    assert told == ([] if raised is None else [raised])


def test_a_limit_that_cannot_be_raised_is_lived_with(monkeypatch: Any) -> None:
    """A sandbox may forbid it."""

    def refuse(*_: Any) -> None:
        raise OSError(1, "no")

    monkeypatch.setattr(gateModule.resource, "getrlimit", lambda _: (10, 100))
    monkeypatch.setattr(gateModule.resource, "setrlimit", refuse)
    assert raiseDescriptorLimit() == 10


# With a kernel, and with another user.


def askAs(uid: int, port: int) -> bytes:
    """What a client of that user gets for a byte: that byte, or nothing; in a thread."""
    become = ["setpriv", "--reuid", str(uid), "--regid", str(uid), "--clear-groups"]
    ask = f"exec 3<>/dev/tcp/127.0.0.1/{port} && printf x >&3 && exec head -c 1 <&3"
    told = subprocess.run([*become, "bash", "-c", ask], capture_output=True, timeout=30, cwd="/")
    assert told.returncode == 0 or b"reset by peer" in told.stderr, told.stderr
    return told.stdout


@pytest_twisted.ensureDeferred
async def test_another_user_is_refused_by_the_kernels_word(
    needsRoot: None, program: Callable[..., str], warnings: list[str]
) -> None:
    """A uid in allow_uids is answered; another is reset before a byte of it is read."""
    program("setpriv")
    program("bash")
    async with serving(reactor, "echo", allow_uids=(12345,)) as loopback:
        address: Any = addressOf(loopback)
        assert await deferToThread(askAs, 12345, address.port) == b"x"
        assert await deferToThread(askAs, 12346, address.port) == b""
        totals = loopback.connections.totals("test")
        assert (totals.opened, totals.refused) == (1, 1)
    assert "uid 12346 is not in allow_uids" in warnings[0]


@pytest_twisted.ensureDeferred
async def test_one_users_limit_is_no_other_users(
    needsRoot: None, program: Callable[..., str], warnings: list[str]
) -> None:
    """With root's allowance used up the next user still gets in."""
    program("setpriv")
    program("bash")
    async with serving(reactor, "echo", max_connections_per_uid=1) as loopback:
        address: Any = addressOf(loopback)
        with socket.create_connection((address.host, address.port)) as held:
            held.sendall(b"y")
            assert await deferToThread(held.recv, 1) == b"y"
            assert await deferToThread(askAs, 0, address.port) == b""
            assert await deferToThread(askAs, 12345, address.port) == b"x"
    assert "uid 0 may have no more than 1 connections" in warnings[0]


@pytest_twisted.ensureDeferred
async def test_whoever_writes_is_not_idle(tmp_path: Any, warnings: list[str]) -> None:
    """Also where only the server writes, by a timer, and nothing is ever read."""
    (tmp_path / "ticks.py").write_text(
        "from twisted.internet.protocol import Protocol\n"
        "class Ticks(Protocol):\n"
        "    left = 24\n"
        "    def connectionMade(self):\n"
        "        self.transport.write(b'.')\n"
        "        self.left -= 1\n"
        "        if self.left:\n"
        "            self.transport.reactor.callLater(0.025, self.connectionMade)\n"
        "        else:\n"
        "            self.transport.loseConnection()\n"
    )
    protocol = f"{tmp_path}/ticks.py:Ticks"
    async with serving(reactor, protocol, idle_timeout=0.2) as loopback:
        address: Any = addressOf(loopback)

        def listen() -> int:
            heard = 0
            with socket.create_connection((address.host, address.port), 10) as client:
                while got := client.recv(100):
                    heard += len(got)
            return heard

        assert await deferToThread(listen) == 24
