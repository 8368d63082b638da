"""Debuggers of other languages than Java: command lines, and real ones."""

from __future__ import annotations

import os
import re
import socket
import subprocess
from collections.abc import Callable
from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopbackd.doctor.asked import Asked
from loopbackd.doctor.examination import examine
from loopbackd.doctor.facts.debuggers import (
    NODE_OPTIONS,
    debuggersOf,
    findDebuggers,
    nodeOptions,
    splitAddress,
)
from loopbackd.doctor.finding import Severity


@pytest.mark.parametrize(
    ("line", "kind", "host", "port"),
    [
        ("node --inspect a.js", "node", "127.0.0.1", 9229),
        ("/usr/bin/node --inspect-brk=5000 a.js", "node", "127.0.0.1", 5000),
        ("node --inspect=0.0.0.0:5000 a.js", "node", "0.0.0.0", 5000),
        ("node --inspect=[::1]:5000 a.js", "node", "::1", 5000),
        ("node --inspect=*:5000 a.js", "node", "*", 5000),
        ("node --inspect=localhost a.js", "node", "localhost", 9229),
        ("node --inspect=0 a.js", "node", "127.0.0.1", None),
        ("node --inspect_brk --inspect-port=77 a.js", "node", "127.0.0.1", 77),
        ("node -r x --inspect-wait=:5000", "node", "127.0.0.1", 5000),
        ("deno run --inspect=127.0.0.1:5000 a.ts", "node", "127.0.0.1", 5000),
        ("python3 -m debugpy --listen 5678 a.py", "debugpy", "127.0.0.1", 5678),
        ("python3.11 -X dev -m debugpy --listen 0.0.0.0:5678 a.py", "debugpy", "0.0.0.0", 5678),
        ("python /x/debugpy/adapter --for-server 1 --host :: --port 5678", "debugpy", "::", 5678),
        ("dlv debug --headless --listen=:2345", "delve", "*", 2345),
        ("dlv dap -l 127.0.0.1:2345", "delve", "127.0.0.1", 2345),
        ("gdbserver localhost:1234 ./a", "gdbserver", "*", 1234),
        ("gdbserver --once :1234 ./a", "gdbserver", "*", 1234),
        ("chromium --remote-debugging-port=9222", "chrome", "127.0.0.1", 9222),
        (
            "google-chrome --remote-debugging-address=0.0.0.0 --remote-debugging-port=9222",
            "chrome",
            "0.0.0.0",
            9222,
        ),
    ],
)
def test_command_lines(line: str, kind: str, host: str, port: int | None) -> None:
    """What they say, and what their programs take for granted."""
    (found,) = debuggersOf(line.split(), {})
    assert (found.kind, found.host, found.port) == (kind, host, port)
    assert found.isListening


@pytest.mark.parametrize(
    "line",
    [
        "node a.js --inspect",
        "node -r --inspect a.js",
        "node --inspect-port=5000 a.js",
        "python3 a.py -m debugpy --listen 5678",
        "python3 -m debugpy.server --listen 5678",
        "python3 -m debugpy --listen",
        "dlv debug -- --listen=:2345",
        "dlv --listen=unix:/x",
        "gdbserver /dev/ttyS0 ./a",
        "gdbserver --multi",
        "chromium --type=renderer --remote-debugging-port=9222",
        "vim --inspect",
    ],
)
def test_no_debugger(line: str) -> None:
    """The script's own words, a renderer's inherited ones, what is no address."""
    assert debuggersOf(line.split(), {}) == []


def test_one_that_connects() -> None:
    """debugpy can go to its debugger."""
    (found,) = debuggersOf(["python", "-m", "debugpy", "--connect", "localhost:5678", "a.py"], {})
    assert not found.isListening and found.port == 5678


def test_the_environment() -> None:
    """It comes first, and the command line has the last word."""
    environ = {NODE_OPTIONS: '--require "./a b.js" --inspect=5000'}
    assert [one.port for one in debuggersOf(["node", "a.js"], environ)] == [5000]
    assert [one.port for one in debuggersOf(["node", "--inspect=1", "a"], environ)] == [1]
    assert debuggersOf(["bash"], environ) == []
    assert nodeOptions(r'-r "a \"b\" c" "x"y') == ["-r", 'a "b" c', "xy"]


@given(st.lists(st.text()), st.text())
def test_any_words(words: list[str], text: str) -> None:
    """Nothing is too odd, whatever program it is."""
    for name in ("node", "python", "dlv", "gdbserver", "chrome"):
        debuggersOf([name, *words], {NODE_OPTIONS: text})


@given(st.text() | st.from_regex(r"[\[\]:0-9a-f*.]*"))
def test_any_address(text: str) -> None:
    """A port is one, or there is none."""
    found = splitAddress(text)
    assert found is None or 0 <= found[1] < 65536


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


def freePort() -> int:
    """A port that nobody has."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


def test_node_on_all_addresses(node: Callable[..., tuple[int, int]]) -> None:
    """Its inspector takes whoever comes."""
    pid, port = node(f"--inspect=0.0.0.0:{freePort()}")
    findings = examine(Asked("127.0.0.1", port))
    (one,) = [one for one in findings if one.severity is not Severity.NOTE]
    assert one.kind == "debugger-everywhere" and f"pid {pid} " in one.evidence[0]


def test_node_on_loopback(node: Callable[..., tuple[int, int]]) -> None:
    """Nothing is wrong with that, and C{NODE_OPTIONS} are read."""
    pid, port = node(environ={NODE_OPTIONS: f"--inspect={freePort()}"})
    findings = examine(Asked("127.0.0.1", port))
    assert [one.kind for one in findings if one.severity is not Severity.NOTE] == []
    (found,) = [one for one in findDebuggers() if one.process and one.process.pid == pid]
    assert (found.kind, found.port) == ("node", port)
