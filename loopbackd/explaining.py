"""What is wrong with a value, in the words of whoever wrote it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, get_args, get_origin

import msgspec

_PATH = re.compile(r"\.?([A-Za-z_][\w-]*)|\[(\d+|\.\.\.)\]")
_WORDS = {
    "`str` matching regex '^[A-Za-z0-9._-]+$'": "letters, digits, '.', '_' and '-' only",
    "`int | float`": "a number",
    "`float`": "a number",
    "`object | null`": "a table",
    "`int | str`": "a uid or a user name",
    "`int | str | null`": "a number or a text",
    "`int`": "a whole number",
    "`str | object`": "the name of a protocol or a table",
    "`str`": "a text",
    "`bool`": "true or false",
    "`array`": "a list",
    "`object`": "a table",
    "`bool | int | str | object | array`": "a text, whole number, true, false, table or list",
    "`float | object`": "a number or a table",
    "`str | object | null`": "a text or a table",
    "`float | null`": "a number",
    "`object | array`": "a table or a list",
    "`str | array`": "a text or a list",
    "`int | null`": "a whole number",
    "`str | null`": "a text",
    "`date`": "a date",
    "`datetime`": "a date and time",
    "`time`": "a time of day",
}
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(.*)`")
_INVALID = re.compile(r"Invalid enum value")
_LONGEST_VALUE = 100
_MANY = 12
_NUMBERED = frozenset(["stub", "answer", "toxic", "allow", "ignore"])


def explain(
    message: str,
    asked: dict[str, Any],
    source: str,
    kind: Any,
    kindAt: Callable[[Any, str], Any],
) -> str:
    """
    A validation error in the operator's words: where, which key, which value, what else.

    @param message: msgspec's.
    @param asked: the values that it is about.
    @param source: where they come from.
    @param kind: the struct they should make.
    @param kindAt: the struct behind a key of such a struct.
    """
    what, _, where = message.partition(" - at `$")
    type_: Any = None
    steps = _PATH.findall(where.rstrip("`"))
    value: Any = asked
    place = []
    isInside = False
    for key, index in steps:
        if key:
            value = value.get(key) if isinstance(value, dict) else None
            place.append(key)
            type_ = _typeOf(kind, key)
            kind = kindAt(kind, key)
        elif index.isdigit() and isinstance(value, (list, tuple)):
            value = value[int(index)]
            if isinstance(value, dict) and "name" in value:
                place[-1] = f"{place[-1]} {shown(value['name'])}"
            elif place[-1] in _NUMBERED:
                place[-1] = f"{place[-1]} {int(index) + 1}"
        else:
            isInside = True
    prefix = ": ".join([source, *place])
    unknown = _UNKNOWN.match(what)
    if unknown:
        return f"{prefix}: {_unknownKey(unknown[1], kind)}"
    missing = _MISSING.match(what)
    if missing:
        return f"{prefix}: the key {missing[1]!r} is missing; write {missing[1]} = ..."
    if place == ["service"] and isinstance(value, dict):
        return f"{prefix}: there can be more than one; write [[service]] instead of [service]"
    wanted = misfit(what, value, type_)
    if value is None or (isinstance(value, dict) and not isInside):
        return f"{prefix}: {wanted}"
    return f"{prefix} = {shown(value)}: {wanted}"


def misfit(message: str, value: object, kind: Any) -> str:
    """
    Why a value is not of a type.

    @param message: msgspec's.
    """
    choices = [*dict.fromkeys(_choices(kind))]
    if _INVALID.match(message) and choices:
        return oneOf(value, choices)
    said = message[:1].lower() + message[1:]
    if _isNumber(kind):
        # The bounds of a number of both kinds are told of the one that it is.
        said = said.replace("`int`", "`float`")
    for word, meaning in _WORDS.items():
        said = said.replace(word, meaning)
    return said


def oneOf(value: object, choices: Sequence[str]) -> str:
    """What to write instead of a value that is none of these."""
    near = difflib.get_close_matches(str(value)[:_LONGEST_VALUE], choices, 3)
    if len(choices) <= _MANY:
        return f"write {_either(choices)}"
    return (
        f"did you mean {_either(near)}?" if near else f"it is none of the {len(choices)} there are"
    )


def _either(words: Sequence[str]) -> str:
    """Words of which one is meant."""
    *most, last = map(repr, words)
    return f"{', '.join(most)} or {last}" if most else last


def _choices(kind: Any) -> Iterator[str]:
    """The texts that a type consists of."""
    if get_origin(kind) is Literal:
        yield from (one for one in get_args(kind) if isinstance(one, str))
    else:
        for part in get_args(kind):
            yield from _choices(part)


def _isNumber(kind: Any) -> bool:
    """Whether a type is that of numbers with and without a fraction."""
    parts = {get_args(part)[0] if get_args(part) else part for part in get_args(kind)}
    return {int, float} <= parts


def _typeOf(kind: Any, key: str) -> Any:
    """The type of a struct's field; L{None} where there is none."""
    if not (isinstance(kind, type) and issubclass(kind, msgspec.Struct)):
        return None
    fields = msgspec.structs.fields(kind)
    return next((field.type for field in fields if field.encode_name == key), None)


def shown(value: object) -> str:
    """A value in a message: one line, not endless."""
    if isinstance(value, str | bytes | list):
        # The rest would not be seen, but can be megabytes of somebody's body.
        value = value[: _LONGEST_VALUE + 1]
    text = repr(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}..."


def _unknownKey(key: str, kind: Any) -> str:
    known = [field.encode_name for field in msgspec.structs.fields(kind)]
    near = difflib.get_close_matches(key, known, 1)
    remedy = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
    return f"unknown key {shown(key)}; {remedy}"
