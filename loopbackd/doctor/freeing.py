"""Ending whoever listens on a port, and nobody else."""

from __future__ import annotations

import os
import select
import signal
import socket
import time
from collections.abc import Callable, Collection, Sequence
from typing import Final

from loopbackd.doctor.checks.taken import Looker
from loopbackd.doctor.facts.holder import Holder, isSystemd
from loopbackd.peer.process import holdsSocket, stateOf

_AFTER_KILL: Final = 2.0
_UNTIL_FREE: Final = 1.0
_STEP: Final = 0.05


class NotEnded(Exception):
    """Somebody is not ended: they may not be, or are still there; the message says what to do."""


def whoToEnd(holder: Holder, looker: Looker, ancestors: Collection[int]) -> tuple[int, ...]:
    """
    The processes that are to be ended for a listening socket to be gone.

    @param ancestors: of whoever looks: ending them would end us first.
    @raise NotEnded: it is no use, or not ours to do.
    """
    process = holder.process
    if process is None:
        if looker.uid in (0, holder.uid):
            raise NotEnded("its process cannot be seen from here: look in containers")
        raise NotEnded(f"it is another user's ({holder.user}): do it as that user, or with sudo")
    if holder.isSystemds or isSystemd(process):
        raise NotEnded("systemd would start it again: systemctl list-sockets, and stop that unit")
    if holder.stopping:
        raise NotEnded(f"it would be started again; stop what it belongs to: {holder.stopping}")
    pids = (process.pid, *holder.others)
    for pid in pids:
        if pid == 1 or pid == looker.pid or pid in ancestors:
            raise NotEnded(f"pid {pid} is what this command runs in: end it by hand")
    return pids


def ancestorsOf(pid: int) -> set[int]:
    """The parent of a process, its parent, and so on."""
    found: set[int] = set()
    while (pid := stateOf(pid).parent) and pid not in found:
        found.add(pid)
    return found


def end(
    pids: Sequence[int],
    inode: int,
    patience: float,
    holds: Callable[[int, int], bool] = holdsSocket,
) -> list[int]:
    """
    Ask processes to end (C{SIGTERM}), and kill those that have not after a while.

    They are held by pidfds (pidfd_open(2)), and looked at again through those: a pid that has
    become another process's meanwhile is left alone.

    @param inode: the socket that they all have open.
    @param patience: seconds until they are killed.
    @return: those that were killed.
    @raise NotEnded: one may not be ended, or does not end.
    """
    opened: dict[int, int] = {}
    try:
        for pid in pids:
            try:
                opened[pid] = os.pidfd_open(pid)
            except ProcessLookupError:
                continue
            if not holds(pid, inode):
                os.close(opened.pop(pid))
        _send(opened, signal.SIGTERM)
        left = _wait(opened, patience)
        _send(left, signal.SIGKILL)
        if still := _wait(left, _AFTER_KILL):
            raise NotEnded(f"pid {min(still)} does not die: it waits for a device (state D)")
        return sorted(left)
    finally:
        for descriptor in opened.values():
            os.close(descriptor)


def becomesFree(host: str, port: int) -> bool:
    """Whether an address can be listened on, within a second."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for _ in range(round(_UNTIL_FREE / _STEP)):
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            try:
                probe.bind((host, port))
                probe.listen(1)
                return True
            except OSError:
                time.sleep(_STEP)
    return False


def _send(processes: dict[int, int], number: signal.Signals) -> None:
    for pid, descriptor in processes.items():
        try:
            signal.pidfd_send_signal(descriptor, number)
        except ProcessLookupError:
            continue
        except PermissionError:
            raise NotEnded(
                f"pid {pid} is not yours to end: do it as its user, or with sudo"
            ) from None


def _wait(processes: dict[int, int], seconds: float) -> dict[int, int]:
    """Those that have not ended by then."""
    left, until = dict(processes), time.monotonic() + seconds
    while left and (more := until - time.monotonic()) > 0:
        poll = select.poll()
        for descriptor in left.values():
            poll.register(descriptor, select.POLLIN)
        ended = {descriptor for descriptor, _ in poll.poll(more * 1000)}
        left = {pid: one for pid, one in left.items() if one not in ended}
    return left
