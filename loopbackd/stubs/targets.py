"""The addresses of real servers that requests are passed on to."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from loopbackd.explaining import shown
from loopbackd.net.endpoint import leadsHere

_ADDRESS: Final = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(?P<port>\d{1,5}))?"
    r"(?P<path>/[!-~]*)?"
)


@dataclass(frozen=True, slots=True)
class Target:
    """
    A real server.

    @ivar authority: its host, and its port if that was said.
    @ivar path: what goes before the path of a request.
    """

    scheme: str
    authority: str
    path: str

    def url(self, target: bytes) -> bytes:
        """Where a request for this path and query goes."""
        return f"{self.scheme}://{self.authority}{self.path}".encode() + target

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.path}"


def parseTarget(text: str, key: str, allowRemote: bool) -> Target:
    """
    The target at an address.

    @raise ValueError: it is none, or on another machine and that is not allowed.
    """
    found = _ADDRESS.fullmatch(text)
    if found is None or int(found["port"] or 1) not in range(1, 65536):
        raise ValueError(
            f"{key} = {shown(text)}: a target is http://host:port, perhaps with a path"
        )
    path = (found["path"] or "").rstrip("/")
    if "?" in path or "#" in path:
        raise ValueError(f"{key} = {shown(text)}: a target has no query and no fragment")
    if not allowRemote and not leadsHere(found["host"]):
        raise ValueError(
            f"{key} = {shown(text)}: that is not on this machine;"
            " set allow_remote_target = true if you mean it"
        )
    port = f":{found['port']}" if found["port"] else ""
    return Target(found["scheme"], found["host"] + port, path)
