"""What a JVM that crashed leaves behind (C{hs_err_pid*.log}), and what the kernel counts."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from loopbackd.doctor.facts.files import namesIn, regularFile
from loopbackd.loglines import oneLine
from loopbackd.peer.proc import contentOf

_VMSTAT: Final = "/proc/vmstat"
_LIMIT: Final = 16384
_MOST: Final = 200
_KEPT: Final = 3
_NAME: Final = re.compile(r"hs_err_pid[0-9]+\.log\Z")
_REASON: Final = re.compile(r"^#[ \t]+(?P<says>[^\r\n]{0,300}?),? pid=(?P<pid>[0-9]{1,10})", re.M)
_MEMORY: Final = "# There is insufficient memory for the Java Runtime Environment to continue."


@dataclass(frozen=True, slots=True)
class Crash:
    """
    A file that the HotSpot JVM wrote as its last act.

    @ivar says: why it ended, in its own words; safe to show.
    @ivar pid: of the JVM; 0 if the file does not say.
    @ivar age: seconds since the file was written.
    @ivar when: the same as a date and a time, of this machine's time zone.
    """

    path: str
    says: str
    pid: int
    age: float
    when: str


def readCrashes(directories: Iterable[str]) -> list[Crash]:
    """The newest few of such files; JVMs write them where they run, or else in C{/tmp}."""
    found: dict[str, Crash] = {}
    now = datetime.now(UTC).timestamp()
    for directory in dict.fromkeys(directories):
        paths = [path for path in namesIn(directory, (".log",), _MOST) if _NAME.search(path)]
        for path in paths:
            content = regularFile(path, _LIMIT)
            try:
                modified = os.stat(path).st_mtime
            except OSError:
                continue
            if content is not None:
                says, pid = parseCrash(content.decode("utf-8", "replace"))
                local = datetime.fromtimestamp(modified).astimezone()
                when = local.isoformat(" ", "seconds")
                found[path] = Crash(path, says, pid, max(0.0, now - modified), when)
    return sorted(found.values(), key=lambda crash: crash.age)[:_KEPT]


def parseCrash(text: str) -> tuple[str, int]:
    """Why a JVM ended, and its pid, by the head of such a file."""
    match = _REASON.search(text)
    pid = int(match["pid"]) if match is not None else 0
    if _MEMORY in text:
        return "there was not enough memory for the JVM to go on", pid
    return oneLine(match["says"].strip()) if match is not None else "it does not say why", pid


def killedForMemory() -> int | None:
    """How many processes the kernel has ended for want of memory since it was started."""
    match = re.search(rb"^oom_kill (\d+)$", contentOf(_VMSTAT, 1 << 16) or b"", re.MULTILINE)
    return int(match[1]) if match is not None else None
