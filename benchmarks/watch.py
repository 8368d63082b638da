"""
What `loopbackd watch` costs on a machine with 10,000 sockets: part of a core, while nothing
happens, while connections come and go all the time, and while listeners do.

Then how late the daemon's reactor is while its watch looks (`[watch] enabled = true`).

Linux alone.  Run it as root, so that it sees all processes: python benchmarks/watch.py
"""

import argparse
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from crowd import SOCKETS, crowd


def cpuOf(pid: int) -> float:
    """The processor time of a process so far, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def repeated(do: Callable[[], None], seconds: float) -> Iterator[None]:
    """Do something so often, meanwhile."""
    over = threading.Event()

    def run() -> None:
        while not over.wait(seconds):
            do()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def connect() -> None:
    """A listener and its connection, which come and go."""
    there = socket.create_server(("127.0.0.1", 0))
    with there, socket.create_connection(there.getsockname()):
        there.accept()[0].close()


def watching(*options: str) -> float:
    """The part of a core that a watch takes, after it has begun, in per cent."""
    words = [shutil.which("loopbackd") or "loopbackd", "watch", "--json", *options]
    with tempfile.TemporaryDirectory() as state:
        environ = {**os.environ, "LOOPBACKD_STATE_DIR": state}
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, env=environ)
        try:
            time.sleep(BEGINNING)
            before, began = cpuOf(process.pid), time.monotonic()
            time.sleep(LASTING)
            return 100 * (cpuOf(process.pid) - before) / (time.monotonic() - began)
        finally:
            process.terminate()
            process.wait()


def lateness(enabled: bool) -> tuple[float, float]:
    """How late a reactor is that wants to be called each millisecond: p99.9 and most, in ms."""
    done = subprocess.run(
        [sys.executable, __file__, "--reactor", str(int(enabled))], capture_output=True, check=True
    )
    median, most = map(float, done.stdout.split())
    return median, most


def runReactor(enabled: bool) -> None:
    """Measure in this process."""
    from twisted.internet import reactor, task

    from loopbackd.watching.service import Watching
    from loopbackd.watchsettings import WatchSettings

    with tempfile.TemporaryDirectory() as state:
        environ = {"LOOPBACKD_STATE_DIR": state}
        service = Watching(WatchSettings(enabled=enabled), reactor, environ)
        late: list[float] = []
        expected = [0.0]

        def tick() -> None:
            now = time.perf_counter()
            if expected[0]:
                late.append(now - expected[0])
            expected[0] = time.perf_counter() + 0.001
            reactor.callLater(0.001, tick)

        def begin() -> None:
            service.startService()
            task.deferLater(reactor, BEGINNING, tick)
            task.deferLater(reactor, BEGINNING + LASTING, reactor.stop)

        reactor.callWhenRunning(begin)
        reactor.addSystemEventTrigger("before", "shutdown", service.stopService)
        reactor.run()
    late.sort()
    print(1000 * late[int(0.999 * len(late))], 1000 * late[-1])


BEGINNING = 3.0
LASTING = 15.0


def main() -> None:
    """Measure each situation."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sockets", type=int, default=SOCKETS)
    parser.add_argument("--reactor", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.reactor is not None:
        runReactor(bool(asked.reactor))
        return
    with crowd(asked.sockets) as _:
        print(f"{asked.sockets} sockets; part of one core, over {LASTING:.0f} s")
        situations = [
            ("nothing happens", nullcontext()),
            ("10 connections and listeners a second", repeated(connect, 0.1)),
            ("500 connections and listeners a second", repeated(connect, 0.002)),
        ]
        for name, situation in situations:
            with situation:
                print(f"  {name:<42} {watching():5.2f} %", flush=True)
        print(f"  {'the same quiet, --listeners':<42} {watching('--listeners'):5.2f} %", flush=True)
        print(
            "a timer of 1 ms in the daemon's reactor, p99.9 and most late; connections come and go"
        )
        with repeated(connect, 0.01):
            for enabled in (False, True):
                usual, most = lateness(enabled)
                print(
                    f"  {'with' if enabled else 'without'} the watch: {usual:.2f} ms, {most:.2f} ms"
                )


if __name__ == "__main__":
    main()
