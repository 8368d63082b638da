"""The loopback connections of this machine, and which of them are new."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from loopbackd.peer.sockdiag import ADDRESSES, Address, SocketRow, TCPState

_SERVERS = frozenset({TCPState.SYN_RECV, TCPState.NEW_SYN_RECV})


@dataclass(frozen=True, slots=True)
class Touch:
    """
    That somebody connected to a port of this machine, or tried to.

    @ivar server: the address that was connected to.
    @ivar uid: whose the client's socket is; L{None} where it has closed it already.
    @ivar inode: of that socket; 0 where it has closed it.
    """

    client: Address
    server: Address
    uid: int | None
    inode: int


class Connections:
    """
    What connections there are, look by look; what stays as it was costs next to nothing.

    @ivar rows: of the last look.
    @ivar counts: how many connections are open at each port's end.
    """

    def __init__(self) -> None:
        self.rows: Mapping[bytes, SocketRow] = {}
        self.counts: Counter[int] = Counter()
        self._addresses: set[bytes] = set()
        self._isFirst = True

    def become(self, rows: Mapping[bytes, SocketRow]) -> list[SocketRow]:
        """
        Take another look.

        @param rows: as L{loopbackd.peer.netlink.SocketDiag.table} has them.
        @return: the sockets of connections that were not there the last time, in whatever state;
            none at the first look.
        """
        before, self.rows = self.rows, rows
        came = {key[ADDRESSES]: rows[key] for key in rows.keys() - before.keys()}
        gone = [(key[ADDRESSES], before[key]) for key in before.keys() - rows.keys()]
        fresh = [row for address, row in came.items() if address not in self._addresses]
        self._addresses.difference_update(address for address, _ in gone if address not in came)
        self._addresses.update(came)
        self._count(came.values(), 1)
        self._count((row for _, row in gone), -1)
        wasFirst, self._isFirst = self._isFirst, False
        return [] if wasFirst else fresh

    def _count(self, rows: Iterable[SocketRow], one: int) -> None:
        for row in rows:
            if row.state is TCPState.ESTABLISHED:
                port = row.local[1]
                self.counts[port] += one
                if not self.counts[port]:
                    del self.counts[port]


def touches(
    rows: Iterable[SocketRow], listening: Collection[int], ephemeral: range
) -> Iterator[Touch]:
    """
    Which ports of this machine were touched, by the sockets of whoever touched them.

    What cannot be told from the other end of a connection is left out: that of two ports which are
    both handed out by the system, where nobody listens any more.

    @param listening: the ports where somebody listens.
    @param ephemeral: the ports that clients are given.
    """
    for row in clients(rows, listening, ephemeral):
        isKnown = bool(row.uid or row.inode)
        yield Touch(row.local, row.remote, row.uid if isKnown else None, row.inode)


def clients(
    rows: Iterable[SocketRow], listening: Collection[int], ephemeral: range
) -> Iterator[SocketRow]:
    """The sockets of those who connected to a port of this machine; see L{touches}."""
    return (row for row in rows if isHere(row) and _isClient(row, listening, ephemeral))


def isHere(row: SocketRow) -> bool:
    """Whether both ends are on this machine, as far as the addresses say."""
    host = row.local[0]
    return host.startswith("127.") or host == "::1" or host == row.remote[0]


def _isClient(row: SocketRow, listening: Collection[int], ephemeral: range) -> bool:
    if row.state in _SERVERS:
        return False
    if row.state is TCPState.SYN_SENT:
        return True
    here, there = row.local[1] in listening, row.remote[1] in listening
    if here is not there:
        return there
    return row.local[1] in ephemeral and row.remote[1] not in ephemeral
