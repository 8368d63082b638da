"""Listeners between two looks: nothing lost, nothing twice."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from making import listener, socketRow

from loopbackd.peer.sockdiag import TCPState
from loopbackd.watching.listeners import Listener, Place, difference, listenersIn

PLACES = st.builds(
    Place,
    st.sampled_from(["127.0.0.1", "0.0.0.0", "::1", "::"]),
    st.integers(1, 5),
    st.sampled_from([0, 1000]),
)
LISTENERS = st.dictionaries(PLACES, st.frozensets(st.integers(1, 4), min_size=1), max_size=6).map(
    lambda found: {place: Listener(place, inodes) for place, inodes in found.items()}
)


@given(st.lists(LISTENERS, max_size=8))
def test_anyOrder(looks):
    """What opened and has not closed is exactly what is there, after any looks at all."""
    before = {}
    told = {}
    for after in looks:
        changes = difference(before, after)
        for one in changes.closed:
            assert told.pop(one.place).place == one.place
        for one in changes.opened:
            assert one.place not in told
            told[one.place] = one
        assert told.keys() == after.keys()
        for place, one in after.items():
            told[place] = one
        before = after
    assert difference(before, before) == ((), ())


def test_oneSocketMoreIsTheSame():
    """A worker more or less at the same port is nobody new; all of them anew is."""
    place = Place("127.0.0.1", 80, 0)
    one, two, other = (Listener(place, frozenset(n)) for n in ({1}, {1, 2}, {3}))
    assert difference({place: one}, {place: two}) == ((), ())
    assert difference({place: two}, {place: one}) == ((), ())
    assert difference({place: two}, {place: other}) == ((other,), (two,))


def test_anotherUserIsAnother():
    """Whose it is makes part of who it is."""
    mine, theirs = listener(uid=1), listener(uid=2)
    changes = difference({mine.place: mine}, {theirs.place: theirs})
    assert changes == ((theirs,), (mine,))


def test_rows():
    """Sockets of one user at one address are one listener; what does not listen is none."""
    here, nowhere = ("::", 80), ("::", 0)
    rows = [
        socketRow(here, nowhere, TCPState.LISTEN, 0, 1),
        socketRow(here, nowhere, TCPState.LISTEN, 0, 2),
        socketRow(here, ("::1", 9), TCPState.ESTABLISHED, 0, 3),
    ]
    place = Place("::", 80, 0)
    assert listenersIn(rows) == {place: Listener(place, frozenset({1, 2}))}
    assert place.isEverywhere and not place.isLoopback
    assert place.address == "[::]:80"
    assert Place("127.0.0.9", 80, 0).isLoopback
