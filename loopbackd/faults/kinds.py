"""From the type of a toxic to its kind: built in, or installed."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterator, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

import msgspec

from loopbackd.explaining import explain
from loopbackd.faults.kind import Kind

GROUP: Final = "loopbackd.toxics"

# Type -> module and class; imported when one is first asked for.
_BUILT_IN: Final = {
    "bandwidth": ("bandwidth", "Bandwidth"),
    "blackhole": ("blackhole", "Blackhole"),
    "corrupt": ("corrupt", "Corrupt"),
    "cut": ("cut", "Cut"),
    "duplicate": ("duplicate", "Duplicate"),
    "latency": ("latency", "Latency"),
    "limit_data": ("limitdata", "LimitData"),
    "loss": ("loss", "Loss"),
    "noop": ("noop", "Noop"),
    "refuse": ("refuse", "Refuse"),
    "reset_peer": ("resetpeer", "ResetPeer"),
    "slicer": ("slicer", "Slicer"),
    "slow_close": ("slowclose", "SlowClose"),
    "slow_open": ("slowopen", "SlowOpen"),
    "timeout": ("timeout", "Timeout"),
}


class NoSuchKind(ValueError):
    """There is no toxic of that type; says which there are."""


def known() -> Iterator[tuple[str, str]]:
    """The types there are, and where each comes from: built in first, then installed, by name."""
    for name in _BUILT_IN:
        yield name, "loopbackd"
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        if point.name not in _BUILT_IN:
            yield point.name, point.dist.name if point.dist else "?"


def kindClass(name: str) -> type[Kind]:
    """
    The kind of that type.

    @raise NoSuchKind: there is none.
    @raise ValueError: it is installed and cannot be used.
    """
    if name in _BUILT_IN:
        module, found = _BUILT_IN[name]
        kind: type[Kind] = getattr(importlib.import_module(f"loopbackd.faults.{module}"), found)
        return kind
    for point in entry_points(group=GROUP):
        if point.name == name:
            return _installed(point)
    names = [one for one, _ in known()]
    near = [f"did you mean {one!r}? " for one in difflib.get_close_matches(name, names, 1)]
    raise NoSuchKind(f"there is no toxic {name!r}; {''.join(near)}there are {', '.join(names)}")


def _installed(point: EntryPoint) -> type[Kind]:
    try:
        found = point.load()
    except Exception as error:
        raise ValueError(f"{point.value} does not load: {error}") from error
    if not (isinstance(found, type) and issubclass(found, Kind)):
        raise ValueError(f"{point.value} is no loopbackd.faults.kind.Kind")
    return found


def makeKind(name: str, attributes: Mapping[str, Any]) -> Kind:
    """
    A toxic's kind with its attributes.

    @raise NoSuchKind: there is no such type.
    @raise ValueError: an attribute is unknown, of another type or out of its bounds; names it.
    """
    kind = kindClass(name)
    asked = dict(attributes)
    try:
        return msgspec.convert(asked, kind)
    except msgspec.ValidationError as error:
        raise ValueError(explain(str(error), asked, name, kind, lambda kind, key: kind)) from None
