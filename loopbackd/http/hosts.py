"""Hosts, as they stand in C{Host} and C{Origin}."""

from __future__ import annotations


def splitHost(said: str) -> tuple[str, str]:
    """A host, and its port or nothing, as they stand in C{Host}."""
    host, bracket, port = said.partition("]")
    if not bracket:
        host, _, port = said.partition(":")
    return host + bracket, port.removeprefix(":")
