"""
The kernel's table of Unix sockets as values (C{/proc/net/unix}, proc(5)).

Paths are as they were bound: perhaps relative, perhaps of another mount namespace, and written by
whoever bound them.  A missing row therefore proves nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_LINE: Final = re.compile(
    rb"^[0-9a-f]+: [0-9A-F]{8} [0-9A-F]{8} ([0-9A-F]{8}) [0-9A-F]{4} ([0-9A-F]{2}) +(\d+) (.+)$"
)
_LISTENING: Final = 0x10000  # __SO_ACCEPTCON, linux/net.h
_UNCONNECTED: Final = 1  # SS_UNCONNECTED, linux/net.h


@dataclass(frozen=True, slots=True)
class UnixRow:
    """One Unix socket that has a path: its inode, and whether it listens or is merely bound."""

    path: bytes
    inode: int
    listening: bool
    connected: bool


def parseUnixTable(table: bytes) -> list[UnixRow]:
    """Read the sockets that have a path; lines of any other shape are skipped."""
    rows = []
    for line in table.split(b"\n"):
        match = _LINE.match(line)
        if match is not None:
            flags, state, inode, path = match.groups()
            listening = bool(int(flags, 16) & _LISTENING)
            connected = int(state, 16) != _UNCONNECTED
            rows.append(UnixRow(path, int(inode), listening, connected))
    return rows
