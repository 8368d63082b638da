"""Ending whoever listens, and nobody else."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack, suppress

import pytest
from asuser import STRANGER, asUser
from click.testing import CliRunner, Result

from loopbackd.cli import main
from loopbackd.doctor.checks.taken import Looker
from loopbackd.doctor.facts.cgroups import Belonging
from loopbackd.doctor.facts.holder import Holder, holdersOf
from loopbackd.doctor.facts.sockets import nextFree, sockets
from loopbackd.doctor.freeing import NotEnded, ancestorsOf, end, whoToEnd
from loopbackd.peer.netlink import SocketDiag
from loopbackd.peer.process import Process

SERVER = """
import os, signal, socket, sys
if "stubborn" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
server = socket.create_server(("127.0.0.1", int(sys.argv[1])), reuse_port="group" in sys.argv)
if "forking" not in sys.argv or os.fork():
    print(server.getsockname()[1], flush=True)
kept = []
while True:
    kept.append(server.accept()[0])
"""


Serve = Callable[..., tuple[subprocess.Popen[str], int]]


@pytest.fixture
def serve(stack: ExitStack) -> Serve:
    """Starts servers."""

    def start(*how: str, port: int = 0) -> tuple[subprocess.Popen[str], int]:
        process = subprocess.Popen(
            [sys.executable, "-c", SERVER, str(port), *how],
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        stack.callback(process.wait)
        stack.callback(_kill, process.pid)
        assert process.stdout is not None
        stack.callback(process.stdout.close)
        return process, int(process.stdout.readline())

    return start


def _kill(group: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def run(*words: str) -> Result:
    """Runs the command."""
    return CliRunner().invoke(main, ["port", *words])


def test_the_listener_ends_and_clients_stay(serve: Serve, stack: ExitStack) -> None:
    """A client that is connected to the port is nobody to be ended."""
    server, port = serve()
    client = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import socket, sys, time;"
            f"s = socket.create_connection(('127.0.0.1', {port})); print(1, flush=True);"
            "sys.stdin.read()",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    stack.callback(client.communicate)
    assert client.stdout is not None and client.stdout.readline()
    ended = run(str(port), "--free", "--yes")
    assert ended.exit_code == 0, ended.output
    assert f"127.0.0.1:{port} is free" in ended.output
    assert server.wait(10) == -signal.SIGTERM
    assert client.poll() is None


def test_who_has_it(serve: Serve) -> None:
    """The holder, how it is known, and the nearest port that is free."""
    server, port = serve()
    shown = run(str(port))
    assert shown.exit_code == 1
    assert f"held by pid {server.pid} (" in shown.output
    assert f"kill {server.pid}" in shown.output
    assert "is free" in shown.output and "(port-taken)" in shown.output


def test_nobody_has_it() -> None:
    """That is no failure."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
    shown = run(str(port))
    assert shown.exit_code == 0 and "Nobody has port" in shown.output
    shown = run(str(port), "--free", "--yes")
    assert shown.exit_code == 1 and "nobody listens there" in shown.output


def test_a_stubborn_server_is_killed(serve: Serve) -> None:
    """After a while, and that is said."""
    server, port = serve("stubborn")
    ended = run(str(port), "--free", "--yes", "--kill-after", "0.2")
    assert ended.exit_code == 0 and f"killed: {server.pid}" in ended.output
    assert server.wait(10) == -signal.SIGKILL


def test_all_who_share_the_socket(serve: Serve) -> None:
    """A server that has forked is one holder, named by the first of them, and ends as one."""
    server, port = serve("forking")
    there = sockets(SocketDiag(), port)
    (holder,) = holdersOf(there.listeners).values()
    assert holder.process is not None and holder.process.pid == server.pid
    assert len(holder.others) == 1 and "and 1 more" in str(holder)
    assert run(str(port), "--free", "--yes").exit_code == 0


def test_all_of_a_group(serve: Serve) -> None:
    """Servers that share the port by SO_REUSEPORT are several holders."""
    first, port = serve("group")
    second, _ = serve("group", port=port)
    shown = run(str(port))
    assert f"pid {first.pid} (" in shown.output and f"pid {second.pid} (" in shown.output
    assert run(str(port), "--free", "--yes").exit_code == 0
    assert first.wait(10) == second.wait(10) == -signal.SIGTERM


def test_nobody_is_ended_unasked(serve: Serve) -> None:
    """Without a terminal somebody must have said yes before."""
    server, port = serve()
    ended = run(str(port), "--free")
    assert ended.exit_code == 2 and "--yes" in ended.output
    assert server.poll() is None


def test_a_pid_that_is_somebody_else_by_now() -> None:
    """Who has not that socket when the pidfd is open is left alone."""
    stranger = subprocess.Popen(["sleep", "60"])
    try:
        assert end([stranger.pid], 1, 0.2, holds=lambda pid, inode: False) == []
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def holder(pid: int, **more: object) -> Holder:
    """Somebody."""
    return Holder(0, "root", Process(pid, "nginx", "root"), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("who", "why"),
    [
        (Holder(0, "root"), "with sudo"),
        (Holder(1000, "me"), "containers"),
        (holder(42, isSystemds=True), "systemctl list-sockets"),
        (holder(42, belonging=Belonging(container="docker 0123")), "docker stop 0123"),
        (holder(42, belonging=Belonging("x.service")), "systemctl stop x.service"),
        (holder(1), "by hand"),
        (holder(7), "by hand"),
        (holder(8), "by hand"),
        (holder(42, others=(8,)), "by hand"),
    ],
)
def test_who_is_not_ended(who: Holder, why: str) -> None:
    """What is no use, or not ours to do, is refused with what to do instead."""
    with pytest.raises(NotEnded, match=why):
        whoToEnd(who, Looker(1000, 7), {8})


def test_another_users(serve: Serve) -> None:
    """It is said whose it is, and how to end it."""
    if os.geteuid() != 0:
        pytest.skip("only root can be somebody else")
    server, port = serve()
    ended = asUser(STRANGER, lambda: run(str(port), "--free", "--yes").output)
    assert "another user's (root)" in ended and "sudo" in ended
    assert server.poll() is None


def test_ancestors() -> None:
    """Ours are our parent, and what it comes from."""
    assert os.getppid() in ancestorsOf(os.getpid())


@pytest.mark.parametrize(
    ("port", "taken", "wanted"),
    [
        (8080, {8080, 8081}, 8082),
        (65535, {65535}, 65534),
        (1024, set(range(1024, 65536)), None),
        (80, {80}, 81),
    ],
)
def test_the_next_free_port(port: int, taken: set[int], wanted: int | None) -> None:
    """The next above, else the next below, and none that only root may have."""
    assert nextFree(taken, port) == wanted
