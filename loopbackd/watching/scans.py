"""
Who touches many ports in a short time.

What the kernel still knows of a connection decides what is seen: whoever has it open is known, of
one that is over there is at most a C{TIME_WAIT} without an owner, and of one that was refused
nothing but a count.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from loopbackd.peer.sockdiag import Address
from loopbackd.watching.connections import Touch

LIMIT: Final = 4096
"""How many touches of one user are kept."""

_USERS: Final = 256


@dataclass(frozen=True, slots=True)
class Scan:
    """
    Many ports touched by one process, or by somebody of whom less is known.

    @ivar uid: L{None} where the sockets were closed before anybody looked.
    @ivar pid: L{None} where it cannot be seen.
    @ivar inode: one of its sockets; 0 where there is none any more.
    @ivar ports: in order.
    """

    uid: int | None
    pid: int | None
    inode: int
    ports: tuple[int, ...]


class Scans:
    """
    Finds port scans among the touches of the last seconds, and each of them once.

    @param ports: so many different ones are a scan.
    @param seconds: if they are touched within that time.
    """

    def __init__(self, ports: int, seconds: float) -> None:
        self._ports = ports
        self._seconds = seconds
        self._touches: dict[int | None, deque[tuple[float, Touch]]] = {}
        self._told: set[tuple[int | None, int | None]] = set()

    def saw(self, touched: Iterable[Touch], now: float) -> None:
        """Take these into account."""
        for touch in touched:
            if touch.uid not in self._touches and len(self._touches) >= _USERS:
                continue
            kept = self._touches.setdefault(touch.uid, deque(maxlen=LIMIT))
            kept.append((now, touch))

    def suspects(self, now: float) -> dict[int, int]:
        """
        The sockets that one would have to know the processes of.

        @return: the owner's uid for each inode; none as long as nobody touches too much.
        """
        self._forget(now)
        return {
            touch.inode: uid
            for uid, touched in self._touches.items()
            if uid is not None and self._isMany(touch for _, touch in touched)
            for _, touch in touched
            if touch.inode
        }

    def found(
        self,
        pids: Mapping[int, int],
        owner: Callable[[Address], int | None] = lambda address: None,
        ourselves: int | None = None,
    ) -> list[Scan]:
        """
        The scans that were not told of before.

        @param pids: the processes of the suspects' sockets that can be seen, by inode.
        @param owner: the process that listens at an address: nobody scans oneself.
        @param ourselves: the process whose connections are nobody's business.
        """
        scans = []
        going = set()
        for uid, touched in self._touches.items():
            by: dict[int | None, list[Touch]] = {}
            for _, touch in touched:
                pid = pids.get(touch.inode) if touch.inode else None
                if pid is None or (pid != ourselves and owner(touch.server) != pid):
                    by.setdefault(pid, []).append(touch)
            for pid, their in by.items():
                if not self._isMany(their):
                    continue
                going.add((uid, pid))
                if (uid, pid) not in self._told:
                    ports = tuple(sorted({touch.server[1] for touch in their}))
                    inode = next((one.inode for one in their if one.inode), 0)
                    scans.append(Scan(uid, pid, inode, ports))
        self._told = going
        return scans

    def _isMany(self, touched: Iterable[Touch]) -> bool:
        return len({touch.server[1] for touch in touched}) >= self._ports

    def _forget(self, now: float) -> None:
        for uid, touched in list(self._touches.items()):
            while touched and not _isWithin(touched[0][0], now, self._seconds):
                touched.popleft()
            if not touched:
                del self._touches[uid]


class Refusals:
    """
    Finds out when many attempts to connect come to nothing, and tells it once.

    @param most: so many are many.
    @param seconds: if they are within that time.
    """

    def __init__(self, most: int, seconds: float) -> None:
        self._most = most
        self._seconds = seconds
        self._counts: deque[tuple[float, int]] = deque(maxlen=LIMIT)
        self._last: int | None = None
        self._isTold = False

    def counted(self, failed: int, now: float) -> int:
        """
        Take the kernel's count of failed attempts into account.

        @return: how many there were in that time, when it is to be told; otherwise 0.
        """
        more, self._last = failed - (failed if self._last is None else self._last), failed
        if more > 0:
            self._counts.append((now, more))
        while self._counts and not _isWithin(self._counts[0][0], now, self._seconds):
            self._counts.popleft()
        many = sum(count for _, count in self._counts)
        wasTold, self._isTold = self._isTold, many >= self._most
        return many if self._isTold and not wasTold else 0


def _isWithin(moment: float, now: float, seconds: float) -> bool:
    """Whether it is one of the last seconds; none is to come, but where a clock was put back."""
    return now - seconds < moment <= now
