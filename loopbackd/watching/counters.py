"""
What the kernel has counted of TCP since this machine began (C{/proc/net/snmp}, RFC 4022).

As long as no count has changed no connection has come or gone, so that nobody need look.
"""

from __future__ import annotations

from typing import Final, NamedTuple

_PATH: Final = "/proc/self/net/snmp"


class Counters(NamedTuple):
    """
    Counts of this network namespace.

    @ivar opened: connections begun from here.
    @ivar accepted: connections that came in.
    @ivar failed: attempts that came to nothing, most of them refused.
    @ivar reset: connections that ended by a reset.
    @ivar established: how many are open now.
    """

    opened: int = 0
    accepted: int = 0
    failed: int = 0
    reset: int = 0
    established: int = 0


_FIELDS: Final = (b"ActiveOpens", b"PassiveOpens", b"AttemptFails", b"EstabResets", b"CurrEstab")


def parseCounters(table: bytes) -> Counters | None:
    """What the table says of TCP; L{None} if that is not in it."""
    lines = [line.split() for line in table.split(b"\n") if line.startswith(b"Tcp:")]
    if len(lines) != 2:
        return None
    try:
        counted = dict(zip(lines[0][1:], map(int, lines[1][1:]), strict=True))
        return Counters(*(counted[field] for field in _FIELDS))
    except (KeyError, ValueError):
        return None


def counters() -> Counters | None:
    """Ask the kernel, in some 15 microseconds; L{None} where it does not say."""
    try:
        with open(_PATH, "rb", buffering=0) as file:
            return parseCounters(file.read(8192))
    except OSError:
        return None
