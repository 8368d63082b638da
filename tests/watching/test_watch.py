"""What the watch tells of made looks."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from making import Watched, listener, program, socketRow

from loopbackd.peer.sockdiag import TCPState
from loopbackd.watching.events import asFinding
from loopbackd.watching.listeners import Listener
from loopbackd.watchsettings import WatchRule

HERE = "127.0.0.1"
LOOKS = st.lists(
    st.dictionaries(
        st.tuples(st.sampled_from([HERE, "::1"]), st.integers(1, 4), st.sampled_from([5, 6])),
        st.integers(1, 3),
        max_size=5,
    ),
    max_size=10,
)


@pytest.fixture
def watched(tmp_path):
    """A watch that knows the usual listener at port 80."""
    found = Watched(tmp_path)
    found.saw(listener())
    return found


@given(LOOKS, st.booleans())
def test_anyOrder(looks, isSlow):
    """Whatever is seen in whatever order: each opening is told once, and each end."""
    with tempfile.TemporaryDirectory() as path:
        watched = Watched(Path(path))
        watched.cost = 1.0 if isSlow else 0.0
        assert watched.saw() == []
        was, opened, closed, told = {}, 0, 0, []
        for look in [*looks, {}, {}]:
            now = {place: number for place, number in look.items()}
            opened += sum(was.get(place) != number for place, number in now.items())
            closed += sum(now.get(place) != number for place, number in was.items())
            there = [listener(port, host, uid, n) for (host, port, uid), n in now.items()]
            told += watched.saw(*there)
            was = now
        told += watched.saw(after=100)
        kinds = [event.kind for event in told if not event.isWarning]
        assert kinds.count("listener-new") + kinds.count("listener-back") == opened
        assert kinds.count("listener-gone") == closed
        new = [(e.host, e.port, e.uid) for e in told if e.kind == "listener-new"]
        assert len(new) == len(set(new)), "new a second time"
        state = {}
        for event in told:
            if event.isWarning:
                continue
            place = event.host, event.port, event.uid
            assert state.get(place, False) is (event.kind == "listener-gone")
            state[place] = event.kind != "listener-gone"


def test_theFirstTimeIsUsual(tmp_path):
    """Where nothing was learned yet, what is there is what is usual; the next watch knows it."""
    watched = Watched(tmp_path)
    assert watched.kinds(listener(), listener(22)) == []
    watched.memory.save()
    again = Watched(tmp_path)
    assert again.kinds(listener(), listener(22)) == []
    assert again.kinds(listener(22), listener(23), listener()) == ["listener-new"]


def test_newOnceOnly(tmp_path, watched):
    """What was told as new is usual from then on, in the next watch too."""
    assert watched.kinds(listener(), listener(81)) == ["listener-new"]
    assert watched.kinds(listener()) == ["listener-gone"]
    assert watched.kinds(listener(), listener(81)) == ["listener-back"]
    watched.memory.save()
    assert Watched(tmp_path).kinds(listener(), listener(81)) == []


def test_whileNobodyLooked(tmp_path, watched):
    """What began while no watch ran is told by the next one."""
    watched.memory.save()
    (event,) = Watched(tmp_path).saw(listener(), listener(81))
    assert (event.kind, event.port, event.severity) == ("listener-new", 81, "note")


def test_handedOutPortsAreAll(watched):
    """A program that is given another port each time is told once."""
    for inode in (5, 6, 7):
        watched.programs[inode] = program()
    assert watched.kinds(listener(), listener(40000, inode=5)) == ["listener-new"]
    assert watched.kinds(listener(), listener(40001, inode=6)) == ["listener-gone"]
    assert watched.kinds(listener()) == []
    watched.programs[8] = program(path="/usr/bin/another")
    assert watched.kinds(listener(), listener(40002, inode=8)) == ["listener-new"]


@pytest.mark.parametrize(
    ("host", "found", "kinds"),
    [
        ("0.0.0.0", program(), ["all-addresses"]),
        ("::", program(), ["all-addresses"]),
        ("192.168.1.7", None, ["other-address"]),
        (HERE, program(isDeleted=True), ["deleted-program"]),
        (HERE, program(path="/tmp/x"), ["temporary-program"]),
        (
            HERE,
            program(path="/dev/shm/x", isDeleted=True),
            ["deleted-program", "temporary-program"],
        ),
        (HERE, program(path="/tmpx/x"), []),
        ("127.3.2.1", None, []),
        ("::1", None, []),
    ],
)
def test_suspicious(tmp_path, host, found, kinds):
    """What is wrong with a listener is told whenever it is seen first, until it is learned."""
    watched = Watched(tmp_path)
    one = listener(host=host, inode=9)
    if found is not None:
        watched.programs[9] = found
    events = watched.saw(one)
    assert [event.kind for event in events] == kinds
    assert all(event.isWarning and event.port == 80 for event in events)
    assert watched.standing() == events
    assert watched.saw(one) == []
    watched.memory.save()
    again = Watched(tmp_path)
    again.programs = watched.programs
    assert again.kinds(one) == kinds
    learning = Watched(tmp_path, learns=True)
    learning.programs = watched.programs
    assert learning.kinds(one) == []
    learning.memory.save()
    last = Watched(tmp_path)
    last.programs = watched.programs
    assert last.kinds(one) == []
    assert last.standing() == []


def test_goneIsNotWrong(watched):
    """What is over is not suspicious any more."""
    there = listener(81, "0.0.0.0")
    assert watched.kinds(listener(), there) == ["listener-new", "all-addresses"]
    assert [event.kind for event in watched.standing()] == ["all-addresses"]
    assert watched.kinds(listener()) == ["listener-gone"]
    assert watched.standing() == []


def test_aUsualOneIsGone(tmp_path):
    """The end of what somebody has trusted says that it was usual."""
    watched = Watched(tmp_path, learns=True)
    watched.saw(listener())
    (event,) = watched.saw()
    assert event.kind == "listener-gone" and event.says.endswith(", which is usual here")


def test_aNewUser(watched):
    """A user who never listened is told of once."""
    both = listener(81, uid=33), listener(82, uid=33)
    kinds = watched.kinds(listener(), *both)
    assert sorted(kinds) == ["listener-new", "listener-new", "new-uid"]


def test_takenOver(watched):
    """Another user, or another program, at a port that has one."""
    watched.programs[5] = program()
    watched.programs[6] = program(path="/opt/other")
    watched.saw(listener(), listener(81, inode=5))
    events = watched.saw(listener(), listener(81, inode=6))
    assert [event.kind for event in events] == ["listener-gone", "listener-new", "port-taken-over"]
    assert "used to be the port of /usr/bin/server" in events[2].says
    kinds = watched.kinds(listener(), listener(81, "0.0.0.0", uid=44))
    assert kinds == ["listener-gone", "listener-new", "new-uid", "port-taken-over", "all-addresses"]


def test_notTakenOver(watched):
    """The same program at one address more, and ports that are handed out, are nobody else's."""
    watched.programs[5] = watched.programs[6] = program()
    watched.programs[7] = program(path="/opt/other")
    watched.saw(listener(), listener(81, inode=5))
    both = listener(81, inode=5), listener(81, "0.0.0.0", inode=6)
    assert watched.kinds(listener(), *both) == ["listener-new", "all-addresses"]
    watched.saw(listener(), listener(40000, inode=5))
    assert watched.kinds(listener(), listener(40000, inode=7)) == ["listener-gone", "listener-new"]


def test_rules(tmp_path):
    """What is allowed is a note and does not stand; what is ignored is nothing."""
    watched = Watched(
        tmp_path,
        allow=(WatchRule(kind="all-addresses", port=22),),
        ignore=(WatchRule(port="8000-8099"),),
    )
    there = [listener(port, "0.0.0.0") for port in (22, 23, 8000)]
    events = watched.saw(*there)
    assert [(one.port, one.severity) for one in events] == [(22, "note"), (23, "warning")]
    assert [one.port for one in watched.standing()] == [23]


def test_expensiveLooks(watched):
    """Where looking for programs costs much, what is new waits a few seconds, and is not lost."""
    watched.cost = 1.0
    watched.programs = {port: program(port) for port in range(1, 99)}
    first = watched.saw(listener(), listener(81))
    assert [(one.kind, one.pid) for one in first] == [("listener-new", 81)]
    assert watched.saw(listener(), listener(81), listener(82)) == []
    # One that is over before that is told all the same.
    assert watched.saw(listener(), listener(81), listener(82), listener(83)) == []
    kinds = watched.kinds(listener(), listener(81), listener(82))
    assert kinds == ["listener-new", "listener-gone"]
    late = watched.saw(listener(), listener(81), listener(82), after=3.0)
    assert [(one.kind, one.pid) for one in late] == [("listener-new", 82)]
    assert len(watched.sought) == 3


# Connections.


def connection(number, port, **others):
    """The client's end of one."""
    return socketRow((HERE, 33000 + number), (HERE, port), inode=number + 1, **others)


def listening(count):
    """So many listeners of somebody else's."""
    return [listener(100 + number, uid=1000) for number in range(count)]


def test_aScan(tmp_path):
    """Many ports touched by one process are told once, with all that is known of it."""
    watched = Watched(tmp_path, scan_ports=10, scan_seconds=5)
    there = listening(12)
    watched.saw(*there, sockets=[])
    touched = [connection(number, 100 + number) for number in range(12)]
    watched.programs = {number + 1: program(42, "/usr/bin/scanner") for number in range(12)}
    assert watched.saw(*there, sockets=touched[:9]) == []
    (event,) = watched.saw(*there, sockets=touched)
    assert (event.kind, event.pid, event.uid) == ("port-scan", 42, 1000)
    assert event.ports == tuple(range(100, 112))
    assert watched.saw(*there, sockets=touched) == []
    # Another one, when the first is long over.
    assert watched.saw(*there, sockets=[], after=20) == []
    assert watched.kinds(*there, sockets=touched) == ["port-scan"]


def test_aScanByNobody(tmp_path):
    """Of sockets that are closed already it is not known whose they were."""
    watched = Watched(tmp_path, scan_ports=10)
    there = listening(12)
    watched.saw(*there, sockets=[])
    left = [
        socketRow((HERE, 33000 + n), (HERE, 100 + n), TCPState.TIME_WAIT, 0, 0) for n in range(12)
    ]
    (event,) = watched.saw(*there, sockets=left)
    assert (event.kind, event.uid, event.pid) == ("port-scan", None, None)
    assert "somebody whose sockets are closed already" in event.says


def test_noScan(tmp_path):
    """Not what was there before, what is one's own, one port many times, or many processes."""
    watched = Watched(tmp_path, scan_ports=10)
    there = listening(12)
    touched = [connection(number, 100 + number) for number in range(12)]
    assert watched.kinds(*there, sockets=touched) == []
    assert watched.kinds(*there, sockets=[]) == []
    # Closing them is no touch.
    watched = Watched(tmp_path, scan_ports=10)
    watched.saw(*there, sockets=touched)
    closing = [connection(n, 100 + n, state=TCPState.FIN_WAIT2) for n in range(12)]
    assert watched.kinds(*there, sockets=closing) == []
    # One port is one port.
    assert watched.kinds(*there, sockets=[connection(50 + n, 100) for n in range(30)]) == []
    # Each process a port.
    watched.programs = {n + 81: program(500 + n) for n in range(12)}
    assert watched.kinds(*there, sockets=[connection(80 + n, 100 + n) for n in range(12)]) == []
    # The other ends.
    served = [socketRow((HERE, 100 + n), (HERE, 34000 + n)) for n in range(12)]
    assert watched.kinds(*there, sockets=served, after=60) == []


def test_itsOwnPortsAreNoScan(tmp_path):
    """A test run that connects to what it listens on itself."""
    watched = Watched(tmp_path, scan_ports=10)
    there = listening(12)
    watched.programs = {one.place.port: program(42) for one in there}
    watched.saw(*there, sockets=[])
    watched.programs |= {n + 1: program(42) for n in range(12)}
    touched = [connection(n, 100 + n) for n in range(12)]
    assert watched.kinds(*there, sockets=touched) == []


def test_refusals(tmp_path):
    """Many attempts that come to nothing are told once, and again when they begin again."""
    watched = Watched(tmp_path, refused=100, scan_seconds=10)
    told = [watched.kinds(failed=failed) for failed in (5000, 5060, 5099, 5101, 5150)]
    assert told == [[], [], [], ["refused-attempts"], []]
    assert watched.kinds(failed=5150, after=20) == []
    assert watched.kinds(failed=5250) == ["refused-attempts"]


@pytest.mark.parametrize("isFirst", [True, False], ids=["there before", "new"])
def test_aBrowserAtADebugger(tmp_path, isFirst):
    """A browser at a port where programs are debugged is told once, another program never."""
    watched = Watched(tmp_path)
    java = "/usr/bin/java"
    words = (java, "-agentlib:jdwp=transport=dt_socket,server=y,address=127.0.0.1:5005", "App")
    watched.programs = {
        1: program(1, java, words=words),
        2: program(2, "/usr/lib/firefox/firefox"),
        3: program(3, "/usr/bin/curl"),
    }
    there = listener(5005, inode=1), listener(8080, inode=1)
    touched = [
        socketRow((HERE, 33001), (HERE, 5005), inode=2),
        socketRow((HERE, 33002), (HERE, 5005), inode=3),
        socketRow((HERE, 33003), (HERE, 8080), inode=2),
    ]
    if not isFirst:
        assert watched.saw(*there, sockets=[]) == []
    (event,) = watched.saw(*there, sockets=touched)
    assert (event.kind, event.pid, event.port) == ("browser-at-debugger", 2, 5005)
    # A Java debugger's listener is closed as long as somebody is there.
    assert watched.kinds(there[1], sockets=touched[1:]) == ["listener-gone"]
    other = socketRow((HERE, 33009), (HERE, 5005), inode=4)
    watched.programs[4] = program(4, "/opt/google/chrome/chrome")
    assert watched.kinds(there[1], sockets=[*touched, other]) == ["browser-at-debugger"]


def test_asTheDoctorSaysIt(tmp_path):
    """An event has evidence and a remedy, as a finding."""
    watched = Watched(tmp_path)
    watched.programs[9] = program(9, isDeleted=True)
    (event,) = watched.saw(Listener(listener(81).place, frozenset({9})))
    found = asFinding(event)
    assert found.kind == "deleted-program" and found.severity.name == "WARNING"
    assert "address: 127.0.0.1 port 81" in found.evidence and "pid: 9" in found.evidence
    assert "loopbackd watch --once --learn" in found.remedy[0]
