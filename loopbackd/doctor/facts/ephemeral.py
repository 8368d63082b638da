"""The ports that this system hands out by itself (ip(7)), and how many of them are in use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_SYSTEM: Final = "/proc/sys/net/ipv4"
_COUNTERS: Final = "/proc/self/net/netstat"
_SOCKETS: Final = "/proc/self/net/sockstat"


@dataclass(frozen=True, slots=True)
class Ephemeral:
    """
    What the system says of ports.

    @ivar first: and C{last}: the range for clients that do not choose.
    @ivar reserved: ranges in it that are left out.
    @ivar unprivileged: the first port that needs no privilege.
    @ivar waiting: how many sockets are in C{TIME_WAIT}.
    @ivar overflows: how often a listener's queue was full since the machine was started.
    """

    first: int = 32768
    last: int = 60999
    reserved: tuple[tuple[int, int], ...] = ()
    unprivileged: int = 1024
    waiting: int = 0
    overflows: int = 0

    def handsOut(self, port: int) -> bool:
        """Whether a client that does not choose may get that port."""
        kept = any(low <= port <= high for low, high in self.reserved)
        return self.first <= port <= self.last and not kept


def ephemeral() -> Ephemeral:
    """Ask the system; what it does not tell is as Linux has it by itself."""
    first, last = _numbers("ip_local_port_range", (32768, 60999))
    return Ephemeral(
        first,
        last,
        parseRanges(_read(f"{_SYSTEM}/ip_local_reserved_ports")),
        _numbers("ip_unprivileged_port_start", (1024,))[0],
        parseSockets(_read(_SOCKETS)),
        parseCounters(_read(_COUNTERS)).get("ListenOverflows", 0),
    )


def parseRanges(text: str) -> tuple[tuple[int, int], ...]:
    """Ranges as C{ip_local_reserved_ports} has them: C{8080,9000-9100}."""
    found = []
    for one in text.strip().split(","):
        low, _, high = one.partition("-")
        if low.isdigit():
            found.append((int(low), int(high) if high.isdigit() else int(low)))
    return tuple(found)


def parseCounters(text: str) -> Mapping[str, int]:
    """The counters of C{TcpExt} by name: a line of names, and one of values."""
    lines = [line.split() for line in text.splitlines() if line.startswith("TcpExt:")]
    if len(lines) != 2:
        return {}
    return {
        name: int(value)
        for name, value in zip(lines[0][1:], lines[1][1:], strict=False)
        if value.isdigit()
    }


def parseSockets(text: str) -> int:
    """How many sockets are in C{TIME_WAIT}."""
    for line in text.splitlines():
        words = line.split()
        if words[:1] == ["TCP:"] and "tw" in words[:-1]:
            value = words[words.index("tw") + 1]
            return int(value) if value.isdigit() else 0
    return 0


def _numbers(name: str, otherwise: tuple[int, ...]) -> tuple[int, ...]:
    words = _read(f"{_SYSTEM}/{name}").split()
    isRight = len(words) == len(otherwise) and all(word.isdigit() for word in words)
    return tuple(map(int, words)) if isRight else otherwise


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(65536)
    except OSError:
        return ""
