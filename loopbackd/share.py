"""One user's share of the connections, counted only while it could be used up."""

from __future__ import annotations

from collections import Counter

from loopbackd.connection import Connection
from loopbackd.connections import Connections


class Share:
    """
    Holds each user to so many open connections, of one service or of all.

    Nobody can have more than so many while there are not so many in all: until then nobody's uid is
    asked for.  From then on everybody's is, those of the connections that are there first.

    @param connections: the live table.
    @param service: the service whose connections count; L{None} for those of all.
    @ivar limit: how many one user may have; can be changed at any time.
    """

    def __init__(self, connections: Connections, service: str | None, limit: int) -> None:
        self.limit = limit
        self._connections = connections
        self._service = service
        self._counting = False
        self._ofUid: Counter[int | None] = Counter()
        self._left = (self.left,)

    def isCrowded(self) -> bool:
        """Whether one user could have reached the limit, so that it matters who comes next."""
        if not self._counting and self._open() >= self.limit:
            self._counting = True
            for connection in self._connections:
                if self._service in (None, connection.service):
                    self._count(connection)
        return self._counting

    def isUsedUp(self, uid: int | None) -> bool:
        """Whether a user, or all who are unknown together, may have no more."""
        return self._ofUid[uid] >= self.limit

    def entered(self, connection: Connection) -> None:
        """One more is open."""
        if self._counting:
            self._count(connection)

    def _open(self) -> int:
        if self._service is None:
            return len(self._connections)
        return self._connections.totals(self._service).open

    def _count(self, connection: Connection) -> None:
        # A share that was there before a reload may still count it as well.
        connection.whenEnded += self._left
        self._ofUid[_uidOf(connection)] += 1

    def left(self, connection: Connection) -> None:
        """One has ended that was counted."""
        if not self._counting:
            return
        uid = _uidOf(connection)
        self._ofUid[uid] -= 1
        if not self._ofUid[uid]:
            del self._ofUid[uid]
        if self._open() < self.limit // 2:
            self._counting = False
            self._ofUid.clear()
            for one in self._connections:
                one.whenEnded = tuple(call for call in one.whenEnded if call != self.left)


def _uidOf(connection: Connection) -> int | None:
    return None if connection.peer is None else connection.peer.uid
