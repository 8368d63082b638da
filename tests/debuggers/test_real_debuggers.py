"""Real programs that can be debugged: what they were told is where they listen."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from debuggees import debugpyAt, started
from javas import JVM, jdwp
from running import until
from sockets import freePort

from loopbackd.debuggers.debugger import Debugger
from loopbackd.debuggers.recognising import VARIABLES, debuggersOf
from loopbackd.peer.netlink import SocketDiag
from loopbackd.peer.proc import executableOf, pids, socketsOf, variablesOf, wordsOf
from loopbackd.peer.process import processOf
from loopbackd.peer.sockdiag import SocketRow, TCPState
from loopbackd.watching.judging import debuggerAt
from loopbackd.watching.programs import read

Start = Callable[..., int]


def listeners(pid: int) -> list[SocketRow]:
    """Where a process listens."""
    own = socketsOf(pid) or ()
    return [row for row in SocketDiag().rows(None, (TCPState.LISTEN,)) if row.inode in own]


def told(pid: int) -> list[Debugger]:
    """What is recognised of a process."""
    return debuggersOf(wordsOf(pid), variablesOf(pid, VARIABLES), executableOf(pid))


def isSeen(pid: int, port: int, title: str, host: str = "127.0.0.1") -> None:
    """Wait for a process to listen there: what it was told says so, and the watch as well."""
    until(lambda: (host, port) in [row.local for row in listeners(pid)], f"listener at {port}")
    (found,) = [one for one in told(pid) if one.port == port]
    assert found.isListening and found.title == title
    process = processOf(pid)
    assert process is not None and debuggerAt(port, read(process)) == title


@pytest.fixture
def start(stack: ExitStack, tmp_path: Path) -> Start:
    """Start a program that reads until its standard input ends; its pid."""

    def start(*words: str, environ: dict[str, str] | None = None) -> int:
        return started(stack, *words, cwd=tmp_path, environ=environ).pid

    return start


@pytest.mark.parametrize(
    "option", ["--inspect={}", "--inspect-brk=localhost:{}", "--inspect-port={}:--inspect"]
)
def test_node(start: Start, program: Callable[..., str], option: str) -> None:
    """Its inspector, however it is asked for."""
    port = freePort()
    options = option.format(port).split(":--")
    words = [options[0], *(f"--{more}" for more in options[1:])]
    pid = start(program("node"), *words, "-e", "process.stdin.resume()")
    isSeen(pid, port, "Node's inspector")


def test_node_by_a_signal(start: Start, program: Callable[..., str], tmp_path: Path) -> None:
    """Nothing is asked for, and it calls itself something else; a signal is enough."""
    port = freePort()
    code = "process.stdin.resume(); process.title = 'a'; require('fs').writeFileSync('begun', '')"
    pid = start(program("node"), "-e", code, environ={"NODE_OPTIONS": f"--inspect-port={port}"})
    until((tmp_path / "begun").exists, "file of the script")
    (before,) = told(pid)
    assert before.option == "" and not listeners(pid)
    os.kill(pid, signal.SIGUSR1)
    isSeen(pid, port, "Node's inspector")


def test_node_inspect(start: Start, program: Callable[..., str], tmp_path: Path) -> None:
    """It starts another Node, which can be debugged."""
    port = freePort()
    (tmp_path / "a.js").write_text("process.stdin.resume()")
    pid = start(program("node"), "inspect", f"--port={port}", "a.js")
    child = until(lambda: [one for one in pids() if parentOf(one) == pid], "child")[0]
    isSeen(child, port, "Node's inspector")


def parentOf(pid: int) -> int:
    """Who has started a process."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[1])
    except OSError:
        return 0


@pytest.mark.parametrize("isVariable", [False, True])
def test_java(java: Callable[..., JVM], isVariable: bool) -> None:
    """Its option, on the command line or in the environment."""
    option = jdwp(server="y", suspend="n", address=freePort())
    jvm = java(environ={"JAVA_TOOL_OPTIONS": option}) if isVariable else java(option)
    jvm.listening()
    isSeen(jvm.pid, jvm.port, "a Java debugger (jdwp)")


def test_debugpy(stack: ExitStack, module: Callable[[str], object]) -> None:
    """The port is its adapter's, another process of Python."""
    module("debugpy")
    port = freePort()
    pid = debugpyAt(stack, port).pid
    isSeen(adapterOf(port), port, "a Python debugger (debugpy)")
    (own,) = told(pid)
    assert (own.kind, own.port) == ("debugpy", port)


def test_debugpy_by_the_program(stack: ExitStack, module: Callable[[str], object]) -> None:
    """Nothing is asked for on the command line of who calls listen(); the adapter has it."""
    module("debugpy")
    port = freePort()
    pid = debugpyAt(stack, port, f"import debugpy; debugpy.listen(('127.0.0.1', {port}))").pid
    adapter = adapterOf(port)
    assert told(pid) == [] and adapter != pid
    isSeen(adapter, port, "a Python debugger (debugpy)")


def adapterOf(port: int) -> int:
    """Wait for whoever listens there."""

    def holder() -> int:
        rows = SocketDiag().rows(None, (TCPState.LISTEN,))
        inodes = {row.inode for row in rows if row.local[1] == port}
        return next((pid for pid in pids() if inodes & (socketsOf(pid) or set())), 0)

    return int(until(holder, f"process that listens at {port}"))


def test_chromium(start: Start, program: Callable[..., str], tmp_path: Path) -> None:
    """Its own process has the port, behind the script that starts it."""
    port = freePort()
    pid = start(
        program("chromium", "chromium-browser"),
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        f"--user-data-dir={tmp_path / 'profile'}",
        f"--remote-debugging-port={port}",
        "about:blank",
    )
    isSeen(pid, port, "a browser's remote debugging")
    children = [one for one in pids() if parentOf(one) == pid]
    assert children and [found for child in children for found in told(child)] == []


def test_gdbserver(start: Start, program: Callable[..., str]) -> None:
    """It takes no notice of the host."""
    port = freePort()
    pid = start(program("gdbserver"), f"127.0.0.1:{port}", program("cat"))
    isSeen(pid, port, "gdbserver", "0.0.0.0")
    assert [one.host for one in told(pid)] == ["*"]
