"""
The kernel's socket diagnostics as values: questions to bytes, bytes to rows.

Nothing here does I/O; L{loopbackd.peer.netlink} carries the bytes.  Shapes are from
C{linux/netlink.h}, C{linux/inet_diag.h} and sock_diag(7); the questions go to
C{NETLINK_SOCK_DIAG} and the answers are never trusted about their own lengths.
"""

from __future__ import annotations

import os
import struct
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from socket import AF_INET, AF_INET6, IPPROTO_TCP, htons, inet_ntop, inet_pton, ntohs
from typing import Final, NamedTuple

Address = tuple[str, int]
"""A host in its shortest text form (IPv4 even where the kernel says v4-mapped) and a port."""


class TCPState(IntEnum):
    """The state of a TCP socket (C{net/tcp_states.h})."""

    ESTABLISHED = 1
    SYN_SENT = 2
    SYN_RECV = 3
    FIN_WAIT1 = 4
    FIN_WAIT2 = 5
    TIME_WAIT = 6
    CLOSE = 7
    CLOSE_WAIT = 8
    LAST_ACK = 9
    LISTEN = 10
    CLOSING = 11
    NEW_SYN_RECV = 12
    BOUND_INACTIVE = 13
    """Asked for, to see sockets that are bound but neither listen nor connect; such rows say CLOSE.
    Linux before 6.8 does not know it and does not show them."""


ALL_STATES: Final = frozenset(TCPState)

CONNECTED: Final = ALL_STATES - {TCPState.LISTEN, TCPState.CLOSE, TCPState.BOUND_INACTIVE}
"""The states of sockets that have another end, or had one a moment ago."""

LOOPBACK_INTERFACE: Final = 1
"""The number of C{lo}, in every network namespace (C{net/flow.h})."""

ADDRESSES: Final = slice(2, 42)
"""The part of a key of L{parseTable} that is a socket's addresses, whatever its state."""

_ENTRY: Final = 20  # SOCK_DIAG_BY_FAMILY, both of the question and of a row
_ERROR: Final = 2
_DONE: Final = 3
_REQUEST: Final = 0x1
_MULTI: Final = 0x2
_DUMP: Final = 0x300
_V6ONLY: Final = 11  # INET_DIAG_SKV6ONLY
_CGROUP: Final = 21  # INET_DIAG_CGROUP_ID

_HEADER: Final = struct.Struct("=IHHII")  # nlmsghdr: length, type, flags, sequence, port id
_QUESTION: Final = struct.Struct("=IHHIIBBBxIHH16s16sIII")  # nlmsghdr + inet_diag_req_v2
_ROW: Final = struct.Struct("=BBxxHH16s16sI8xIIIII")  # inet_diag_msg
_ERRNO: Final = struct.Struct("=i")
_ATTRIBUTE: Final = struct.Struct("=HH")
_INET: Final = int(AF_INET)
_INET6: Final = int(AF_INET6)
_TCP: Final = int(IPPROTO_TCP)
_NO_COOKIE: Final = 0xFFFFFFFF
_MAPPED: Final = bytes(10) + b"\xff\xff"
_NOWHERE: Final = bytes(16)
_STATES: Final = {int(state): state for state in TCPState}


class DiagError(OSError):
    """The kernel refused the question; C{errno} says why (C{ENOENT}: no such socket)."""

    def __init__(self, number: int) -> None:
        super().__init__(number, os.strerror(number))


@dataclass(frozen=True, slots=True)
class SocketRow:
    """
    One TCP socket of this machine, as the kernel describes it (C{struct inet_diag_msg}).

    @ivar uid: the creator's; 0 with C{inode} 0 means nobody: the socket has no owner any more.
    @ivar expires: the time left of the running timer in seconds (how long a C{TIME_WAIT} still
        lasts).
    @ivar v6only: known for C{AF_INET6} sockets that listen or are only bound.
    @ivar received: bytes that nobody has read yet; of a listener, how many connections nobody has
        accepted yet.
    @ivar unsent: bytes that the peer has not confirmed; of a listener, its backlog: one connection
        more than that can wait.
    @ivar interface: the number of the one it is bound to (C{SO_BINDTODEVICE}); 0 for none.
    @ivar cgroup: of a listener, or of one that is only bound: the inode of the control group's
        directory it was made in; 0 where the kernel does not say.
    """

    state: TCPState
    local: Address
    remote: Address
    uid: int
    inode: int
    expires: float
    v6only: bool = False
    received: int = 0
    unsent: int = 0
    cgroup: int = 0
    interface: int = 0


class Reply(NamedTuple):
    """What one read from the kernel said: its rows, and whether that was the last of them."""

    rows: list[SocketRow]
    finished: bool


def exactRequest(family: int, local: Address, remote: Address, sequence: int) -> bytes:
    """
    Ask for the one socket with these addresses (or the listener they would reach).

    @param family: what both hosts must be of.
    @raise ValueError: for a host that is no address of that family, or a port out of range.
    """
    return _QUESTION.pack(
        _QUESTION.size, _ENTRY, _REQUEST, sequence, 0,
        family, _TCP, 0, _NO_COOKIE,
        _packPort(local[1]), _packPort(remote[1]),
        _packHost(family, local[0]), _packHost(family, remote[0]),
        0, _NO_COOKIE, _NO_COOKIE,
    )  # fmt: skip


def dumpRequest(
    family: int, states: Iterable[TCPState], sequence: int, localPort: int = 0
) -> bytes:
    """
    Ask for every socket of a family in one of these states.

    @param localPort: only those on it, if not 0; the kernel ignores it for sockets that are only
        bound, so look at the rows too.
    """
    mask = 0
    for state in states:
        mask |= 1 << state
    return _QUESTION.pack(
        _QUESTION.size, _ENTRY, _REQUEST | _DUMP, sequence, 0,
        family, _TCP, 0, mask,
        _packPort(localPort), _packPort(0), _NOWHERE, _NOWHERE,
        0, _NO_COOKIE, _NO_COOKIE,
    )  # fmt: skip


def parseReply(data: bytes, sequence: int) -> Reply:
    """
    Read the messages of one datagram.

    @param sequence: of the question; messages of another are stale and left out.
    @raise DiagError: when the kernel answered with an error.
    @raise ValueError: when the bytes are not what the kernel sends, saying what was wrong.
    """
    rows: list[SocketRow] = []
    offset, end = 0, len(data)
    finished = False
    while offset < end:
        if end - offset < _HEADER.size:
            raise ValueError(f"netlink message cut short: {end - offset} bytes of a header")
        length, kind, flags, found, _ = _HEADER.unpack_from(data, offset)
        if length < _HEADER.size or length > end - offset:
            raise ValueError(f"netlink message of {length} bytes in {end - offset}")
        body, stop = offset + _HEADER.size, offset + length
        offset += (length + 3) & ~3
        if found != sequence:
            continue
        if kind == _ENTRY:
            rows.append(_parseRow(data, body, stop))
            finished = finished or not flags & _MULTI
        elif kind in (_ERROR, _DONE):
            _raiseStatus(kind, data, body, stop)
            finished = True
        else:
            raise ValueError(f"netlink message of unknown type {kind}")
    return Reply(rows, finished)


def parseTable(
    data: bytes, sequence: int, before: Mapping[bytes, SocketRow], into: dict[bytes, SocketRow]
) -> bool:
    """
    Read the messages of one datagram, the rows of sockets that were there before not again.

    A row is of the moment it was first read: its timer and its queues stay what they were then,
    while who has it, its addresses and its state are what they are now.

    @param before: what this function has found the last time.
    @param into: where the rows go, each by what makes it this socket.
    @return: whether that was the last of them.
    @raise DiagError: as L{parseReply}.
    @raise ValueError: as L{parseReply}.
    """
    offset, end = 0, len(data)
    unpack, header = _HEADER.unpack_from, _HEADER.size
    while offset < end:
        if end - offset < header:
            raise ValueError(f"netlink message cut short: {end - offset} bytes of a header")
        length, kind, flags, found, _ = unpack(data, offset)
        stop = offset + length
        if kind != _ENTRY or length < header + _ROW.size or stop > end or not flags & _MULTI:
            # The end, an error, or what makes no sense.
            return parseReply(data[offset:], sequence).finished
        if found == sequence:
            body = offset + header
            # Family and state; ports, addresses, interface, cookie; uid and inode.
            key = data[body : body + 2] + data[body + 4 : body + 52] + data[body + 64 : body + 72]
            row = before.get(key)
            into[key] = _parseRow(data, body, stop) if row is None else row
        offset += (length + 3) & ~3
    return False


def _raiseStatus(kind: int, data: bytes, body: int, stop: int) -> None:
    if stop - body < _ERRNO.size:
        if kind == _DONE:
            return
        raise ValueError(f"netlink error of {stop - body} bytes")
    number = -_ERRNO.unpack_from(data, body)[0]
    if number > 0:
        raise DiagError(number)


def _parseRow(data: bytes, body: int, stop: int) -> SocketRow:
    if stop - body < _ROW.size:
        raise ValueError(f"socket row of {stop - body} bytes, wanted {_ROW.size}")
    (
        family, number, localPort, remotePort, local, remote, interface,
        expires, received, unsent, uid, inode,
    ) = _ROW.unpack_from(data, body)  # fmt: skip
    state = _STATES.get(number)
    if state is None:
        raise ValueError(f"socket row in unknown state {number}")
    if family not in (_INET, _INET6):
        raise ValueError(f"socket row of unknown family {family}")
    v6only, cgroup = False, 0
    if state is TCPState.LISTEN or state is TCPState.CLOSE:
        for kind, value in _attributes(data, body + _ROW.size, stop):
            if kind == _V6ONLY and value:
                v6only = value[0] != 0
            elif kind == _CGROUP:
                cgroup = int.from_bytes(value[:8], sys.byteorder)
    return SocketRow(
        state,
        (_unpackHost(family, local), ntohs(localPort)),
        (_unpackHost(family, remote), ntohs(remotePort)),
        uid,
        inode,
        expires / 1000,
        v6only,
        received,
        unsent,
        cgroup,
        interface,
    )


def _attributes(data: bytes, offset: int, stop: int) -> Iterator[tuple[int, bytes]]:
    while stop - offset >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(data, offset)
        if length < _ATTRIBUTE.size or length > stop - offset:
            raise ValueError(f"socket attribute of {length} bytes in {stop - offset}")
        yield kind, data[offset + _ATTRIBUTE.size : offset + length]
        offset += (length + 3) & ~3


def _packHost(family: int, host: str) -> bytes:
    try:
        return inet_pton(family, host)  # struct pads it
    except (OSError, ValueError):
        raise ValueError(f"{host!r} is not an address of family {family}") from None


def _unpackHost(family: int, packed: bytes) -> str:
    if family == _INET:
        return inet_ntop(_INET, packed[:4])
    if packed.startswith(_MAPPED):
        return inet_ntop(_INET, packed[12:])
    return inet_ntop(_INET6, packed)


def _packPort(port: int) -> int:
    try:
        return htons(port)
    except OverflowError:
        raise ValueError(f"port {port} is not in 0..65535") from None
