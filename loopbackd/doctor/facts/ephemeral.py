"""The ports that this system hands out by itself (ip(7)), and how many of them are in use."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from loopbackd.doctor.facts.files import textOf
from loopbackd.peer.netlink import SocketDiag
from loopbackd.peer.sockdiag import CONNECTED, SocketRow

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
    @ivar inUse: how many are anything else.
    @ivar overflows: how often a listener's queue was full, since this network was made.
    @ivar dropped: how often a listener lost a connection, that among other reasons.
    @ivar reuses: C{tcp_tw_reuse}: 1 where clients take ports in C{TIME_WAIT} again, 2 where they do
        so within the machine alone, 0 where they do not.
    """

    first: int = 32768
    last: int = 60999
    reserved: tuple[tuple[int, int], ...] = ()
    unprivileged: int = 1024
    waiting: int = 0
    inUse: int = 0
    overflows: int = 0
    dropped: int = 0
    reuses: int = 2

    @property
    def size(self) -> int:
        """How many ports there are for clients."""
        kept = {
            port
            for low, high in self.reserved
            for port in range(max(low, self.first), min(high, self.last) + 1)
        }
        return self.last - self.first + 1 - len(kept)

    def handsOut(self, port: int) -> bool:
        """Whether a client that does not choose may get that port."""
        kept = any(low <= port <= high for low, high in self.reserved)
        return self.first <= port <= self.last and not kept


@dataclass(frozen=True, slots=True)
class Clients:
    """
    The sockets of clients that go to one address, which each have a port of their own.

    @ivar states: how many there are in each state, by its name.
    """

    host: str
    port: int
    states: Mapping[str, int]

    def __len__(self) -> int:
        return sum(self.states.values())

    def __str__(self) -> str:
        return ", ".join(f"{count} {name}" for name, count in sorted(self.states.items()))


def clientsOf(rows: Iterable[SocketRow], host: str, port: int) -> Clients:
    """Those that go there, among sockets."""
    there = (host, port)
    found = Counter(row.state.name for row in rows if row.remote == there)
    return Clients(host, port, found)


def clients(diag: SocketDiag, host: str, port: int) -> Clients:
    """Ask the kernel; none where it does not tell."""
    try:
        return clientsOf(diag.rows(states=CONNECTED), host, port)
    except (OSError, ValueError):
        return Clients(host, port, {})


def handedOut() -> range:
    """The ports for clients that do not choose; as Linux has it where the system does not tell."""
    first, last = _numbers("ip_local_port_range", (32768, 60999))
    return range(first, last + 1)


def ephemeral() -> Ephemeral:
    """Ask the system; what it does not tell is as Linux has it by itself."""
    ports = handedOut()
    sockets = parseSockets(textOf(_SOCKETS))
    counters = parseCounters(textOf(_COUNTERS))
    return Ephemeral(
        ports.start,
        ports.stop - 1,
        parseRanges(textOf(f"{_SYSTEM}/ip_local_reserved_ports")),
        _numbers("ip_unprivileged_port_start", (1024,))[0],
        sockets.get("tw", 0),
        sockets.get("inuse", 0),
        counters.get("ListenOverflows", 0),
        counters.get("ListenDrops", 0),
        _numbers("tcp_tw_reuse", (2,))[0],
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


def parseSockets(text: str) -> Mapping[str, int]:
    """The counts of TCP's sockets by name: C{inuse}, C{tw}, ..."""
    for line in text.splitlines():
        kind, *words = line.split() or [""]
        if kind == "TCP:":
            pairs = zip(words[::2], words[1::2], strict=False)
            return {name: int(value) for name, value in pairs if value.isdigit()}
    return {}


def _numbers(name: str, otherwise: tuple[int, ...]) -> tuple[int, ...]:
    words = textOf(f"{_SYSTEM}/{name}").split()
    isRight = len(words) == len(otherwise) and all(word.isdigit() for word in words)
    return tuple(map(int, words)) if isRight else otherwise
