"""Where a relay leads to: what an operator writes, taken apart."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from functools import cache
from typing import Final

from twisted.internet.interfaces import IStreamClientEndpointStringParserWithReactor
from twisted.plugin import getPlugins

from loopbackd.explaining import oneOf, shown
from loopbackd.net.dial import Address
from loopbackd.net.endpoint import leadsHere, split

_HOST_AND_PORT: Final = re.compile(
    r"(?:tcp:)?(?P<host>\[[0-9A-Fa-f:.]+(?:%[A-Za-z0-9._-]+)?\]|[A-Za-z0-9._-]+):(?P<port>\d+)"
)
_EXAMPLE: Final = "write for example 127.0.0.1:6379"
_LONGEST_PATH: Final = 107
_ARGUMENTS: Final = {
    "tcp": ("host", "port", "timeout", "bindAddress"),
    "unix": ("path", "timeout", "lockfile"),
}


@dataclass(frozen=True, slots=True)
class Target:
    """
    A target, taken apart.

    @ivar text: as it was written.
    @ivar addresses: where to connect to, one after the other, where nobody has to be asked.
    @ivar name: the host and the port where a name has to be resolved first.
    @ivar endpoint: the string of a client endpoint for anything else.
    """

    text: str
    addresses: tuple[Address, ...] = ()
    name: tuple[str, int] | None = None
    endpoint: str = ""

    def __str__(self) -> str:
        return self.text


def parseTarget(text: str) -> Target:
    """
    Take a target apart: C{host:port}, C{unix:/path}, or any client endpoint string of Twisted's.

    @raise ValueError: it is none; one line that names it and says what to write.
    """
    kinds = _kinds()
    found = _HOST_AND_PORT.fullmatch(text)
    if found is not None and found["host"] not in kinds:
        return _internet(text, found["host"], found["port"])
    parts = split(text)
    kind = parts[0][1]
    if len(parts) < 2 or kind not in kinds:
        if len(parts) > 1 and re.fullmatch("[a-z0-9]+", kind) and not parts[1][1].isdecimal():
            raise ValueError(
                f"target {shown(text)}: there is no kind {kind!r}; {oneOf(kind, kinds)}"
            )
        raise ValueError(f"target {shown(text)} is no address; {_EXAMPLE}")
    names = _ARGUMENTS.get(kind, ())
    given = dict(zip(names, (value for name, value in parts[1:] if not name), strict=False))
    given |= {name: value for name, value in parts[1:] if name}
    for name in given.keys() - set(names) if names else ():
        raise ValueError(
            f"target {shown(text)}: {kind} has no argument {shown(name)}; {oneOf(name, names)}"
        )
    if kind == "tcp" and given.keys() == {"host", "port"}:
        return _internet(text, given["host"], given["port"])
    if kind == "tcp" and not given.keys() >= {"host", "port"}:
        raise ValueError(f"target {shown(text)} has no host or no port; {_EXAMPLE}")
    if kind == "unix" and given.keys() == {"path"}:
        return _local(text, given["path"])
    return Target(text, endpoint=text)


@cache
def _kinds() -> list[str]:
    # Looked for once: that means a look at every directory there are modules in.
    found = {one.prefix for one in getPlugins(IStreamClientEndpointStringParserWithReactor)}
    return sorted(found | {"tcp", "unix", "ssl"})


def _internet(text: str, host: str, port: str) -> Target:
    if not port.isdecimal() or not port.isascii() or not 0 < int(port[:6]) < 65536:
        raise ValueError(f"target {shown(text)}: {shown(port)} is no port from 1 to 65535")
    number = int(port)
    bare = host.removeprefix("[").removesuffix("]")
    flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    try:
        found = socket.getaddrinfo(bare, number, type=socket.SOCK_STREAM, flags=flags)
    except (OSError, UnicodeError):
        if ":" in bare:
            raise ValueError(f"target {shown(text)}: {shown(host)} is no address") from None
    else:
        family, _, _, _, address = found[0]
        return Target(text, ((family, address),))
    if leadsHere(bare):
        # Never asked of a name server (RFC 6761 section 6.3); who listens on one need not on both.
        return Target(
            text,
            (
                (socket.AF_INET, ("127.0.0.1", number)),
                (socket.AF_INET6, ("::1", number, 0, 0)),
            ),
        )
    return Target(text, name=(bare, number))


def _local(text: str, path: str) -> Target:
    if not path or len(path.encode("utf-8", "surrogateescape")) > _LONGEST_PATH:
        raise ValueError(
            f"target {shown(text)}: a unix socket's path has from 1 to {_LONGEST_PATH} bytes"
            " (unix(7)); write for example unix:/run/redis.sock"
        )
    return Target(text, ((socket.AF_UNIX, path),))
