"""Whether one JSON value is another, or has it within."""

from __future__ import annotations

from datetime import date, datetime, time
from math import isfinite
from typing import Any

_DEEPEST = 100


def checkJSON(value: Any, key: str, depth: int = 0) -> None:
    """
    Whether a value of the configuration can be JSON.

    @raise ValueError: it has a date, a number that is none, or no end.
    """
    if depth > _DEEPEST:
        raise ValueError(f"{key} is nested too deeply")
    if isinstance(value, dict):
        for name, part in value.items():
            checkJSON(part, f"{key}.{name}", depth + 1)
    elif isinstance(value, list | tuple):
        for part in value:
            checkJSON(part, key, depth + 1)
    elif isinstance(value, float) and not isfinite(value):
        raise ValueError(f"{key} = {value!r}: JSON has no such number; write it as a text")
    elif isinstance(value, datetime | date | time):
        raise ValueError(f"{key} = {value}: JSON has no dates; write it as a text in quotes")


def isEqual(wanted: Any, found: Any) -> bool:
    """
    Whether they are the same value of JSON.

    Numbers are compared by value, and true is no number.
    """
    if isinstance(wanted, dict):
        return (
            isinstance(found, dict)
            and wanted.keys() == found.keys()
            and all(isEqual(part, found[name]) for name, part in wanted.items())
        )
    return _isSame(wanted, found, isEqual)


def isSubset(wanted: Any, found: Any) -> bool:
    """
    Whether all that is wanted is there.

    An object may have other keys; a list has as many elements, each with what is wanted of it.
    """
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(
            name in found and isSubset(part, found[name]) for name, part in wanted.items()
        )
    return _isSame(wanted, found, isSubset)


def _isSame(wanted: Any, found: Any, compare: Any) -> bool:
    if isinstance(wanted, list | tuple):
        return (
            isinstance(found, list)
            and len(wanted) == len(found)
            and all(compare(one, other) for one, other in zip(wanted, found, strict=True))
        )
    if isinstance(wanted, bool) or isinstance(found, bool):
        return wanted is found
    if isinstance(found, dict | list):
        return False
    same: bool = wanted == found
    return same
