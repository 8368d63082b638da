"""
Who is at the other end of an accepted connection, decided before a byte of it is read.

A uid is a promise, so everything doubtful is *unknown*, with the reason, and callers refuse it
where it matters.  What is known is the **creator** of the peer's socket: a socket made as root
and used after C{setuid} stays root's, an inherited or passed one keeps its maker, and behind a
relay (C{ssh -L}, C{docker-proxy}, C{sudo}) stands the relay's uid.  Inside a user namespace
every other uid reads 65534.
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass
from typing import Final

from loopbackd.peer.netlink import SocketDiag, plainAddress
from loopbackd.peer.sockdiag import TCPState

_TCP_INFO: Final = 11  # linux/tcp.h; its first byte is the state
_CREDENTIALS: Final = struct.Struct("=iII")  # struct ucred: pid, uid, gid (unix(7))
_NOBODY: Final = 0xFFFFFFFF

# While our own end is ESTABLISHED or CLOSE_WAIT the peer's can only be in one of these.
_PEER_STATES: Final = frozenset({TCPState.ESTABLISHED, TCPState.FIN_WAIT1, TCPState.FIN_WAIT2})
_OWN_STATES: Final = frozenset({int(TCPState.ESTABLISHED), int(TCPState.CLOSE_WAIT)})


@dataclass(frozen=True, slots=True)
class PeerIdentity:
    """
    Who holds the other end of one connection.

    @ivar uid: L{None} when unknown.
    @ivar inode: the peer's socket (0: none to look for), which
        L{loopbackd.peer.process.findProcess} turns into a process.
    @ivar pid: known at once for Unix sockets alone.
    @ivar state: of the peer's socket: a name of L{TCPState}, C{CONNECTED} for Unix, or empty.
    @ivar reason: why C{uid} is unknown, in words for a log.
    """

    uid: int | None
    inode: int
    pid: int | None
    state: str
    reason: str


def identify(diag: SocketDiag | None, sock: socket.socket) -> PeerIdentity:
    """
    Identify the peer of a connected TCP or Unix socket; never raises, unknown comes with a reason.

    Call it when the connection is accepted and on the bare socket: below TLS, before reading.
    """
    try:
        family = sock.family
        if family == socket.AF_UNIX:
            return identifyUnix(sock)
        if family not in (socket.AF_INET, socket.AF_INET6):
            return _unknown(f"no way to identify a peer of address family {family}")
        if diag is None:
            return _unknown("socket diagnostics are not in use")
        return identifyTCP(diag, sock)
    except Exception as error:  # whatever went wrong, the door stays shut
        return _unknown(f"could not be identified: {error}")


def identifyTCP(diag: SocketDiag, sock: socket.socket) -> PeerIdentity:
    """
    Identify the peer of a TCP connection whose other end is on this machine; about 12 us.

    The peer's socket is the one whose local address is our remote one and the reverse.  The order
    matters: our own state is read *after* the look-up, because as long as our end is alive nobody
    else can have taken the peer's addresses, and not a moment longer.
    """
    try:
        local, remote = plainAddress(sock.getpeername()), plainAddress(sock.getsockname())
    except OSError as error:
        return _unknown(f"the connection is gone: {error.strerror}")
    try:
        row = diag.lookup(local, remote)
        ownState = sock.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, 1)[0]
    except (OSError, ValueError) as error:
        return _unknown(f"the kernel could not be asked: {diag.missing() or error}")
    if ownState not in _OWN_STATES:
        return _unknown("the connection was reset before it was identified")
    if row is None:
        return _unknown("the peer's socket is not on this machine")
    state = row.state
    if state not in _PEER_STATES or row.local != local or row.remote != remote:
        return _unknown(f"the kernel named another socket ({state.name})", state.name)
    if row.uid == 0 and row.inode == 0:
        # A closed socket without an owner also reads "0, 0": that is nobody, not root.
        return _unknown(f"the peer has closed its socket ({state.name})", state.name)
    return PeerIdentity(row.uid, row.inode, None, state.name, "")


def identifyUnix(sock: socket.socket) -> PeerIdentity:
    """
    Identify the peer of a Unix connection by C{SO_PEERCRED} (unix(7)): who called connect().

    For a client's own side it is who called listen().  C{pid} is L{None} when the peer is in
    another pid namespace.
    """
    try:
        raw = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        pid, uid, _ = _CREDENTIALS.unpack(raw)
    except (OSError, AttributeError, struct.error) as error:
        return _unknown(f"no peer credentials: {error}")
    if uid == _NOBODY:
        return _unknown("the socket has no peer")
    return PeerIdentity(uid, 0, pid if pid > 0 else None, "CONNECTED", "")


def _unknown(reason: str, state: str = "") -> PeerIdentity:
    return PeerIdentity(None, 0, None, state, reason)
