"""What is said of facts that no machine here has at will."""

from __future__ import annotations

import errno
import os
import socket
from contextlib import ExitStack
from dataclasses import replace

import pytest

from loopbackd.doctor.asked import Asked
from loopbackd.doctor.checks.ephemeral import checkPort
from loopbackd.doctor.checks.listening import checkFamilies, checkListening
from loopbackd.doctor.examination import unexplained
from loopbackd.doctor.facts.attempt import Attempt, attempt
from loopbackd.doctor.facts.ephemeral import Ephemeral
from loopbackd.doctor.facts.sockets import Sockets, sockets
from loopbackd.doctor.finding import Severity, inOrder
from loopbackd.net.endpoint import hasIPv6
from loopbackd.peer.netlink import SocketDiag
from loopbackd.peer.sockdiag import SocketRow, TCPState

ASKED = Asked("localhost", 80)
OWN = frozenset({"127.0.0.1", "::1"})


def listener(host: str, uid: int = 0, inode: int = 7) -> SocketRow:
    """Somebody who listens on port 80 there."""
    return SocketRow(TCPState.LISTEN, (host, 80), ("0.0.0.0", 0), uid, inode, 0.0)


@pytest.mark.skipif(not hasIPv6(), reason="there is no ::1 here")
def test_the_first_address_is_refused() -> None:
    """A name that leads to ::1 first, and a server on 127.0.0.1 alone."""
    with ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        port, diag = server.getsockname()[1], SocketDiag()
        stack.callback(diag.close)
        tries = [attempt(diag, host, port) for host in ("::1", "127.0.0.1")]
        (one,) = checkFamilies(Asked("localhost", port), tries, sockets(diag, port))
    assert one.kind == "first-address-refused" and one.severity is Severity.WARNING
    assert one.remedy[0] == f"have the client use 127.0.0.1:{port}"


def test_two_owners() -> None:
    """One name, and a server of another user on each of its addresses."""
    there = Sockets(80, (listener("127.0.0.1", 1000), listener("::1", 1001, 8)))
    tries = [Attempt("::1", 80), Attempt("127.0.0.1", 80)]
    (one,) = checkFamilies(ASKED, tries, there)
    assert one.kind == "two-owners"
    assert list(checkFamilies(ASKED, tries[:1], there)) == []


def test_sockets_that_nobody_shows() -> None:
    """Where the kernel does not tell, that is said, and nothing is claimed."""
    tries = [Attempt("127.0.0.1", 80, errno.ECONNREFUSED)]
    (one,) = checkListening(Sockets(80, missing="Operation not permitted"), tries, {}, OWN)
    assert one.kind == "sockets-unseen" and "not permitted" in one.evidence[0]


def test_what_nobody_can_explain() -> None:
    """Nobody is sent away with a failure and no word about it."""
    (one,) = unexplained([Attempt("192.0.2.1", 80, errno.ETIMEDOUT)])
    assert one.kind == "cannot-connect" and os.strerror(errno.ETIMEDOUT) in one.evidence[0]
    assert list(unexplained([Attempt("192.0.2.1", 80)])) == []


def test_the_most_specific_listener() -> None:
    """A connection gets the address of its own before all addresses, and IPv4's before IPv6's."""
    every, six, one = listener("0.0.0.0", inode=1), listener("::", inode=2), listener("127.0.0.1")
    assert Sockets(80, (six, every, one)).reachedAt("127.0.0.1") == one
    assert Sockets(80, (six, every)).reachedAt("127.0.0.1") == every
    assert Sockets(80, (six,)).reachedAt("127.0.0.1") == six
    assert Sockets(80, (every,)).reachedAt("::1") is None
    here, there = replace(every, interface=1), replace(every, interface=2)
    assert Sockets(80, (every, here, there)).reachedAt("127.0.0.1") == here
    assert Sockets(80, (there,)).reachedAt("127.0.0.1") is None
    assert Sockets(80, (there,)).reachedAt("10.7.7.7") == there


def test_the_worst_comes_first() -> None:
    """And of those the likeliest."""
    found = inOrder(
        [
            *checkPort(Ephemeral(first=8080, last=8090), Sockets(8085), []),
            *unexplained([Attempt("192.0.2.1", 80, errno.ETIMEDOUT)]),
        ]
    )
    assert [one.severity for one in found] == [Severity.PROBLEM, Severity.NOTE]
