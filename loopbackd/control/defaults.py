"""What the fields of a struct are where nobody says otherwise."""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec


@cache
def defaultsOf(kind: type[msgspec.Struct]) -> tuple[tuple[str, str, Any], ...]:
    """
    Its fields: name, name in JSON, and default; C{NODEFAULT} where there is none.

    Looked for once: that means evaluating every annotation.
    """
    return tuple(
        (
            field.name,
            field.encode_name,
            field.default
            if field.default_factory is msgspec.NODEFAULT
            else field.default_factory(),
        )
        for field in msgspec.structs.fields(kind)
    )
