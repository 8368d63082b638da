"""Programs that can be debugged over a port, started by tests."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import ExitStack, suppress
from pathlib import Path

from loopbackd.peer.proc import pids, wordsOf

_WAITING = "import sys; sys.stdin.read()"


def started(
    stack: ExitStack, *words: str, cwd: Path | None = None, environ: dict[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start a program that reads until its standard input ends; it is killed with its children."""
    process = subprocess.Popen(
        words,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **(environ or {})},
        cwd=cwd,
        start_new_session=True,
    )

    def end() -> None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()

    stack.callback(end)
    return process


def debugpyAt(stack: ExitStack, port: int, code: str = "") -> subprocess.Popen[bytes]:
    """
    Start a program with debugpy, by its command line or by code of its own.

    Its adapter belongs to no session of ours, and does not always end with it.
    """
    stack.callback(_endAdapters, str(port))
    if code:
        return started(stack, sys.executable, "-c", f"{code}; {_WAITING}")
    return started(stack, sys.executable, "-m", "debugpy", "--listen", str(port), "-c", _WAITING)


def _endAdapters(port: str) -> None:
    for pid in pids():
        words = wordsOf(pid)
        if len(words) > 1 and words[1].endswith("/debugpy/adapter") and port in words:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
