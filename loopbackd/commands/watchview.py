"""The watch on a terminal: who listens, who is connected, and what was new."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

from loopbackd.hostport import joined
from loopbackd.loglines import escape
from loopbackd.peer.process import Process, findProcesses, userName
from loopbackd.peer.sockdiag import SocketRow
from loopbackd.watching.connections import clients
from loopbackd.watching.events import Event
from loopbackd.watching.looks import Seen
from loopbackd.watching.pace import Pace
from loopbackd.watching.watch import Watch, Watched

LISTENERS: Final = ("address", "user", "pid", "command", "age", "connections", "suspicious")
CONNECTIONS: Final = ("client", "server", "state", "user", "pid", "command")

_EVENTS: Final = 200
_SHARE: Final = 0.004


def age(one: Watched, now: float) -> str:
    """How old a listener is at most: as old as its process, if it was there before we looked."""
    seconds = now - one.since
    if one.wasThere:
        if one.program is None or one.program.started is None:
            return ""
        seconds = time.clock_gettime(time.CLOCK_BOOTTIME) - one.program.started
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"


def listenerRows(seen: Seen, now: float) -> list[tuple[object, ...]]:
    """The listeners for a table with the columns L{LISTENERS}."""
    return [
        (
            one.listener.place.address,
            one.user,
            "" if one.program is None else one.program.pid,
            "" if one.program is None else one.program.command,
            age(one, now),
            seen.counts.get(one.listener.place.port, 0),
            ", ".join(event.kind for event in one.wrong),
        )
        for one in sorted(seen.watched, key=lambda one: one.listener.place[1::-1])
    ]


def connectionsOf(watch: Watch, ephemeral: range) -> list[SocketRow]:
    """
    The clients' ends of the loopback connections, by the ports they lead to; those that are closed,
    and nobody's any more, are the last.
    """
    listening = {place.port for place in watch.watched}
    found = clients(watch.connections.rows.values(), listening, ephemeral)
    return sorted(found, key=lambda row: (not row.inode, row.remote[1], row.local[1]))


class Names:
    """Knows the processes of connections, and looks for those it does not know now and then."""

    def __init__(self) -> None:
        self._known: dict[int, Process] = {}
        self._pace = Pace(_SHARE)

    def find(self, rows: Iterable[SocketRow], now: float) -> None:
        """Know as many of these as can be seen."""
        inodes = {row.inode for row in rows if row.inode}
        self._known = {inode: one for inode, one in self._known.items() if inode in inodes}
        unknown = inodes - self._known.keys()
        if unknown and self._pace.isDue(now):
            began = time.thread_time()
            self._known.update(findProcesses(unknown))
            self._pace.took(time.thread_time() - began, now)

    def rows(self, rows: Sequence[SocketRow]) -> list[tuple[object, ...]]:
        """Connections for a table with the columns L{CONNECTIONS}."""
        found: list[tuple[object, ...]] = []
        for row in rows:
            process = self._known.get(row.inode)
            found.append(
                (
                    joined(*row.local),
                    joined(*row.remote),
                    row.state.name,
                    userName(row.uid) if row.uid or row.inode else "",
                    "" if process is None else process.pid,
                    "" if process is None else process.command,
                )
            )
        return found


def eventLine(event: Event) -> str:
    """An event in one line: when, how bad, what, in words."""
    when = datetime.fromtimestamp(event.time).strftime("%H:%M:%S")
    return escape(f"{when}  {event.severity}  {event.kind}: {event.says}")


class Screen:
    """
    What is on the terminal.

    @ivar events: the last of them.
    """

    def __init__(self) -> None:
        self.events: deque[Event] = deque(maxlen=_EVENTS)

    def show(
        self,
        listeners: Sequence[Sequence[object]],
        connections: Sequence[Sequence[object]] | None,
        height: int,
    ) -> Any:
        """
        All of it for rich, in so many lines.

        @param connections: L{None} where nobody looks at them.
        """
        from rich.console import Group
        from rich.text import Text

        third = max((height - 8) // 3, 3)
        parts: list[Any] = [_table("listeners", LISTENERS, listeners, third)]
        if connections is not None:
            parts.append(_table("connections", CONNECTIONS, connections, third))
        shown = list(self.events)[-third:]
        parts.append(Text(f"events ({len(self.events)})", style="bold"))
        for event in shown:
            style = "yellow" if event.isWarning else ""
            parts.append(Text(eventLine(event), style=style, no_wrap=True, overflow="ellipsis"))
        if not shown:
            parts.append(Text("nothing new", style="dim"))
        return Group(*parts)


def _table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]], most: int) -> Any:
    from rich.table import Table
    from rich.text import Text

    more = f", the first {most}" if len(rows) > most else ""
    table = Table(
        title=Text(f"{title} ({len(rows)}{more})", style="bold"),
        title_justify="left",
        box=None,
        pad_edge=False,
        header_style="dim",
        expand=True,
    )
    for column in columns:
        wide = column == "command"
        table.add_column(column, no_wrap=True, overflow="ellipsis", ratio=1 if wide else None)
    for row in rows[:most]:
        # What somebody called a program is no markup, and moves no cursor.
        table.add_row(*(Text(escape(str(cell))) for cell in row))
    return table
