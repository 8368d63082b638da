"""What other programs of this machine say, in bounded time and memory."""

from __future__ import annotations

import os
import select
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from loopbackd.loglines import reasonOf

PATIENCE: Final = 2.0
"""Seconds that a program gets."""

_MOST: Final = 32 << 20
_MOST_ERRORS: Final = 1 << 16
_READ: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Said:
    """
    What a program printed.

    @ivar failed: why that may not be all; empty if it is.
    """

    text: str = ""
    failed: str = ""


def said(command: Sequence[str], patience: float = PATIENCE, most: int = _MOST) -> Said:
    """
    Run a program that needs no input, in no language but C's; never raises for what goes wrong.

    @param patience: seconds until it is killed.
    @param most: how many bytes it may print until it is killed.
    """
    try:
        with subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "LC_ALL": "C"},
        ) as process:
            out, err, failed = _collect(process, time.monotonic() + patience, most)
    except (OSError, ValueError) as error:
        return Said(failed=reasonOf(error))
    if not failed and process.returncode:
        lines = err.decode("utf-8", "backslashreplace").strip().splitlines()
        failed = lines[0] if lines else f"ended with {process.returncode}"
    return Said(out.decode("utf-8", "backslashreplace"), failed)


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
        process.kill()
    return b"".join(pieces[out]), b"".join(pieces[err]), failed
