"""
How the last words of a connection survive a client that is still sending.

A kernel that closes a socket with unread input answers with a reset instead of an end (RFC 1122
section 4.2.2.13), and a client that is still sending then fails before it reads. So where input is
waiting, close only our own side, read away what comes, and leave when the client does.
"""

from __future__ import annotations

import fcntl
import termios
from typing import Any, Final

from twisted.internet.interfaces import ISSLTransport, ITransport

LINGER: Final = 2.0
"""Seconds a client has to read the last words and close."""

LINGER_BYTES: Final = 1 << 20
"""How much it may still send before it is cut off, unless a protocol expects more."""

_NOTHING: Final = bytes(4)


def hasUnreadInput(transport: ITransport) -> bool:
    """
    Whether closing the transport now would make the kernel reset it; one ioctl_tty(2) FIONREAD.

    False where there is no socket to ask. An end of file alone is not input.
    """
    # Under TLS it is the transport beneath that has a socket.
    bare: Any = getattr(transport, "transport", transport)
    try:
        handle = bare.getHandle()
        return fcntl.ioctl(handle, termios.FIONREAD, _NOTHING) != _NOTHING
    except (AttributeError, OSError, TypeError, ValueError):
        return False


def canHalfClose(transport: ITransport) -> bool:
    """
    Whether our own side alone can be closed without cutting off what was written.

    Not where Twisted's own TLS is on the transport: it says goodbye in its own words, and
    half-closing the socket would cut them off.
    """
    isTLS = ISSLTransport.providedBy(transport)
    return not isTLS or getattr(transport, "keepsHalfClose", False)
