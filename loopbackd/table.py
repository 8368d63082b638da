"""The live table in words, for people: C{talk}'s C{stats}, and the log at SIGUSR1."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from loopbackd.connection import Connection
from loopbackd.connections import Connections

MOST_ROWS = 100
"""How many connections are listed one by one."""


def describe(connections: Connections, now: float) -> Iterator[str]:
    """
    The table, a line at a time: a line for each service, then one for each open connection.

    @param now: the time, in seconds since the epoch.
    """
    received: Counter[str] = Counter()
    sent: Counter[str] = Counter()
    for connection in connections:
        received[connection.service] += connection.bytesReceived
        sent[connection.service] += connection.bytesSent
    for name in connections.services():
        totals = connections.totals(name)
        yield (
            f"{name}: {totals.open} open, {totals.opened} in all, {totals.refused} refused,"
            f" {totals.bytesReceived + received[name]} bytes in,"
            f" {totals.bytesSent + sent[name]} bytes out"
        )
    for number, connection in enumerate(connections):
        if number == MOST_ROWS:
            yield f"... and {len(connections) - MOST_ROWS} more"
            return
        yield _row(connection, now)


def _row(connection: Connection, now: float) -> str:
    return (
        f"#{connection.id} {connection.service} {connection.protocol or '-'} from"
        f" {connection.shownRemote}: {connection.state}, {now - connection.opened:.1f} s,"
        f" {connection.bytesReceived} bytes in, {connection.bytesSent} bytes out"
    )
