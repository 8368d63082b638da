"""One look after another: no more often than it may cost, and not at what has not changed."""

from __future__ import annotations

import socket
from contextlib import ExitStack

import pytest
from making import EPHEMERAL, keyed, socketRow

from loopbackd.peer.netlink import SocketDiag
from loopbackd.peer.sockdiag import TCPState
from loopbackd.watching.connections import Connections, touches
from loopbackd.watching.counters import Counters, counters, parseCounters
from loopbackd.watching.looking import Lookout
from loopbackd.watching.pace import Pace

TABLE = b"""Ip: Forwarding DefaultTTL
Ip: 1 64
Tcp: RtoAlgorithm ActiveOpens PassiveOpens AttemptFails EstabResets CurrEstab
Tcp: 1 2 3 4 5 6
Udp: InDatagrams
"""


class FakeDiag:
    """A kernel that counts how often it is asked, at a price."""

    def __init__(self):
        self.asked = []
        self.spent = 0.0

    def table(self, before, states):
        self.spent += 0.004
        self.asked.append("listeners" if TCPState.LISTEN in states else "connections")
        return {}

    def close(self):
        pass


def test_whatCostsMuchIsRare():
    """A look of 4 ms comes once a second, so that it costs 0.4 % of a core."""
    diag = FakeDiag()
    counts = iter(range(1000))
    lookout = Lookout(diag, True, lambda: diag.spent, lambda: Counters(next(counts)))
    for tenth in range(100):
        lookout.look(tenth / 10)
    assert 9 <= diag.asked.count("listeners") <= 11
    assert 9 <= diag.asked.count("connections") <= 11


def test_nothingHasChanged():
    """As long as the kernel counts the same nobody looks at connections again."""
    diag = FakeDiag()
    counted = [Counters(1)]
    lookout = Lookout(diag, True, lambda: 0.0, lambda: counted[0])
    seen = [lookout.look(second).sockets for second in range(5)]
    assert [one is None for one in seen] == [False, True, True, True, True]
    counted[0] = Counters(2)
    assert lookout.look(9).sockets is not None
    counted[0] = None
    assert lookout.look(10).sockets is not None


def test_listenersAlone():
    """Who is not asked for connections does not look at them."""
    diag = FakeDiag()
    lookout = Lookout(diag, False, lambda: 0.0, lambda: None)
    assert lookout.look(1).sockets is None
    assert diag.asked == ["listeners"]


def test_pace():
    """Something is due when it has been paid for, after the longest time, or a clock put back."""
    pace = Pace(0.01, 50.0)
    assert pace.isDue(0)
    pace.took(0.1, 0)
    assert not pace.isDue(9.9) and pace.isDue(10)
    pace.took(9, 10)
    assert not pace.isDue(59) and pace.isDue(60)
    assert pace.isDue(5)


@pytest.mark.parametrize(
    ("table", "counted"),
    [
        (TABLE, Counters(2, 3, 4, 5, 6)),
        (b"", None),
        (b"Tcp: ActiveOpens\nTcp: x\n", None),
        (b"Tcp: ActiveOpens\nTcp: 1\n", None),
        (b"Tcp: ActiveOpens AttemptFails\nTcp: 1\n", None),
    ],
)
def test_parseCounters(table, counted):
    """The columns are found by their names; what is not like that is nothing."""
    assert parseCounters(table) == counted


def test_theKernelCounts():
    """A refused attempt is one that failed."""
    before = counters()
    with socket.socket() as holder, socket.socket() as client:
        holder.bind(("127.0.0.1", 0))
        with pytest.raises(ConnectionRefusedError):
            client.connect(holder.getsockname())
    assert counters().failed > before.failed


def test_newConnections():
    """A connection is new once, whatever becomes of it, and counted while it is open."""
    here, there = ("127.0.0.1", 40000), ("127.0.0.1", 80)
    ends = [socketRow(here, there), socketRow(there, here)]
    connections = Connections()
    assert connections.become({}) == []
    assert sorted(connections.become(keyed(ends)), key=str) == sorted(ends, key=str)
    assert connections.counts == {40000: 1, 80: 1}
    assert connections.become(keyed(ends)) == []
    closing = [socketRow(here, there, TCPState.FIN_WAIT2), socketRow(there, here)]
    assert connections.become(keyed(closing)) == []
    assert connections.counts == {80: 1}
    assert connections.become({}) == []
    assert connections.counts == {}
    assert len(connections.become(keyed(ends))) == 2


@pytest.mark.parametrize(
    ("row", "isTouch"),
    [
        (socketRow(("127.0.0.1", 40000), ("127.0.0.1", 80)), True),
        (socketRow(("127.0.0.1", 80), ("127.0.0.1", 40000)), False),
        (socketRow(("127.0.0.1", 40000), ("127.0.0.1", 81)), True),
        (socketRow(("127.0.0.1", 40000), ("127.0.0.1", 40001)), False),
        (socketRow(("127.0.0.1", 40000), ("127.0.0.1", 40001), TCPState.SYN_SENT), True),
        (socketRow(("127.0.0.1", 80), ("127.0.0.1", 4), TCPState.SYN_RECV), False),
        (socketRow(("10.0.0.1", 40000), ("10.0.0.2", 80)), False),
        (socketRow(("10.0.0.1", 40000), ("10.0.0.1", 80)), True),
        (socketRow(("::1", 40000), ("::1", 80)), True),
    ],
)
def test_whoTouches(row, isTouch):
    """The end that connected is told from the other by who listens, and by its port."""
    assert bool(list(touches([row], {80}, EPHEMERAL))) is isTouch


def test_theKernelsTable(missing):
    """What was there before is the very same row; what changes, comes or goes is another."""
    with ExitStack() as stack:
        diag = SocketDiag()
        stack.callback(diag.close)
        if why := diag.missing():
            missing(f"no socket diagnostics: {why}")
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        port = server.getsockname()[1]
        client = stack.enter_context(socket.create_connection(server.getsockname()))
        accepted = stack.enter_context(server.accept()[0])
        states = set(TCPState) - {TCPState.LISTEN}

        def ours(table):
            return {
                (row.local[1], row.state): (key, row)
                for key, row in table.items()
                if port in (row.local[1], row.remote[1])
            }

        first = diag.table({}, states)
        plain = {row for row in diag.rows(states=states) if port in (row.local[1], row.remote[1])}
        assert {(r.local, r.remote, r.state, r.uid, r.inode) for _, r in ours(first).values()} == {
            (r.local, r.remote, r.state, r.uid, r.inode) for r in plain
        }
        second = diag.table(first, states)
        assert ours(second).keys() == ours(first).keys()
        assert all(ours(second)[one][1] is row for one, (_, row) in ours(first).items())
        accepted.close()
        third = ours(diag.table(second, states))
        assert (client.getsockname()[1], TCPState.CLOSE_WAIT) in third
        assert third.keys() & {(port, TCPState.FIN_WAIT1), (port, TCPState.FIN_WAIT2)}
