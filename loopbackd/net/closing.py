"""How a socket is closed at once, as its peer sees it."""

from __future__ import annotations

import socket
import struct

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


def resetAndClose(sock: socket.socket) -> None:
    """Close a socket so that its peer sees a reset (SO_LINGER 0, socket(7)), not an end."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    except OSError:
        pass
    finally:
        sock.close()


def endAndClose(sock: socket.socket) -> None:
    """Close a socket so that its peer sees an end (FIN) first, also where it said more."""
    try:
        sock.shutdown(socket.SHUT_WR)
    except OSError:
        pass
    finally:
        sock.close()
