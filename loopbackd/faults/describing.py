"""The kinds of toxics in words: what they do, their attributes and the bounds of these."""

from __future__ import annotations

import inspect
import re
from typing import Any, Final

import msgspec
from msgspec import inspect as types

from loopbackd.faults.kind import Kind

_MARKUP: Final = re.compile(r"[CLIB]\{([^}]*)\}")


class Attribute(msgspec.Struct, frozen=True, kw_only=True):
    """
    An attribute of a kind.

    @ivar default: what it is where it is not given; L{msgspec.UNSET} where it must be.
    @ivar allowed: what it may be, in words.
    """

    name: str
    default: Any = msgspec.UNSET
    allowed: str


def describe(kind: type[Kind]) -> tuple[str, tuple[Attribute, ...]]:
    """What a kind does, by its docstring's first paragraph, and its attributes in their order."""
    text = inspect.cleandoc(kind.__doc__ or "").partition("\n\n")[0]
    what = _MARKUP.sub(r"`\1`", " ".join(text.split()))
    return what, tuple(
        Attribute(
            name=field.encode_name,
            default=_default(field),
            allowed=_allowed(types.type_info(field.type)),
        )
        for field in msgspec.structs.fields(kind)
    )


def _default(field: msgspec.structs.FieldInfo) -> Any:
    if field.default_factory is not msgspec.NODEFAULT:
        return field.default_factory()
    return msgspec.UNSET if field.default is msgspec.NODEFAULT else field.default


def _allowed(kind: types.Type) -> str:
    """What a value of this type may be, in the words of who writes one."""
    if isinstance(kind, types.Metadata):
        return _allowed(kind.type)
    if isinstance(kind, types.UnionType):
        parts = list(kind.types)
        if any(isinstance(part, types.FloatType) for part in parts):
            # What may have a fraction may be whole.
            parts = [part for part in parts if not isinstance(part, types.IntType)]
        return " or ".join(_allowed(part) for part in parts)
    if isinstance(kind, types.LiteralType):
        return " or ".join(repr(value) for value in kind.values)
    if isinstance(kind, types.IntType | types.FloatType):
        word = "whole number" if isinstance(kind, types.IntType) else "number"
        return f"a {word}{_bounds(kind)}"
    return _WORDS.get(type(kind), "a value")


def _bounds(kind: types.IntType | types.FloatType) -> str:
    said = []
    if kind.ge is not None:
        said.append(f"from {kind.ge:,}")
    if kind.gt is not None:
        said.append(f"above {kind.gt:,}")
    if kind.le is not None:
        said.append(f"to {kind.le:,}")
    if kind.lt is not None:
        said.append(f"below {kind.lt:,}")
    return "".join(f" {word}" for word in said).replace(",", "_")


_WORDS: Final[dict[type[types.Type], str]] = {
    types.BoolType: "true or false",
    types.StrType: "a text",
    types.NoneType: "nothing",
    types.ListType: "a list",
    types.VarTupleType: "a list",
    types.DictType: "a table",
    types.StructType: "a table",
}
