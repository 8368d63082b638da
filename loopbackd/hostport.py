"""A host and a port as people and URLs write them (RFC 3986 section 3.2.2)."""

from __future__ import annotations


def joined(host: str, port: int) -> str:
    """A host and a port in one word: C{127.0.0.1:8080}, C{[::1]:8080}."""
    return f"{bracketed(host)}:{port}"


def bracketed(host: str) -> str:
    """A host as it stands in a URL: an IPv6 address has brackets."""
    return f"[{host}]" if ":" in host else host
