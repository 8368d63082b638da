"""Made listeners and programs, and a watch over them that asks no kernel."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from loopbackd.peer.sockdiag import SocketRow, TCPState
from loopbackd.watching.counters import Counters
from loopbackd.watching.events import Event
from loopbackd.watching.listeners import Listener, Place
from loopbackd.watching.looking import Look
from loopbackd.watching.memory import Memory
from loopbackd.watching.programs import Program
from loopbackd.watching.rules import Rules
from loopbackd.watching.watch import Watch
from loopbackd.watchsettings import WatchSettings

EPHEMERAL = range(32768, 61000)


def listener(port: int = 80, host: str = "127.0.0.1", uid: int = 1000, inode: int = 0) -> Listener:
    """Somebody who listens."""
    return Listener(Place(host, port, uid), frozenset({inode or port}))


def program(pid: int = 7, path: str = "/usr/bin/server", **others: Any) -> Program:
    """What runs in a process."""
    words = others.pop("words", (path, "--serve"))
    return Program(pid, "somebody", " ".join(words), words, path, **others)


def socketRow(
    local: tuple[str, int],
    remote: tuple[str, int],
    state: TCPState = TCPState.ESTABLISHED,
    uid: int = 1000,
    inode: int = 1,
) -> SocketRow:
    """The socket of a connection."""
    return SocketRow(state, local, remote, uid, inode, 0.0)


def keyed(rows: Iterable[SocketRow]) -> dict[bytes, SocketRow]:
    """Rows as L{SocketDiag.table} has them: the key has the state, the addresses, the owner."""
    found = {}
    for row in rows:
        addresses = f"{row.local}{row.remote}".encode().rjust(40, b".")[-40:]
        assert len(f"{row.local}{row.remote}") <= 44
        key = bytes([2, row.state]) + addresses + b"cookie.." + f"{row.uid}/{row.inode}".encode()
        found[key] = row
    return found


class Watched:
    """
    A watch over made looks.

    @ivar programs: by inode, what would be found.
    @ivar complaints: what is wrong with the file.
    """

    def __init__(self, path: Path, learns: bool = False, **settings: Any) -> None:
        asked = WatchSettings(**settings)
        self.complaints: list[str] = []
        self.programs: dict[int, Program] = {}
        self.cost = 0.0
        self.sought: list[Mapping[int, int]] = []
        self._spent = 0.0
        self.memory = Memory(path / "usual.json", EPHEMERAL, self.complaints.append)
        self.watch = Watch(
            asked, Rules(asked), self.memory, learns, find=self._find, spent=lambda: self._spent
        )
        self.now = 1000.0

    def _find(self, sockets: Mapping[int, int]) -> Mapping[int, Program]:
        self.sought.append(sockets)
        self._spent += self.cost
        return {inode: self.programs[inode] for inode in sockets if inode in self.programs}

    def standing(self) -> list[Event]:
        """What is suspicious about the listeners that are there."""
        return [event for one in self.watch.watched.values() for event in one.wrong]

    def saw(
        self,
        *listeners: Listener,
        sockets: Iterable[SocketRow] | None = None,
        failed: int | None = None,
        after: float = 1.0,
    ) -> list[Event]:
        """What is told of a look at these."""
        self.now += after
        look = Look(
            {one.place: one for one in listeners},
            None if sockets is None else keyed(sockets),
            None if failed is None else Counters(failed=failed),
        )
        return self.watch.saw(look, self.now)

    def kinds(self, *listeners: Listener, **others: Any) -> list[str]:
        """The kinds of what is told."""
        return [event.kind for event in self.saw(*listeners, **others)]
