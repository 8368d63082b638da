"""Whose a server is, asked by its client before it says anything."""

import os
import socket

import pytest

from loopbackd.peer.netlink import SocketDiag
from loopbackd.peer.server import whoServes

MINE = os.geteuid()
OTHER = 12345


class Time:
    """Time that passes while somebody sleeps, and then something happens."""

    def __init__(self, *happenings):
        self.now = 0.0
        self.slept = 0
        self.happenings = dict(happenings)

    def __call__(self):
        """The time."""
        return self.now

    def sleep(self, seconds):
        """Let it pass."""
        assert 0 <= seconds <= 0.02
        self.now += seconds
        self.slept += 1
        if happening := self.happenings.pop(self.slept, None):
            happening()


def asked(diag, client, time=None, patience=2.0):
    """Ask with time of our own."""
    time = time or Time()
    return whoServes(diag, client, patience, time, time.sleep)


@pytest.fixture
def connected(stack):
    """Connect, and do not accept."""

    def connect(listener):
        client = stack.enter_context(socket.socket(listener.family))
        client.connect(listener.getsockname())
        return client

    return connect


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_whoever_accepts(diag, listen, connect, host):
    """It is known at once, without waiting."""
    client, accepted = connect(listen(host))
    time = Time()
    who = asked(diag, client, time)
    assert (who.uid, who.inode) == (MINE, os.fstat(accepted.fileno()).st_ino)
    assert time.slept == 0


def test_nobody_is_named_before_somebody_accepts(diag, listen, connected, asUser, stack):
    """The listener of one user can be another's to accept from; the answer waits for that one."""
    listener = listen()
    client = connected(listener)

    def accept():
        with asUser(OTHER):
            stack.enter_context(listener.accept()[0])

    time = Time((5, accept))
    who = asked(diag, client, time)
    assert (who.uid, time.slept) == (OTHER, 5)


def test_somebody_else_listens(diag, listen, connected, asUser, stack):
    """Before it is accepted, a connection to another user's listener is nobody's, either."""
    with asUser(OTHER):
        listener = listen()
        client = connected(listener)
    assert asked(diag, client).uid is None
    with asUser(OTHER):
        stack.enter_context(listener.accept()[0])
    assert asked(diag, client).uid == OTHER


def test_patience_ends(diag, listen, connected):
    """A server that is stopped accepts nothing."""
    time = Time()
    who = asked(diag, connected(listen()), time, 1.5)
    assert (who.uid, who.state) == (None, "WAITING")
    assert "within 1.5 s" in who.reason and 1.5 <= time.now < 1.6
    assert time.slept < 100


def test_a_listener_that_is_closed(diag, listen, connected):
    """It takes those with it who wait."""
    listener = listen()
    client = connected(listener)
    time = Time((3, listener.close))
    who = asked(diag, client, time)
    assert who.uid is None and time.now < 0.2


def test_a_server_that_closes(diag, listen, connect):
    """Nobody is there any more, which is not root."""
    client, accepted = connect(listen())
    accepted.close()
    time = Time()
    who = asked(diag, client, time)
    assert who.uid is None and time.now < 0.2


def test_no_diagnostics(listen, connect):
    """There is nothing to wait for."""

    def forbidden():
        raise PermissionError(1, "Operation not permitted")

    client, _ = connect(listen())
    time = Time()
    for diag in (None, SocketDiag(forbidden)):
        assert asked(diag, client, time).uid is None
    assert time.slept == 0


def test_unix_servers(diag, tmp_path, stack, asUser):
    """The kernel keeps who called listen()."""
    server = stack.enter_context(socket.socket(socket.AF_UNIX))
    server.bind(str(tmp_path / "s"))
    with asUser(OTHER):
        server.listen()
    client = stack.enter_context(socket.socket(socket.AF_UNIX))
    client.connect(str(tmp_path / "s"))
    assert asked(diag, client).uid == OTHER
