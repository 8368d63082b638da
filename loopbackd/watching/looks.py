"""Looking, telling what is new, and remembering what is usual, as one."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from loopbackd.doctor.facts.ephemeral import handedOut
from loopbackd.peer.netlink import SocketDiag
from loopbackd.watching.events import Event
from loopbackd.watching.looking import Lookout
from loopbackd.watching.memory import Memory, memoryPath
from loopbackd.watching.rules import Rules
from loopbackd.watching.watch import Watch, Watched
from loopbackd.watchsettings import WatchSettings

_SAVED: Final = 5.0
"""Seconds between two writings of what was learned."""


class Seen(NamedTuple):
    """
    What one look of the daemon's came to.

    @ivar events: what is new.
    @ivar watched: who listens.
    @ivar counts: how many connections are open at each port.
    @ivar complaints: what is wrong with what was learned.
    """

    events: Sequence[Event]
    watched: Sequence[Watched]
    counts: Mapping[int, int]
    complaints: Sequence[str]


class Looks:
    """
    Looks, tells what is new, and remembers; for a thread, and one call at a time.

    @param environ: says where what is usual is remembered.
    @param learns: whatever is seen is all right.
    @param spent: the processor time of the thread, in seconds.
    @ivar ephemeral: the ports that this machine hands out.
    @ivar watch: what there is now.
    """

    def __init__(
        self,
        settings: WatchSettings,
        rules: Rules,
        environ: Mapping[str, str],
        learns: bool = False,
        spent: Callable[[], float] = time.thread_time,
    ) -> None:
        self._complaints: list[str] = []
        self.ephemeral = handedOut()
        self._lookout = Lookout(SocketDiag(), settings.connections, spent)
        self._memory = Memory(memoryPath(environ), self.ephemeral, self._complaints.append)
        self.watch = Watch(settings, rules, self._memory, learns, spent=spent)
        self._saved = float("-inf")

    def look(self, now: float) -> Seen:
        """
        Look once.

        @param now: seconds since the epoch.
        @raise OSError: nothing can be seen.
        @raise ValueError: what is seen makes no sense.
        """
        events = self.watch.saw(self._lookout.look(now), now)
        if not self._saved <= now < self._saved + _SAVED:
            self._saved = now
            self._memory.save()
        complaints = tuple(self._complaints)
        self._complaints.clear()
        return Seen(
            events,
            tuple(self.watch.watched.values()),
            dict(self.watch.connections.counts),
            complaints,
        )

    def close(self) -> None:
        """Look no more, and keep what was learned."""
        self._memory.save()
        self._lookout.close()
