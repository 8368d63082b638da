"""Whether who listens takes the connections that come, and keeps them."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from typing import Final

from loopbackd.doctor.facts.attempt import Attempt
from loopbackd.doctor.facts.holder import Holder, Holders, nameOf
from loopbackd.doctor.facts.sockets import Sockets
from loopbackd.doctor.finding import Finding, Severity
from loopbackd.hostport import joined
from loopbackd.peer.sockdiag import SocketRow

_STOPPED: Final = "Tt"
_HANGING_UP: Final = {
    False: (
        "a forwarder (docker-proxy, ssh -L, kubectl port-forward) does so when nobody listens"
        " behind it: look at the port on the other side",
        "or it lets in nobody but certain users or addresses: see its log",
    ),
    True: (
        "see what loopbackd serves there: loopbackd service list",
        "a relay does so when nobody listens at its target, a tripwire always, a service with"
        " allow_uids for other users: its log says which",
    ),
}
"""What to do about it: with any server, and with loopbackd itself."""
_LOOK: Final = "see what it does: it is busy, blocked or deadlocked (py-spy dump, jstack, gdb)"


def checkAccepting(
    there: Sockets, attempts: Sequence[Attempt], holders: Holders
) -> Iterator[Finding]:
    """Whether whoever listens takes the connections that come."""
    for one in attempts:
        row = there.reachedAt(one.host)
        if row is not None and _isStuck(one, row):
            yield _stuck(one, row, nameOf(row, holders), holders.get(row.inode))
            return


def checkHangingUp(
    there: Sockets, attempts: Sequence[Attempt], holders: Holders
) -> Iterator[Finding]:
    """Whether the other end hangs up before anything was said."""
    for one in attempts:
        if not one.ended or one.greeting:
            continue
        row = there.reachedAt(one.host)
        name = "whoever listens" if row is None else nameOf(row, holders)
        how = "resets" if one.ended == "reset" else "closes"
        holder = None if row is None else holders.get(row.inode)
        yield Finding(
            "hangs-up",
            Severity.WARNING,
            f"{name} takes connections and {how} them before anything was said.",
            (f"{joined(one.host, one.port)}: {one.ended} after connecting",),
            _HANGING_UP[holder is not None and holder.isDaemon],
        )
        return


def _isStuck(one: Attempt, row: SocketRow) -> bool:
    if one.error:
        return one.error == errno.ETIMEDOUT and _isFull(row)
    return one.accepted is False


def _isFull(row: SocketRow) -> bool:
    return row.received > row.unsent


def _stuck(one: Attempt, row: SocketRow, name: str, holder: Holder | None) -> Finding:
    """Why somebody listens and does not accept."""
    waiting = f"connections that wait: {row.received}; the backlog is {row.unsent}"
    evidence = f"{joined(*row.local)}: {waiting}"
    if holder is not None and holder.state and holder.state in _STOPPED:
        return Finding(
            "listener-stopped",
            Severity.PROBLEM,
            f"{name} listens, and is stopped: nobody takes the connections.",
            (evidence, f"the process is in state {holder.state} (proc(5))"),
            _goingOn(holder),
            95,
        )
    if _isFull(row):
        return Finding(
            "listener-overloaded",
            Severity.PROBLEM,
            f"{name} listens, and its queue is full: connections come faster than it accepts"
            " them, or it accepts none.",
            (evidence, f"connecting: {one.reason or 'taken by the kernel alone'}"),
            (
                _LOOK,
                "where it is only slow: a larger backlog in its listen() and in"
                " sysctl net.core.somaxconn",
            ),
            90,
        )
    return Finding(
        "listener-silent",
        Severity.PROBLEM,
        f"{name} listens, and has not taken the connection in a second.",
        (evidence, f"connecting took {one.seconds * 1000:.1f} ms, by the kernel alone"),
        (_LOOK,),
        85,
    )


def _goingOn(holder: Holder) -> tuple[str, ...]:
    if holder.state == "t":
        return ("a debugger or strace holds it, at a breakpoint for one: let it go on there",)
    pid = "PID" if holder.process is None else holder.process.pid
    return (
        f"kill -CONT {pid}",
        "or fg, in the shell where Ctrl-Z was pressed; a debugger may have stopped it, too",
    )
