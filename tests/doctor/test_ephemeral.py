"""The ports that the system hands out, without the system."""

from __future__ import annotations

import errno

import pytest

from loopbackd.doctor.checks.ephemeral import checkPort, checkPortsLeft, mayBeScarce
from loopbackd.doctor.facts.attempt import Attempt
from loopbackd.doctor.facts.ephemeral import (
    Clients,
    Ephemeral,
    clientsOf,
    ephemeral,
    handedOut,
    parseCounters,
    parseRanges,
    parseSockets,
)
from loopbackd.doctor.facts.sockets import Sockets
from loopbackd.peer.sockdiag import SocketRow, TCPState


def row(local: int, remote: int, state: TCPState) -> SocketRow:
    """A socket."""
    return SocketRow(state, ("127.0.0.1", local), ("127.0.0.1", remote), 0, 1, 0.0)


def test_files() -> None:
    """As the system writes them."""
    assert parseRanges("80,9000-9100\n") == ((80, 80), (9000, 9100))
    assert parseRanges("\n") == ()
    counters = "IpExt: A\nIpExt: 1\nTcpExt: A ListenOverflows\nTcpExt: 1 7\n"
    assert parseCounters(counters) == {"A": 1, "ListenOverflows": 7}
    assert parseCounters("") == {}
    sockstat = "sockets: used 5\nTCP: inuse 1 orphan 0 tw 42 alloc 3 mem 1\nUDP: inuse 7\n"
    assert parseSockets(sockstat)["tw"] == 42 and parseSockets(sockstat)["inuse"] == 1
    assert parseSockets("nothing\n\n") == {}


def test_a_range() -> None:
    """What is handed out, and how much that is."""
    there = Ephemeral(40000, 40009, reserved=((80, 80), (40005, 50000)))
    assert there.size == 5
    assert there.handsOut(40004) and not there.handsOut(40005) and not there.handsOut(39999)
    assert not Ephemeral().handsOut(62893)


def test_clients() -> None:
    """They are counted by where they go; the other ends of theirs are not."""
    rows = [
        row(40000, 80, TCPState.ESTABLISHED),
        row(80, 40000, TCPState.ESTABLISHED),
        row(40001, 80, TCPState.TIME_WAIT),
        row(40002, 81, TCPState.TIME_WAIT),
    ]
    found = clientsOf(rows, "127.0.0.1", 80)
    assert len(found) == 2 and str(found) == "1 ESTABLISHED, 1 TIME_WAIT"


def clients(count: int, state: str = "TIME_WAIT") -> list[Clients]:
    """So many."""
    return [Clients("127.0.0.1", 80, {state: count})]


def attempt(error: int = 0) -> list[Attempt]:
    """One."""
    return [Attempt("127.0.0.1", 80, error)]


@pytest.mark.parametrize(
    ("error", "count", "kinds"),
    [
        (0, 8, []),
        (0, 9, ["ports-scarce"]),
        (errno.EADDRNOTAVAIL, 9, ["ports-exhausted"]),
        (errno.ECONNREFUSED, 9, []),
    ],
)
def test_ports_left(error: int, count: int, kinds: list[str]) -> None:
    """None, few or enough."""
    there = Ephemeral(40000, 40009)
    found = checkPortsLeft(there, attempt(error), clients(count))
    assert [one.kind for one in found] == kinds


def test_what_gives_more() -> None:
    """What is as wide as it can be is not widened, and what is on is not switched on."""
    kept = Ephemeral(40000, 40009, ((1, 5),), reuses=0)
    (one,) = checkPortsLeft(kept, attempt(errno.EADDRNOTAVAIL), clients(9))
    assert one.remedy[1:] == (
        "as root: sysctl -w net.ipv4.ip_local_port_range='1024 60999'",
        "as root: sysctl -w net.ipv4.tcp_tw_reuse=1",
        "see whether all of ip_local_reserved_ports must be kept: 1-5",
    )
    wide = Ephemeral(1024, 65535)
    (one,) = checkPortsLeft(wide, attempt(errno.EADDRNOTAVAIL), clients(9, "ESTABLISHED"))
    assert one.remedy == ("have clients keep their connections and use them again",)


@pytest.mark.parametrize(
    ("there", "error", "wanted"),
    [
        (Ephemeral(), 0, False),
        (Ephemeral(waiting=20000, inUse=5000), 0, True),
        (Ephemeral(), errno.EADDRNOTAVAIL, True),
    ],
)
def test_whether_to_count(there: Ephemeral, error: int, wanted: bool) -> None:
    """Counting costs a machine with many sockets time: only where it may tell something."""
    assert mayBeScarce(there, attempt(error)) is wanted


@pytest.mark.parametrize(
    ("port", "state", "kinds"),
    [
        (8080, TCPState.CLOSE, []),
        (8080, TCPState.LISTEN, []),
        (40000, TCPState.LISTEN, ["port-in-ephemeral-range"]),
        (62893, TCPState.CLOSE, ["port-of-chance"]),
        (62893, TCPState.LISTEN, []),
        (80, TCPState.CLOSE, ["port-needs-privilege"]),
        (80, TCPState.LISTEN, []),
    ],
)
def test_a_port(port: int, state: TCPState, kinds: list[str]) -> None:
    """What is special about it, with somebody there and without."""
    there = Sockets(port, (row(port, 0, state),))
    assert [one.kind for one in checkPort(Ephemeral(), there, attempt())] == kinds


def test_a_port_that_is_not_seen() -> None:
    """Where the kernel does not tell who listens, nobody is said not to."""
    there = Sockets(62893, missing="not permitted")
    assert list(checkPort(Ephemeral(), there, attempt())) == []


def test_the_ports_that_are_handed_out() -> None:
    """This system's, and none of them needs a privilege."""
    assert 1024 <= handedOut().start < handedOut().stop <= 65536
    there = ephemeral()
    assert handedOut() == range(there.first, there.last + 1)
