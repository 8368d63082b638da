"""Starting servers, watching them and ending them."""

import os
import random
import resource
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

HERE = Path(__file__).resolve().parent
BUILD = HERE / "build"

SECONDS_TO_LISTEN = 20.0
SECONDS_TO_END = 5.0


class NotRun(Exception):
    """A server or a tool cannot take part; the message says why."""


@dataclass(frozen=True)
class Server:
    """A name for the tables, the command for a port and a job, and what the command needs."""

    name: str
    command: Callable[[int, str], list[str]]
    lacks: Callable[[], str | None] = lambda: None
    processesStay: bool = True
    """Whether its processes are there as long as it is, so that their CPU time is the server's."""
    files: Callable[[Path, int], None] = lambda directory, port: None
    """Writes what the command needs into the directory where it is run."""
    isPinned: bool = True
    """Whether it is kept on one CPU, where servers are; one with several workers may use all."""


def compileTools() -> None:
    """Build the load generator and the C peer, where they are older than their source."""
    compiler = shutil.which("cc")
    if compiler is None:
        raise NotRun("the load generator needs a C compiler (cc), which is not installed")
    BUILD.mkdir(exist_ok=True)
    for source in (HERE / "load.c", HERE / "peers" / "epoll.c"):
        program = BUILD / source.stem
        newest = max(path.stat().st_mtime for path in (source, HERE / "pattern.h"))
        if program.exists() and program.stat().st_mtime > newest:
            continue
        subprocess.run([compiler, "-O2", "-Wall", "-o", str(program), str(source)], check=True)


def freePort() -> int:
    """
    A free port outside the range the kernel takes local ports from.

    Inside that range a client's own port could be in the server's way, and a connection attempt to
    a port where nothing listens yet could reach itself.
    """
    words = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()
    low, high = int(words[0]), int(words[1])
    above, below = range(high + 1, 65536), range(max(1024, low - 8000), low)
    ports = above if len(above) >= 1000 else below
    for port in random.sample(ports, min(200, len(ports))):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return port
    raise NotRun("no free port outside the kernel's range for local ports")


def prepared(cpu: int | None) -> Callable[[], None]:
    """What a child does before it becomes the program: more descriptors, and one CPU if asked."""

    def prepare() -> None:
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        if cpu is not None:
            os.sched_setaffinity(0, {cpu})

    return prepare


class Running:
    """A server that has been started; ``waitUntilListening`` tells when it is of use."""

    secondsToListening = 0.0

    def __init__(self, server: Server, job: str, directory: Path, cpu: int | None) -> None:
        self.server = server
        self.port = freePort()
        self.log = directory / f"{self.port}.log"
        server.files(directory, self.port)
        with self.log.open("wb") as log:
            self.started = time.perf_counter()
            self.process = subprocess.Popen(
                server.command(self.port, job),
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**os.environ, "LOOPBACKD_STATE_DIR": str(directory)},
                preexec_fn=prepared(cpu if server.isPinned else None),
            )

    def waitUntilListening(self) -> float:
        """Connect until it works; the seconds since the process was started."""
        deadline = self.started + SECONDS_TO_LISTEN
        while time.perf_counter() < deadline:
            with socket.socket() as probe:
                probe.settimeout(1.0)
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return time.perf_counter() - self.started
            if self.process.poll() is not None:
                raise NotRun(f"ended before it listened: {self.lastWords()}")
            time.sleep(0.001)
        raise NotRun(f"did not listen within {SECONDS_TO_LISTEN:.0f} s: {self.lastWords()}")

    def lastWords(self) -> str:
        """The last line the server wrote, or its exit code."""
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return lines[-1].strip()[:160] if lines else f"exit code {self.process.poll()}"

    def cpuSeconds(self) -> float | None:
        """CPU time of all threads of all its processes so far; None where they come and go."""
        if not self.server.processesStay:
            return None
        spent = 0
        try:
            for process in self._processes():
                for task in process.glob("task/*/schedstat"):
                    spent += int(task.read_text().split()[0])
        except OSError:
            return None
        return spent / 1e9

    def _processes(self) -> Iterator[Path]:
        """The server's process and those it has started, which are in its group."""
        group = str(self.process.pid)
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if (process / "stat").read_text().rpartition(")")[2].split()[2] == group:
                    yield process

    def memory(self) -> dict[str, int]:
        """Resident and proportional bytes of the process, as far as the kernel tells."""
        found: dict[str, int] = {}
        for name, word in (("status", "VmRSS"), ("smaps_rollup", "Pss")):
            with suppress(OSError):
                for line in Path(f"/proc/{self.process.pid}/{name}").read_text().splitlines():
                    if line.startswith(f"{word}:"):
                        found[word] = int(line.split()[1]) * 1024
        return found

    def end(self) -> None:
        """Terminate the server and the processes it started itself."""
        self._signal(signal.SIGTERM)
        try:
            self.process.wait(SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            self.process.wait()

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)


@contextmanager
def running(server: Server, job: str, cpu: int | None) -> Iterator[Running]:
    """The server, listening, in a directory of its own; ended and cleaned up afterwards."""
    missing = server.lacks()
    if missing:
        raise NotRun(missing)
    with TemporaryDirectory(prefix="loopbackd-benchmark-") as directory:
        started = Running(server, job, Path(directory), cpu)
        try:
            started.secondsToListening = started.waitUntilListening()
            yield started
        finally:
            started.end()
