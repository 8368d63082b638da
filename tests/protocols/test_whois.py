"""Tests for L{loopbackd.protocols.whois}."""

from __future__ import annotations

import os
import socket
from contextlib import closing

import pytest
from asuser import STRANGER, asUser
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from loopbackd.peer.identity import PeerIdentity, identify
from loopbackd.peer.netlink import SocketDiag
from loopbackd.protocols.whois import LookUps, OncePerUser, Whois, find

SHUT = PeerIdentity(os.geteuid(), 0, None, "FIN_WAIT1", "")


@pytest.mark.parametrize(
    ("who", "said"),
    [
        (Whois(1000, "ann", 77, "nc -z"), "uid 1000 (ann), pid 77, command nc -z"),
        (Whois(4711, "uid 4711", 77, "nc"), "uid 4711, pid 77, command nc"),
        (Whois(0, "root", missing="why"), "uid 0 (root), pid and command unknown (why)"),
        (Whois(missing="why"), "uid, pid and command unknown (why)"),
    ],
)
def test_in_words(who: Whois, said: str) -> None:
    """What is known, and why the rest is not."""
    assert str(who) == said


def test_who_it_is() -> None:
    """A process with the socket; without one the user, with the reason."""
    with (
        closing(SocketDiag()) as diag,
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as client,
    ):
        accepted, _ = server.accept()
        with accepted:
            peer = identify(diag, accepted)
        assert client.fileno()
        found = find(peer)
    assert (found.uid, found.pid, found.missing) == (os.geteuid(), os.getpid(), "")
    assert "pytest" in found.command
    assert find(SHUT).missing == "it had closed its socket already"
    assert find(None) == Whois(missing="nobody looked before it was gone")
    unknown = PeerIdentity(None, 0, None, "", "the connection is gone")
    assert find(unknown) == Whois(missing="the connection is gone")
    pid = PeerIdentity(os.geteuid(), 0, os.getpid(), "CONNECTED", "")
    assert find(pid).pid == os.getpid()


@pytest.mark.usefixtures("needsRoot")
def test_who_others_are() -> None:
    """Their processes are root's to see; that is said."""
    root = PeerIdentity(0, 4711, None, "ESTABLISHED", "")
    found = asUser(STRANGER, lambda: find(root))
    assert found == Whois(0, "root", missing="only root can look into processes of others")
    assert find(root).missing == "no process that can be seen has its socket any more"


def test_a_line_for_each_user() -> None:
    """Once a second, with the number of those left out; many users share one."""
    clock = Clock()
    users = OncePerUser(clock)
    assert [users.more(1), users.more(1), users.more(None), users.more(2)] == ["", None, "", ""]
    clock.advance(1)
    assert users.more(1) == " (1 more like it since the last such line)"
    said = [users.more(uid) for uid in range(1000, 3000)]
    assert said.count("") < 300 and said[-1] is None


def test_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """One is looked for at a time; who comes behind those who wait is not, and is told at once."""
    begun: list[Deferred[Whois]] = []

    def begin(reactor: object, peer: PeerIdentity | None) -> Deferred[Whois]:
        begun.append(Deferred())
        return begun[-1]

    monkeypatch.setattr("loopbackd.protocols.whois.lookUp", begin)
    lookUps, told = LookUps(Clock(), most=2), []
    for _ in range(5):
        lookUps.lookUp(SHUT).addCallback(told.append)
    assert len(begun) == 1
    assert [one.uid for one in told] == [os.geteuid()] * 2
    assert "too many" in str(told[0])
    for number in range(3):
        begun[number].callback(Whois(pid=number))
    assert [one.pid for one in told[2:]] == [0, 1, 2]
