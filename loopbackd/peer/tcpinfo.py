"""What the kernel knows of a TCP connection: C{struct tcp_info} (linux/tcp.h, tcp(7))."""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass
from typing import Final

from loopbackd.peer.sockdiag import TCPState

_TCP_INFO: Final = 11
_ROOM: Final = 512
_FIRST: Final = struct.Struct("=8B24I")
# What later kernels have behind it; an older one gives less.
_RATES: Final = struct.Struct("=4Q6IQ")
_NO_THRESHOLD: Final = 0x7FFFFFFF
_FLAGS: Final = ((1, "timestamps"), (2, "sack"), (4, "window scaling"), (8, "ecn"))
_STATES: Final = {int(state): state.name for state in TCPState}


@dataclass(frozen=True, slots=True)
class TCPInfo:
    """
    A TCP connection as its kernel sees it, from our side; times are in seconds.

    @ivar state: a name of L{TCPState}.
    @ivar options: what the two ends agreed on.
    @ivar roundTrip: the smoothed round-trip time, and C{variation} how much it differs.
    @ivar shortest: the shortest round trip seen; L{None} if unknown.
    @ivar timeout: after which something is sent again.
    @ivar window: how many segments may be on their way (the congestion window).
    @ivar threshold: where slow start ends; L{None} while there was no reason for one.
    @ivar segment: bytes of data in a segment we send.
    @ivar pathUnit: bytes of the largest packet the way takes.
    @ivar unacknowledged: segments on their way.
    @ivar retransmitted: segments that were sent more than once, ever.
    @ivar lost: segments that are thought to be lost.
    @ivar silence: since data last came.
    @ivar acknowledged: bytes the peer has confirmed; L{None} if unknown.
    @ivar received: bytes that came; L{None} if unknown.
    @ivar rate: bytes a second that lately arrived at the peer; L{None} if unknown.
    """

    state: str
    options: tuple[str, ...]
    roundTrip: float
    variation: float
    shortest: float | None
    timeout: float
    window: int
    threshold: int | None
    segment: int
    pathUnit: int
    unacknowledged: int
    retransmitted: int
    lost: int
    silence: float
    acknowledged: int | None
    received: int | None
    rate: int | None


def parseTCPInfo(data: bytes) -> TCPInfo:
    """
    Take C{struct tcp_info} apart, as much of it as is there.

    @raise ValueError: that is not even the part that every kernel gives.
    """
    if len(data) < _FIRST.size:
        raise ValueError(f"{len(data)} bytes are no tcp_info; it has {_FIRST.size} at least")
    one = _FIRST.unpack_from(data)
    more = data[_FIRST.size : _FIRST.size + _RATES.size]
    isNew = len(more) == _RATES.size
    late = _RATES.unpack(more) if isNew else ()
    shortest = late[7] if isNew else None
    return TCPInfo(
        state=_STATES.get(one[0], str(one[0])),
        options=tuple(name for bit, name in _FLAGS if one[5] & bit),
        roundTrip=one[23] / 1e6,
        variation=one[24] / 1e6,
        shortest=None if shortest is None or shortest == 0xFFFFFFFF else shortest / 1e6,
        timeout=one[8] / 1e6,
        window=one[26],
        threshold=None if one[25] >= _NO_THRESHOLD else one[25],
        segment=one[10],
        pathUnit=one[21],
        unacknowledged=one[12],
        retransmitted=one[31],
        lost=one[14],
        silence=one[19] / 1e3,
        acknowledged=late[2] if isNew else None,
        received=late[3] if isNew else None,
        rate=late[10] if isNew else None,
    )


def tcpInfoOf(sock: socket.socket) -> TCPInfo | None:
    """Ask the kernel; L{None} for what is not TCP, or is gone, or where it is not told."""
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        return None
    try:
        return parseTCPInfo(sock.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, _ROOM))
    except (OSError, ValueError):
        return None
