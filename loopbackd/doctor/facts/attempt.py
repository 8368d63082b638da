"""
One attempt to connect, as a client makes it, with what became of it.

Whoever is there sees a connection that says nothing and ends.  Never attempt a port where a Java
debugger listens: it takes one connection, and then no other (JDWP).
"""

from __future__ import annotations

import errno
import os
import select
import socket
import time
from dataclasses import dataclass
from typing import Final

from loopbackd.peer.netlink import SocketDiag, plainAddress

PATIENCE: Final = 1.5
"""Seconds until no answer is an answer; on loopback one takes a tenth of a millisecond."""

_ACCEPTING: Final = 1.0
_HEARING: Final = 0.2
_STEP: Final = 0.02


@dataclass(frozen=True, slots=True)
class Attempt:
    """
    What became of a connection to one address.

    @ivar host: an IP address.
    @ivar error: the C{errno} of connect(2); 0 where it worked, C{ETIMEDOUT} where nothing came in
        L{PATIENCE} seconds.
    @ivar seconds: how long connecting took.
    @ivar accepted: whether whoever listens has taken it within a second; L{None} where that cannot
        be seen, since only the kernel of this machine tells.
    @ivar greeting: what was said to us before we said anything.
    @ivar ended: whether the other end hung up at once: C{end}, C{reset} or empty.
    """

    host: str
    port: int
    error: int = 0
    seconds: float = 0.0
    accepted: bool | None = None
    greeting: bytes = b""
    ended: str = ""

    @property
    def reason(self) -> str:
        """The name of the error, and what it says; empty where it worked."""
        if not self.error:
            return ""
        return f"{errno.errorcode.get(self.error, self.error)}: {os.strerror(self.error)}"


def attempt(diag: SocketDiag, host: str, port: int) -> Attempt:
    """
    Connect, see whether somebody takes the connection and says something, and hang up.

    Takes up to L{PATIENCE} seconds, and a second more; never raises for what goes wrong.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    began = time.monotonic()
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        sock.setblocking(False)
        error = _connect(sock, (host, port))
        seconds = time.monotonic() - began
        if error:
            return Attempt(host, port, error, seconds)
        accepted = _accepted(diag, sock)
        greeting, ended = _hear(sock) if accepted is not False else (b"", "")
        return Attempt(host, port, 0, seconds, accepted, greeting, ended)


def _connect(sock: socket.socket, address: tuple[str, int]) -> int:
    try:
        error = sock.connect_ex(address)
    except socket.gaierror:
        # A zone that there is not; its number is no errno.
        return errno.ENODEV
    except (OSError, OverflowError) as refused:
        return getattr(refused, "errno", None) or errno.EINVAL
    if error != errno.EINPROGRESS:
        return error
    if not _wait(sock, select.POLLOUT, PATIENCE):
        return errno.ETIMEDOUT
    return sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)


def _accepted(diag: SocketDiag, sock: socket.socket) -> bool | None:
    """The other end has an inode from when accept(2) gave it a descriptor."""
    try:
        here, there = plainAddress(sock.getsockname()), plainAddress(sock.getpeername())
        for _ in range(round(_ACCEPTING / _STEP)):
            row = diag.lookup(there, here)
            if row is None or row.local != there or row.remote != here:
                return None
            if row.inode or _wait(sock, select.POLLIN, _STEP):
                return True
    except (OSError, ValueError):
        return None
    return False


def _hear(sock: socket.socket) -> tuple[bytes, str]:
    if not _wait(sock, select.POLLIN, _HEARING):
        return b"", ""
    try:
        heard = sock.recv(256)
    except ConnectionResetError:
        return b"", "reset"
    except OSError:
        return b"", ""
    return heard, "" if heard else "end"


def _wait(sock: socket.socket, event: int, seconds: float) -> bool:
    poll = select.poll()
    poll.register(sock, event)
    return bool(poll.poll(seconds * 1000))
