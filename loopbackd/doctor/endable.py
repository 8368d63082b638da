"""Whom to end for a port to be free, and who is not to be ended for it: decided, not done."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from loopbackd.doctor.checks.holding import (
    Looker,
    comingBack,
    stopping,
    stoppingOf,
    stoppingUnit,
)
from loopbackd.doctor.facts.holder import Holder, Holders
from loopbackd.hostport import joined
from loopbackd.peer.sockdiag import SocketRow


class NotEnded(Exception):
    """Somebody is not ended: they may not be, or are still there; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Ending:
    """
    What is to be done for addresses to be free.

    @ivar where: the addresses, in words.
    @ivar who: in words, with everybody who belongs to something else.
    @ivar sockets: the inodes that each of them has open, by pid.
    """

    where: str
    who: str
    sockets: Mapping[int, Collection[int]]

    def __str__(self) -> str:
        """What somebody is asked about."""
        return f"{self.where} is {self.who}"


def ending(
    rows: Sequence[SocketRow], holders: Holders, looker: Looker, ancestors: Collection[int]
) -> Ending:
    """
    Decide whom to end for listening sockets to be gone.

    @param ancestors: of whoever looks: ending them would end us first.
    @raise NotEnded: one of them may not be ended, so nobody is.
    """
    where = " and ".join(joined(*row.local) for row in rows)
    there = dict.fromkeys(holders[row.inode] for row in rows if row.inode in holders)
    who = " and ".join(map(_named, there)) or "the kernel's own"
    found: dict[int, set[int]] = {}
    try:
        for row in rows:
            if row.inode not in holders:
                raise NotEnded(f"{joined(*row.local)} is no process's: look in the kernel (NFS)")
            for pid in whoToEnd(holders[row.inode], looker, ancestors):
                found.setdefault(pid, set()).add(row.inode)
    except NotEnded as error:
        raise NotEnded(f"{where} is {who}; {error}") from None
    return Ending(where, who, found)


def whoToEnd(holder: Holder, looker: Looker, ancestors: Collection[int]) -> tuple[int, ...]:
    """
    The processes that are to be ended for a listening socket to be gone.

    @raise NotEnded: it is no use, or not ours to do.
    """
    process = holder.process
    if holder.isSystemds:
        how = stoppingUnit(holder) or "systemctl list-sockets, and stop that unit"
        raise NotEnded(f"systemd would start it again: {how}")
    if process is None:
        if looker.uid in (0, holder.uid):
            raise NotEnded("its process cannot be seen from here: look in containers")
        raise NotEnded(f"it is another user's ({holder.user}): do it as that user, or with sudo")
    if stop := stopping(holder, looker):
        again = comingBack(holder)
        raise NotEnded(f"{again or 'stop what it belongs to, not the process alone'}: {stop}")
    for pid in holder.pids:
        if pid == 1 or pid == looker.pid or pid in ancestors:
            raise NotEnded(f"pid {pid} is what this command runs in: end it by hand")
    for one in holder.apart:
        if stop := stoppingOf(one.belonging, looker):
            raise NotEnded(f"{one}, which has the socket, too, belongs to something else: {stop}")
    return holder.pids


def _named(holder: Holder) -> str:
    """Nobody is ended as one of a number who does not belong to whom is named."""
    return f"{holder}{''.join(f', with {one}' for one in holder.apart)}"
