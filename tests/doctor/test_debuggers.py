"""Real debuggers of other languages than Java."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
from collections.abc import Callable
from contextlib import ExitStack

import pytest
from debuggees import debugpyAt, started
from running import PATIENCE, until
from sockets import freePort

from loopbackd.doctor.asked import Asked
from loopbackd.doctor.examination import examine
from loopbackd.doctor.facts.debuggers import findDebuggers
from loopbackd.doctor.facts.debugging import lookAtDebuggers
from loopbackd.doctor.finding import Finding, Severity
from loopbackd.peer.netlink import SocketDiag
from loopbackd.peer.sockdiag import TCPState


@pytest.fixture
def node(stack: ExitStack, program: Callable[..., str]) -> Callable[..., tuple[int, int]]:
    """Start Node with these options; its pid, and the port that it says."""

    def start(*options: str, environ: dict[str, str] | None = None) -> tuple[int, int]:
        process = stack.enter_context(
            subprocess.Popen(
                [program("node"), *options, "-e", "process.stdin.resume()"],
                stdin=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env={**os.environ, **(environ or {})},
            )
        )
        stack.callback(process.kill)
        assert process.stderr is not None
        match = re.search(r"ws://.*:(\d+)/", process.stderr.readline())
        assert match is not None
        return process.pid, int(match[1])

    return start


def test_node_on_all_addresses(node: Callable[..., tuple[int, int]]) -> None:
    """Its inspector takes whoever comes."""
    pid, port = node(f"--inspect=0.0.0.0:{freePort()}")
    findings = examine(Asked("127.0.0.1", port))
    (one,) = [one for one in findings if one.severity is not Severity.NOTE]
    assert one.kind == "debugger-everywhere" and f"pid {pid} " in one.evidence[0]


def test_node_on_loopback(node: Callable[..., tuple[int, int]]) -> None:
    """Nothing is wrong with that, and C{NODE_OPTIONS} are read."""
    pid, port = node(environ={"NODE_OPTIONS": f"--inspect={freePort()}"})
    findings = examine(Asked("127.0.0.1", port))
    assert [one.kind for one in findings if one.severity is not Severity.NOTE] == []
    (found,) = [one for one in findDebuggers() if one.process.pid == pid]
    assert (found.told.kind, found.told.port) == ("node", port)


def test_node_that_was_opened_by_a_signal(stack: ExitStack, program: Callable[..., str]) -> None:
    """No option says that it listens; as long as it does not, nothing is said of it."""
    port = freePort()
    options = [f"--inspect-port=0.0.0.0:{port}", "-e", "process.stdin.resume()"]
    process = started(stack, program("node"), *options)
    assert process.pid not in [one.process.pid for one in lookAtDebuggers(SocketDiag()).debuggers]
    # Before it has begun the signal would end it.
    until(lambda: catches(process.pid, signal.SIGUSR1), "handler of SIGUSR1")
    process.send_signal(signal.SIGUSR1)
    until(lambda: isListenedOn(port), "inspector")
    findings = examine(Asked("127.0.0.1", port))
    (one,) = [one for one in findings if one.severity is not Severity.NOTE]
    assert one.kind == "debugger-everywhere" and "opened by a signal" in one.evidence[0]


def catches(pid: int, number: int) -> bool:
    """Whether a process has a handler for a signal (proc(5))."""
    with open(f"/proc/{pid}/status") as status:
        (mask,) = [int(line.split()[1], 16) for line in status if line.startswith("SigCgt:")]
    return bool(mask >> (number - 1) & 1)


def isListenedOn(port: int) -> bool:
    """Whether anybody listens there."""
    return any(row.local[1] == port for row in SocketDiag().rows(None, (TCPState.LISTEN,)))


def waits(findings: list[Finding], port: int) -> Finding:
    """What is said of a debugger at a port, which must be all there is but for notes."""
    assert [one.kind for one in findings if one.severity is not Severity.NOTE] in (
        [],
        ["debugger-everywhere"],
    )
    (found,) = [one for one in findings if one.kind == "debugger-waits"]
    assert f":{port}." in found.says and "answers" not in [one.kind for one in findings]
    return found


def test_a_debugger_that_takes_whoever_comes(stack: ExitStack, program: Callable[..., str]) -> None:
    """With C{--once} gdbserver ends when its first connection does; it is not made."""
    port = freePort()
    process = started(stack, program("gdbserver"), "--once", f":{port}", program("cat"))
    until(lambda: isListenedOn(port), "gdbserver")
    assert f"pid {process.pid} " in waits(examine(Asked("localhost", port)), port).evidence[0]
    # Whoever comes first gets in, and it ends afterwards.
    socket.create_connection(("127.0.0.1", port), PATIENCE).close()
    assert process.wait(PATIENCE) is not None


def test_debugpy_is_not_connected_to(stack: ExitStack, module: Callable[[str], object]) -> None:
    """The adapter has the port; its first client is a real one."""
    module("debugpy")
    port = freePort()
    debugpyAt(stack, port)
    until(lambda: isListenedOn(port), "debugpy")
    found = waits(examine(Asked("127.0.0.1", port)), port)
    assert found.says.startswith("A Python debugger (debugpy)")
    assert found.remedy == (f"attach to 127.0.0.1:{port}",)
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as client:
        client.settimeout(PATIENCE)
        assert client.recv(16) == b"Content-Length: "
