"""Names and addresses of hosts, as they stand in C{Host} and C{Origin}."""

from __future__ import annotations

from loopbackd.net import endpoint


def splitHost(said: str) -> tuple[str, str]:
    """A host, and its port or nothing, as they stand in C{Host}."""
    host, bracket, port = said.partition("]")
    if not bracket:
        host, _, port = said.partition(":")
    return host + bracket, port.removeprefix(":")


def isLoopback(host: str) -> bool:
    """Whether a host, with no port, is this machine and nothing else."""
    name = host.lower().rstrip(".")
    return name.endswith(".localhost") or endpoint.isLoopback(name.strip("[]"))
