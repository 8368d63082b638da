"""Whose the server is that a connection of ours has reached, found out before anything is said."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Final

from loopbackd.peer.identity import PeerIdentity, identify
from loopbackd.peer.netlink import SocketDiag

_SOON: Final = 0.0002
_SELDOM: Final = 0.02
_GRACE: Final = 0.02
"""Seconds for which the kernel may not show a connection's other end, while it swaps sockets."""

_NOT_ACCEPTED: Final = frozenset({"ESTABLISHED", "SYN_RECV", "NEW_SYN_RECV", "LISTEN"})


def whoServes(
    diag: SocketDiag | None,
    sock: socket.socket,
    patience: float,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> PeerIdentity:
    """
    Who has accepted a connection that we have made; blocks, and never raises.

    Until it is accepted it is nobody's: the kernel gives a socket to who accepts it, who need not
    be who listens.  As everywhere, whoever made a socket is who it is of.

    @param patience: seconds to wait for that.
    """
    start = now()
    pause = _SOON
    while True:
        who = identify(diag, sock)
        if who.inode or sock.family == socket.AF_UNIX or diag is None or diag.missing():
            return who
        waited = now() - start
        if who.state not in _NOT_ACCEPTED and waited >= _GRACE:
            return who if who.uid is None else _nobody("it has closed the connection", who.state)
        if waited >= patience:
            return _nobody(f"nobody has accepted the connection within {patience:g} s", "WAITING")
        sleep(min(pause, max(patience - waited, 0)))
        pause = min(pause * 2, _SELDOM)


def _nobody(reason: str, state: str) -> PeerIdentity:
    return PeerIdentity(None, 0, None, state, reason)
