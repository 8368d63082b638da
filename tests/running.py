"""The real daemon in a process of its own, for tests of what only that shows."""

from __future__ import annotations

import os
import re
import subprocess
import sysconfig
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PATIENCE = 30.0
"""Seconds to wait for what the daemon is sure to do."""


class Running:
    """
    A daemon that listens.

    @ivar lines: what it has written so far, standard error included.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        self._more = threading.Condition()
        self._reader = threading.Thread(target=self._collect)
        self._reader.start()

    def _collect(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._more:
                self.lines.append(line)
                self._more.notify_all()
        with self._more:
            self.lines.append("")
            self._more.notify_all()

    def says(self, pattern: str) -> re.Match[str]:
        """Wait until a line matches."""
        found: list[re.Match[str]] = []

        def look() -> bool:
            found.extend(match for line in self.lines if (match := re.search(pattern, line)))
            return bool(found) or "" in self.lines

        with self._more:
            self._more.wait_for(look, PATIENCE)
        assert found, f"never said {pattern!r}:\n" + "".join(self.lines)
        return found[0]

    def address(self, service: str) -> tuple[str, int]:
        """Where a service listens on 127.0.0.1."""
        return "127.0.0.1", int(self.says(rf"\b{service}: \S+ on 127\.0\.0\.1:(\d+)")[1])

    @property
    def seconds(self) -> float:
        """The processor time it has used."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self, field: str = "VmRSS") -> int:
        """Its resident memory in bytes, or the most there ever was of it (VmHWM)."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(rf"^{field}:\s+(\d+) kB$", status, re.M)
        assert found is not None
        return int(found[1]) * 1024

    def stop(self) -> None:
        """SIGTERM; it must leave by itself."""
        if self.process.returncode is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(PATIENCE)
        finally:
            self.process.kill()
            self._reader.join(PATIENCE)
            assert self.process.stdout is not None
            self.process.stdout.close()


@contextmanager
def running(
    directory: Path,
    *arguments: str,
    reactor: str | None = None,
    before: Callable[[], Any] | None = None,
) -> Iterator[Running]:
    """
    C{twistd -n loopbackd} with these arguments, in that directory.

    @param reactor: for C{twistd -r}.
    @param before: called in the new process before the program starts.
    """
    twistd = Path(sysconfig.get_path("scripts")) / "twistd"
    chosen = ["-r", reactor] if reactor else []
    process = subprocess.Popen(
        [str(twistd), "-n", "--pidfile=", *chosen, "loopbackd", *arguments],
        cwd=directory,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=before,
    )
    daemon = Running(process)
    try:
        daemon.says(r"reactor class|Starting factory|on 127\.0\.0\.1:|on \[::1\]:")
        yield daemon
    finally:
        daemon.stop()
