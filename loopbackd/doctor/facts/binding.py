"""Whether an address can be listened on, by trying the half of it that nobody notices."""

from __future__ import annotations

import errno
import socket


def bindError(host: str, port: int, v6only: bool = True) -> int:
    """
    The C{errno} of binding a socket there, as a server with C{SO_REUSEADDR} does; 0 where it works.

    The socket does not listen, so that no client gets to it, and is closed at once.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, v6only)
            probe.bind((host, port))
    except OSError as error:
        return error.errno or errno.EINVAL
    return 0
