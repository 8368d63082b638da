"""Ending whoever has a socket, and nobody else; the command is tested in C{test_portcommand.py}."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st
from portservers import Serve
from portservers import serve as serve
from running import PATIENCE

from loopbackd.doctor import freeing
from loopbackd.doctor.endable import NotEnded
from loopbackd.doctor.ending import Ended
from loopbackd.doctor.facts.holder import Holder, holdersOf
from loopbackd.doctor.facts.sockets import freeNear, nextFree, sockets
from loopbackd.doctor.freeing import ancestorsOf, comeBack, endFamily, hasItNow
from loopbackd.peer.netlink import SocketDiag
from loopbackd.peer.process import Process
from loopbackd.peer.sockdiag import SocketRow, TCPState


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    """A process that nobody means to end."""
    process = subprocess.Popen(["sleep", "60"])
    yield process
    process.kill()
    process.wait()


def test_a_family_without_end(
    stranger: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is chased for ever."""
    pids = iter(range(2**22 + 1, 2**22 + 100))
    monkeypatch.setattr(freeing, "heirs", lambda inodes, but: {next(pids): {1}})
    with pytest.raises(NotEnded, match="started faster"):
        endFamily({2**22: {1}}, 0.1)


TAKES = """
import socket, sys, time
print("there", flush=True)
with socket.socket(fileno=0) as sock:
    kept = socket.recv_fds(sock, 1, 1)
    sock.send(b"!")
    time.sleep(60)
"""
GIVES = """
import signal, socket, sys, time
server, taker = socket.create_server(("127.0.0.1", 0)), socket.socket(fileno=0)
def give(*_):
    socket.send_fds(taker, [b"."], [server.fileno()])
    taker.recv(1)
    sys.exit()
signal.signal(signal.SIGTERM, give)
print(server.getsockname()[1], flush=True)
time.sleep(60)
"""


def test_who_was_given_the_socket(stack: ExitStack) -> None:
    """Somebody who takes what is sent, as many services do, is not ended for it."""

    def run(script: str, end: socket.socket) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-c", script], stdin=end, stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        stack.callback(process.stdout.close)
        stack.callback(process.wait)
        stack.callback(process.kill)
        return process

    ours, theirs = socket.socketpair()
    with ours, theirs:
        taker = run(TAKES, ours)
        # The clock that says who is older has steps of 10 ms, and this takes longer.
        assert taker.stdout is not None and taker.stdout.readline()
        giver = run(GIVES, theirs)
    assert giver.stdout is not None
    port = int(giver.stdout.readline())
    diag = SocketDiag()
    stack.callback(diag.close)
    (row,) = sockets(diag, port).listeners
    with pytest.raises(NotEnded, match=f"pid {taker.pid} was given the socket"):
        endFamily({giver.pid: {row.inode}}, 5)
    assert giver.wait(PATIENCE) == 0 and taker.poll() is None


def test_an_heir_of_another_unit(
    stranger: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody younger who was given the socket, and belongs to something else, is not ended."""
    groups = {stranger.pid: "/system.slice/other.service"}
    monkeypatch.setattr(freeing, "groupOf", lambda pid: groups.get(pid, "/"))
    monkeypatch.setattr(freeing, "heirs", lambda inodes, but: {stranger.pid: {1}})
    monkeypatch.setattr(freeing, "end", lambda sockets, patience: Ended())
    with pytest.raises(NotEnded, match=f"pid {stranger.pid} was given .* to other.service"):
        endFamily({os.getppid(): {0}}, 0.1)
    assert stranger.poll() is None


def test_who_has_it_now() -> None:
    """It is said who, and what has started that, as far as either can be seen."""
    row = SocketRow(TCPState.LISTEN, ("127.0.0.1", 80), ("0.0.0.0", 0), 0, 1, 0.0)
    assert hasItNow(row, None) == (
        "127.0.0.1:80 is not free: somebody has it now; stop what starts it"
    )
    again = Holder(0, "me", Process(42, "server", "me"), parent=Process(9, "supervisor", "me"))
    assert hasItNow(row, again).endswith("server), user me has it now; stop pid 9 (supervisor)")


def test_ancestors() -> None:
    """Ours are our parent, and what it comes from."""
    assert os.getppid() in ancestorsOf(os.getpid())
    assert ancestorsOf(2**22 + 1) == set()


def test_who_comes_back(serve: Serve) -> None:
    """A new server on an address that the old one was in the way of, and on no other."""
    first, port = serve(host="127.0.0.2")
    diag = SocketDiag()
    try:
        row = sockets(diag, port).listeners[0]
        found = comeBack(diag, [row], 0)
        assert found is not None and holdersOf((found,))[found.inode].pids == (first.pid,)
        ended = SocketRow(TCPState.LISTEN, ("127.0.0.1", port), ("0.0.0.0", 0), 0, 1, 0.0)
        assert comeBack(diag, [ended], 0.1) is None
        first.terminate()
        first.wait(PATIENCE)
        assert comeBack(diag, [row], 0) is None
    finally:
        diag.close()


PORTS = st.integers(1, 65535)


@given(PORTS, st.sets(PORTS), st.tuples(PORTS, PORTS))
def test_the_next_free_port(port: int, taken: set[int], block: tuple[int, int]) -> None:
    """It is free, none between it and the port is, and only who has a low one gets a low one."""
    taken |= set(range(min(block), max(block)))
    found = nextFree(taken, port)
    lowest = 1 if port < 1024 else 1024
    above = set(range(port + 1, 65536)) - taken
    below = set(range(lowest, port)) - taken
    assert found == (min(above) if above else max(below) if below else None)


def test_a_free_port_that_cannot_be_seen() -> None:
    """It is really bound to, since sockets that are only bound do not always show."""

    class Empty:
        def rows(self) -> list[SocketRow]:
            return []

    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = server.getsockname()[1]
        found = freeNear(Empty(), taken - 1)  # type: ignore[arg-type]
    assert found is not None and found != taken
