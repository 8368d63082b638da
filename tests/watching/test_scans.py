"""Touches within a time, and counts of what was refused."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from loopbackd.watching.connections import Touch
from loopbackd.watching.scans import LIMIT, Refusals, Scans


def touch(port, uid=1000, inode=1):
    """Somebody connected to that port."""
    return Touch(("127.0.0.1", 40000), ("127.0.0.1", port), uid, inode)


@given(st.lists(st.tuples(st.integers(0, 9), st.floats(0, 3)), max_size=40))
def test_theWindow(steps):
    """A scan is told exactly when so many different ports were touched within the time."""
    scans = Scans(4, 5.0)
    now, touched, was = 100.0, [], False
    for port, later in steps:
        now += later
        touched.append((now, port))
        scans.saw([touch(port)], now)
        scans.suspects(now)
        ports = sorted({port for when, port in touched if when > now - 5.0})
        found = scans.found({})
        isMany = len(ports) >= 4
        assert [list(one.ports) for one in found] == ([ports] if isMany and not was else [])
        was = isMany


def test_processesAreToldApart():
    """Two processes of one user, of which one touches many ports and the other only few."""
    scans = Scans(3, 5.0)
    scans.saw([touch(1, inode=1), touch(2, inode=2), touch(3, inode=3), touch(4, inode=9)], 1.0)
    assert scans.suspects(1.0) == {1: 1000, 2: 1000, 3: 1000, 9: 1000}
    (scan,) = scans.found({1: 7, 2: 7, 3: 7, 9: 8})
    assert (scan.pid, scan.ports, scan.inode) == (7, (1, 2, 3), 1)
    assert scans.found({1: 7, 2: 7, 3: 7, 9: 8}) == []


def test_oneself():
    """The process that watches is nobody who scans."""
    scans = Scans(2, 5.0)
    scans.saw([touch(1), touch(2)], 1.0)
    assert scans.suspects(1.0)
    assert scans.found({1: 7}, ourselves=7) == []


def test_aClockThatIsPutBack():
    """What was seen at a time that is still to come is not of the last seconds."""
    scans = Scans(3, 5.0)
    refusals = Refusals(10, 5.0)
    refusals.counted(0, 3600.0)
    scans.saw([touch(1), touch(2)], 3600.0)
    assert refusals.counted(9, 3600.0) == 0
    scans.saw([touch(3)], 60.0)
    assert scans.suspects(60.0) == {} and scans.found({}) == []
    assert refusals.counted(18, 60.0) == 0
    assert refusals.counted(19, 61.0) == 10


def test_bounds():
    """A flood of touches, or of users, does not grow without end."""
    scans = Scans(2, 5.0)
    for number in range(3 * LIMIT):
        scans.saw([touch(number % 60000, uid=number % 1000)], 1.0)
    assert len(scans._touches) == 256
    scans = Scans(2, 5.0)
    scans.saw((touch(number % 60000) for number in range(3 * LIMIT)), 1.0)
    assert len(scans._touches[1000]) == LIMIT
    assert scans.suspects(7.0) == {}
    assert scans._touches == {}


def test_theFirstCountIsNoNews():
    """What was refused before anybody looked does not count, and a smaller count neither."""
    refusals = Refusals(10, 5.0)
    assert [refusals.counted(n, 1.0) for n in (10_000, 10_009, 3, 4)] == [0, 0, 0, 10]
