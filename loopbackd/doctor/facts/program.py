"""What other programs of this machine say, in bounded time and memory."""

from __future__ import annotations

import os
import select
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from loopbackd.loglines import reasonOf

PATIENCE: Final = 2.0
"""Seconds that a program gets."""

_MOST: Final = 32 << 20
_MOST_ERRORS: Final = 1 << 16
_READ: Final = 1 << 16
_SYSTEMS: Final = ("/usr/sbin", "/usr/bin", "/sbin", "/bin")
_LOCAL: Final = ("/usr/local/sbin", "/usr/local/bin", "/run/current-system/sw/bin")
"""Of what was built here, and of NixOS, which has no others; some let a group write there."""

_KEPT: Final = (
    *("HOME", "USER", "LOGNAME", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS"),
    *("HOSTALIASES", "LOCALDOMAIN", "RES_OPTIONS"),
)
"""What C{systemctl --user} goes by, and how every program of the caller's looks up names."""


@dataclass(frozen=True, slots=True)
class Said:
    """
    What a program printed.

    @ivar failed: why that may not be all; empty if it is.
    @ivar status: with which it ended; L{None} where it was not there, or was killed.
    """

    text: str = ""
    failed: str = ""
    status: int | None = None


def isRoots(directory: str) -> bool:
    """Whether nobody but root can put a file there."""
    try:
        status = os.stat(directory)
    except OSError:
        return False
    return status.st_uid == 0 and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def whereIs(name: str) -> str:
    """
    The path of a program; empty for none.

    Root's C{PATH} may be somebody else's word, by sudo(8) or su(1) say, and who can write there
    would be run as root: for root it is looked for where only root can put it.
    """
    return shutil.which(name, path=_path()) or ""


def said(command: Sequence[str], patience: float = PATIENCE, most: int = _MOST) -> Said:
    """
    Run a program that needs no input, in no language but C's; never raises for what goes wrong.

    @param command: the name of the program, looked for as L{whereIs} does, or its path; and words.
    @param patience: seconds until it is killed, with all that it has started.
    @param most: how many bytes it may print until it is killed.
    """
    program, *words = command
    path = whereIs(program)
    if not path:
        return Said(failed=f"{program} is not installed")
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    try:
        with subprocess.Popen(
            [path, *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**kept, "PATH": _path(), "LC_ALL": "C"},
            start_new_session=True,
        ) as process:
            try:
                out, err, failed = _collect(process, time.monotonic() + patience, most)
            finally:
                _end(process)
    except (OSError, ValueError) as error:
        return Said(failed=reasonOf(error))
    status = None if failed else process.returncode
    if status:
        lines = err.decode("utf-8", "backslashreplace").strip().splitlines()
        failed = lines[0] if lines else f"ended with {status}"
    return Said(out.decode("utf-8", "backslashreplace"), failed, status)


def _path() -> str:
    if os.geteuid() == 0:
        return os.pathsep.join((*_SYSTEMS, *filter(isRoots, _LOCAL)))
    return os.environ.get("PATH", os.defpath)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill a process that has not ended yet, and what it has started; its pid is still its own."""
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _collect(
    process: subprocess.Popen[bytes], deadline: float, most: int
) -> tuple[bytes, bytes, str]:
    assert process.stdout is not None and process.stderr is not None
    out, err = process.stdout.fileno(), process.stderr.fileno()
    pieces: dict[int, list[bytes]] = {out: [], err: []}
    room = {out: most, err: _MOST_ERRORS}
    poll = select.poll()
    for descriptor in pieces:
        poll.register(descriptor, select.POLLIN)
    waiting, failed = set(pieces), ""
    while waiting and not failed:
        left = deadline - time.monotonic()
        ready = poll.poll(max(0.0, left) * 1000)
        if not ready:
            failed = "no answer in time"
        for descriptor, _ in ready:
            piece = os.read(descriptor, _READ)
            pieces[descriptor].append(piece)
            room[descriptor] -= len(piece)
            if not piece:
                poll.unregister(descriptor)
                waiting.discard(descriptor)
            elif room[descriptor] < 0:
                failed = "it says too much"
    try:
        process.wait(max(0.05, deadline - time.monotonic()) if not failed else 0)
    except subprocess.TimeoutExpired:
        failed = failed or "no answer in time"
    return b"".join(pieces[out]), b"".join(pieces[err]), failed
