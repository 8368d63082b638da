"""
Asking the kernel about TCP sockets: one kept C{NETLINK_SOCK_DIAG} socket (sock_diag(7)).

The kernel answers inside C{send()}, so the answer is queued before the question returns:
every call here is synchronous and none can block.  No privilege is needed; another network
namespace is not visible.
"""

from __future__ import annotations

import errno
import os
import socket
import sys
from collections.abc import Callable, Iterable, Mapping
from itertools import count
from typing import Any, Final

from loopbackd.loglines import reasonOf
from loopbackd.peer.sockdiag import (
    ALL_STATES,
    Address,
    DiagError,
    SocketRow,
    TCPState,
    dumpRequest,
    exactRequest,
    parseReply,
    parseTable,
)

NETLINK_SOCK_DIAG: Final = 4
ROW_LIMIT: Final = 65536
"""How many rows one answer keeps, so that a machine full of C{TIME_WAIT} costs bounded memory."""

_LASTING: Final = frozenset(
    {errno.EPERM, errno.EACCES, errno.EPROTONOSUPPORT, errno.EAFNOSUPPORT, errno.ENOSYS}
)
_FAMILIES: Final = (socket.AF_INET, socket.AF_INET6)
_READ: Final = 65536
_MAPPED: Final = "::ffff:"


def _openSocket() -> socket.socket:
    if not sys.platform.startswith("linux"):
        raise OSError(errno.EAFNOSUPPORT, f"{sys.platform} has no NETLINK_SOCK_DIAG")
    flags = socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
    opened = socket.socket(socket.AF_NETLINK, flags, NETLINK_SOCK_DIAG)
    try:
        # Connected to port id 0: datagrams of anyone but the kernel are refused.
        opened.connect((0, 0))
    except OSError:
        opened.close()
        raise
    return opened


class SocketDiag:
    """
    The kernel's table of TCP sockets, open for questions.

    Keep one for the process and ask it from one thread only; a thread that wants to look on its
    own makes its own.  The socket is opened by the first question (or by L{missing}) and
    kept, so that questions can still be asked when file descriptors have run out.
    """

    def __init__(self, socketFactory: Callable[[], socket.socket] = _openSocket) -> None:
        self._socketFactory = socketFactory
        self._socket: socket.socket | None = None
        self._refusal: OSError | None = None
        self._sequences = count(int.from_bytes(os.urandom(3), "big") + 1)

    def missing(self) -> str | None:
        """
        Say why no question can be answered here, or L{None} when they can.

        Opens the socket; what will not change (not Linux, forbidden, not built into this kernel)
        is found out once and remembered.
        """
        try:
            self._open()
        except OSError as error:
            return reasonOf(error)
        return None

    def lookup(self, local: Address, remote: Address) -> SocketRow | None:
        """
        Find the socket with exactly these addresses, or the listener they would reach, or L{None}.

        Trust the row only after comparing its addresses and its state.  IPv4, IPv6 and v4-mapped
        addresses are found whatever the family of the socket.

        @raise OSError: when the kernel cannot be asked.
        @raise ValueError: for a host that is no IP address, or an answer that makes no sense.
        """
        opened = self._socket or self._open()
        local, remote = plainAddress(local), plainAddress(remote)
        family = socket.AF_INET6 if ":" in local[0] else socket.AF_INET
        sequence = next(self._sequences) & 0xFFFFFFFF
        request = exactRequest(family, local, remote, sequence)
        try:
            rows = self._ask(opened, request, sequence, 1)
        except DiagError as error:
            if error.errno == errno.ENOENT:
                return None
            raise
        return rows[0] if rows else None

    def rows(
        self,
        port: int | None = None,
        states: Iterable[TCPState] = ALL_STATES,
        limit: int = ROW_LIMIT,
    ) -> list[SocketRow]:
        """
        List the TCP sockets of both families, listeners first within a family.

        @param port: only those whose local port it is; by default all.
        @param states: only those in one of these.
        @param limit: how many rows of each family are kept.
        @raise OSError: as L{lookup}.
        @raise ValueError: as L{lookup}.
        """
        wanted = frozenset(states)
        found: list[SocketRow] = []
        for family in _FAMILIES:
            opened = self._socket or self._open()
            sequence = next(self._sequences) & 0xFFFFFFFF
            request = dumpRequest(family, wanted, sequence, port or 0)
            found.extend(self._ask(opened, request, sequence, limit, port))
        return found

    def table(
        self,
        before: Mapping[bytes, SocketRow],
        states: Iterable[TCPState],
        limit: int = ROW_LIMIT,
    ) -> dict[bytes, SocketRow]:
        """
        List the TCP sockets of both families as often as is wanted: of those that were there the
        last time next to nothing is read again, which costs a fifth of L{rows}.

        @param before: what this said the last time.
        @param states: only those in one of these.
        @param limit: how many rows are kept.
        @return: the rows, each by what makes it this socket in this state.
        @raise OSError: as L{lookup}.
        @raise ValueError: as L{lookup}.
        """
        wanted = frozenset(states)
        found: dict[bytes, SocketRow] = {}
        for family in _FAMILIES:
            opened = self._socket or self._open()
            sequence = next(self._sequences) & 0xFFFFFFFF
            opened.send(dumpRequest(family, wanted, sequence))
            try:
                finished = False
                while not finished:
                    into = found if len(found) < limit else {}
                    finished = parseTable(opened.recv(_READ), sequence, before, into)
            except ValueError:
                self._drain(opened)
                raise
        return found

    def close(self) -> None:
        """Give the socket back; a later question opens another."""
        opened, self._socket = self._socket, None
        if opened is not None:
            opened.close()

    def _open(self) -> socket.socket:
        if self._socket is not None:
            return self._socket
        if self._refusal is not None:
            raise self._refusal.with_traceback(None)  # the same one each time
        try:
            opened = self._socketFactory()
            try:
                self._probe(opened)
            except BaseException:
                opened.close()
                raise
        except OSError as error:
            if error.errno in _LASTING:
                self._refusal = error
            raise
        self._socket = opened
        return opened

    def _probe(self, opened: socket.socket) -> None:
        # A kernel without tcp_diag answers ENOENT to everything, which would read as "no such
        # socket"; a dump of no state at all tells the two apart and costs nothing.
        sequence = next(self._sequences) & 0xFFFFFFFF
        try:
            self._ask(opened, dumpRequest(socket.AF_INET, (), sequence), sequence, 0)
        except DiagError as error:
            if error.errno == errno.ENOENT:
                raise OSError(errno.EPROTONOSUPPORT, "this kernel has no tcp_diag") from None
            raise
        except ValueError as error:
            raise OSError(errno.EPROTONOSUPPORT, f"not a socket diagnosis: {error}") from None

    def _ask(
        self,
        opened: socket.socket,
        request: bytes,
        sequence: int,
        limit: int,
        port: int | None = None,
    ) -> list[SocketRow]:
        opened.send(request)
        kept: list[SocketRow] = []
        finished = False
        try:
            while not finished:
                rows, finished = parseReply(opened.recv(_READ), sequence)
                if port is not None:
                    rows = [row for row in rows if row.local[1] == port]
                kept.extend(rows[: limit - len(kept)])
        except ValueError:
            self._drain(opened)
            raise
        return kept

    def _drain(self, opened: socket.socket) -> None:
        # The kernel refuses a new dump (EBUSY) until the last one has been read to its end.
        try:
            while opened.recv(_READ):
                pass
        except OSError:
            pass


def plainAddress(address: Any) -> Address:
    """Turn what C{getpeername()} says into the form rows have: unmapped, without scope id."""
    host: str = address[0]
    port: int = address[1]
    if ":" in host:
        if host.startswith(_MAPPED) and "." in host:
            host = host[len(_MAPPED) :]
        host = host.partition("%")[0]
    return host, port
