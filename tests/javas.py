"""Real JVMs that are told of debuggers, and a debugger that says no more than it has to."""

from __future__ import annotations

import os
import re
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from running import PATIENCE

from loopbackd.doctor.facts.jvms import Phase, phaseOf
from loopbackd.peer.proc import threadsOf

HANDSHAKE = b"JDWP-Handshake"
_RESUME = bytes([0, 0, 0, 11, 0, 0, 0, 1, 0, 1, 9])  # VirtualMachine.Resume, with the id 1

WAITING = """
public class Waiting {
    public static void main(String[] arguments) throws Exception {
        System.out.println("begun");
        System.exit(System.in.read() < 0 ? 0 : 3);
    }
}
"""


class JVM:
    """
    A JVM that runs until its standard input ends.

    @ivar port: where it said that it listens for a debugger; 0 if it never did.
    """

    def __init__(self, words: list[str], environ: dict[str, str], directory: Path) -> None:
        self.process = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, **environ},
            cwd=directory,
        )
        self.port = 0
        self.lines: list[str] = []

    @property
    def pid(self) -> int:
        """Its pid."""
        return self.process.pid

    def said(self, pattern: str) -> str:
        """Wait for a line with that in it; everything before is kept."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            if re.search(pattern, line):
                return self.lines[-1]
        raise AssertionError(f"it never said {pattern!r} but {self.lines}")

    def listening(self) -> JVM:
        """Wait until it listens for its debugger."""
        self.port = int(self.said("^Listening for transport").rpartition(" ")[2])
        return self.reached(Phase.WAITING)

    def begun(self) -> JVM:
        """Wait until its program has begun."""
        self.said("^begun")
        return self

    def reached(self, phase: Phase) -> JVM:
        """Wait until its agent's threads are at that."""
        for _ in range(round(PATIENCE / 0.02)):
            if phaseOf(threadsOf(self.pid)) is phase:
                return self
            try:
                self.process.wait(0.02)
            except subprocess.TimeoutExpired:
                continue
            break
        raise AssertionError(f"it is at {phaseOf(threadsOf(self.pid))}, and not at {phase}")

    def ended(self) -> int:
        """Wait for its end; its exit code. What it said is in L{lines}."""
        out, _ = self.process.communicate(timeout=PATIENCE)
        self.lines += out.splitlines()
        return self.process.returncode

    def close(self) -> None:
        """End it."""
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()


@pytest.fixture(scope="session")
def classes(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The directory of the compiled class; made once."""
    made: list[Path] = []

    def compiled(javac: str) -> Path:
        if not made:
            directory = tmp_path_factory.mktemp("classes")
            (directory / "Waiting.java").write_text(WAITING)
            subprocess.run([javac, "Waiting.java"], cwd=directory, check=True, timeout=PATIENCE)
            made.append(directory)
        return made[0]

    return compiled


@pytest.fixture
def java(
    program: Callable[..., str], classes: Callable[[str], Path], tmp_path: Path
) -> Iterator[Callable[..., JVM]]:
    """Start a JVM with these options."""
    with ExitStack() as stack:

        def start(*options: str, environ: dict[str, str] | None = None) -> JVM:
            directory = classes(program("javac"))
            words = [program("java"), *options, "-cp", str(directory), "Waiting"]
            jvm = JVM(words, environ or {}, tmp_path)
            stack.callback(jvm.close)
            return jvm

        yield start


def jdwp(**parts: str | int) -> str:
    """The option for a debugger: C{server=}, C{suspend=}, C{address=} and so on."""
    told = ",".join(f"{name}={value}" for name, value in parts.items())
    return f"-agentlib:jdwp=transport=dt_socket,{told}"


def attach(stack: ExitStack, port: int, host: str = "127.0.0.1") -> socket.socket:
    """Be the debugger of a JVM that listens."""
    sock = stack.enter_context(socket.create_connection((host, port), PATIENCE))
    return greet(sock)


def greet(sock: socket.socket) -> socket.socket:
    """Speak first, as debuggers do, and hear the same from the JVM."""
    sock.settimeout(PATIENCE)
    sock.sendall(HANDSHAKE)
    heard = b""
    while len(heard) < len(HANDSHAKE):
        more = sock.recv(len(HANDSHAKE) - len(heard))
        assert more, f"the JVM hung up after {heard!r}"
        heard += more
    assert heard == HANDSHAKE
    return sock


def resume(sock: socket.socket) -> None:
    """Let the program go on."""
    sock.sendall(_RESUME)
