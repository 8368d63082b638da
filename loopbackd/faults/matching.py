"""Which connections a toxic may hit."""

from __future__ import annotations

import pwd
from fnmatch import fnmatchcase

from loopbackd.connection import Connection
from loopbackd.faultsettings import MatchSettings
from loopbackd.peer.identity import PeerIdentity
from loopbackd.peer.process import findProcess, holdsSocket, processOf


class Matcher:
    """
    Says of each new connection whether it is one of those; each is to be asked about once.

    A peer that nothing is known about is none of them. To know the command of a TCP peer, the
    processes of this machine are looked through, which may take a few milliseconds.

    @raise ValueError: there is no such user, or nothing to tell connections by.
    """

    def __init__(self, asked: MatchSettings) -> None:
        if asked == MatchSettings():
            raise ValueError(
                "match: it is empty; say which connections: uid, pid, command, nth or every"
            )
        self._asked = asked
        self._uid = _uidOf(asked.uid)
        self._count = 0

    def matches(self, connection: Connection) -> bool:
        """Whether this connection is one of those."""
        asked = self._asked
        if (self._uid, asked.pid, asked.command) != (None, None, None):
            peer = connection.peer
            if peer is None or not self._isPeer(peer):
                return False
        self._count += 1
        if asked.every is None:
            return asked.nth is None or self._count == asked.nth
        first = asked.every if asked.nth is None else asked.nth
        return self._count >= first and (self._count - first) % asked.every == 0

    def _isPeer(self, peer: PeerIdentity) -> bool:
        asked = self._asked
        if self._uid is not None and peer.uid != self._uid:
            return False
        if asked.pid is not None and not (
            peer.pid == asked.pid or (peer.inode and holdsSocket(asked.pid, peer.inode))
        ):
            return False
        return asked.command is None or _isRunBy(peer, asked.command)


def _isRunBy(peer: PeerIdentity, pattern: str) -> bool:
    if peer.uid is None:
        return False
    process = findProcess(peer.inode, peer.uid) if peer.pid is None else processOf(peer.pid)
    if process is None:
        return False
    program = process.command.split(" ")[0].rpartition("/")[2]
    return fnmatchcase(program, pattern) or fnmatchcase(process.command, pattern)


def _uidOf(who: int | str | None) -> int | None:
    if not isinstance(who, str):
        return who
    try:
        return pwd.getpwnam(who).pw_uid
    except (KeyError, ValueError):
        raise ValueError(
            f"match: uid: there is no user {who!r}; write a name of this machine's or a uid"
        ) from None
