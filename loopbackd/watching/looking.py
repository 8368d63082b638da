"""
One look at this machine's sockets after another, each as cheap as it can be.

Everything here asks the kernel and reads C{/proc}: call it in a thread, from one at a time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from loopbackd.peer.netlink import SocketDiag
from loopbackd.peer.sockdiag import CONNECTED, SocketRow, TCPState
from loopbackd.watching.counters import Counters, counters
from loopbackd.watching.listeners import Listeners, listenersIn
from loopbackd.watching.pace import Pace

SHARE: Final = 0.004
"""Of a core: what looking at the connections may cost, and as much again the listeners."""

_LISTENING: Final = (TCPState.LISTEN,)
_LONGEST: Final = 15.0
"""Seconds until there is another look whatever it costs: a C{TIME_WAIT} is there for 60."""


class Look(NamedTuple):
    """
    What was seen.

    @ivar listeners: L{None} where it is not time to look again.
    @ivar sockets: those of connections, as L{SocketDiag.table} has them; L{None} where nothing has
        changed, or it is not time to look again.
    @ivar counted: by the kernel; L{None} where it does not say.
    """

    listeners: Listeners | None
    sockets: Mapping[bytes, SocketRow] | None
    counted: Counters | None


class Lookout:
    """
    Looks at the sockets of this machine.

    @param diag: for this alone.
    @param withConnections: look at connections, too.
    @param spent: the processor time of this thread, in seconds.
    """

    def __init__(
        self,
        diag: SocketDiag,
        withConnections: bool,
        spent: Callable[[], float] = time.thread_time,
        count: Callable[[], Counters | None] = counters,
    ) -> None:
        self._diag = diag
        self._withConnections = withConnections
        self._spent = spent
        self._count = count
        self._listening: Mapping[bytes, SocketRow] = {}
        self._listeners: Listeners | None = None
        self._sockets: Mapping[bytes, SocketRow] = {}
        self._counted: Counters | None = None
        self._listenerPace = Pace(SHARE, _LONGEST)
        self._connectionPace = Pace(SHARE, _LONGEST)

    def look(self, now: float) -> Look:
        """
        Look at what it is time to look at.

        @param now: seconds on any clock, the same each time.
        @raise OSError: the kernel cannot be asked.
        @raise ValueError: its answer makes no sense.
        """
        listeners = self._lookAtListeners(now) if self._listenerPace.isDue(now) else None
        counted = self._count()
        sockets = None
        hasChanged = counted is None or counted != self._counted
        if self._withConnections and hasChanged and self._connectionPace.isDue(now):
            # Counted before the look: what comes during it is a reason for another one.
            self._counted = counted
            sockets = self._lookAtConnections(now)
        return Look(listeners, sockets, counted)

    def close(self) -> None:
        """Look no more."""
        self._diag.close()

    def _lookAtListeners(self, now: float) -> Listeners:
        began = self._spent()
        before, self._listening = self._listening, self._diag.table(self._listening, _LISTENING)
        if self._listeners is None or before.keys() != self._listening.keys():
            self._listeners = listenersIn(self._listening.values())
        self._listenerPace.took(self._spent() - began, now)
        return self._listeners

    def _lookAtConnections(self, now: float) -> Mapping[bytes, SocketRow]:
        began = self._spent()
        self._sockets = self._diag.table(self._sockets, CONNECTED)
        self._connectionPace.took(self._spent() - began, now)
        return self._sockets
