"""A protocol for tests that want one of their own in a real service."""

from __future__ import annotations

from typing import Any

protocol: Any = None
"""The class that is used."""


def Served() -> Any:
    """As a configuration names it."""
    return protocol
